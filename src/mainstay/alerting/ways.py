"""The ways to reach a person, as channels that messages can be handed to: `person/NAME/POSITION`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.kernel.resource import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.spec import ChannelSpec
    from mainstay.oncall.queries import Duty, Method


def name_of(person: str, index: int) -> str:
    """As the outbox knows it."""
    return f"person/{person}/{index}"


def ways(duty: Duty, channels: Mapping[str, ChannelSpec]) -> dict[str, ChannelSpec]:
    """Every way to reach anybody that this server has the means for, by its name."""
    found: dict[str, ChannelSpec] = {}
    for person in duty.people:
        for method in duty.methods(person):
            spec = _spec(method, duty.people[person].email, channels)
            if spec is not None:
                found[name_of(person, method.index)] = spec
    return found


def _spec(method: Method, email: str, channels: Mapping[str, ChannelSpec]) -> ChannelSpec | None:
    if method.kind == "channel":
        return channels.get(str(method.target["name"]))
    document = _document(method, email)
    if document is None:
        return None
    spec: Any = KINDS["channel"].validate(document)
    return spec  # type: ignore[no-any-return]


def _document(method: Method, email: str) -> dict[str, Any] | None:
    """The channel that a way stands for; None if this server has no means for it. `email`: of the person's account."""
    if method.kind == "email":
        return {"email": {"to": [method.target["address"]]}}
    if method.kind == "push" and email:
        return {"push": {"accounts": [email]}}
    return None
