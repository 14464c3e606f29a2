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
    """The channel that a way stands for; None if this server has no means. `email`: of the person's account."""
    target = method.target
    if method.kind == "channel":
        return channels.get(str(target["name"]))
    if method.kind == "email":
        return _channel({"email": {"to": [target["address"]]}})
    if method.kind == "push":
        return _channel({"push": {"accounts": [email]}}) if email else None
    url = _service(method.kind, target)
    return _through_apprise(url) if url else None


def _service(kind: str, target: Mapping[str, Any]) -> str:
    """The address of a service in Apprise's form, its secrets as references; empty if it is none."""
    if kind == "ntfy":
        scheme, _, host = str(target["server"]).partition("://")
        token = f"{target['token']}@" if target.get("token") else ""
        return f"{'ntfys' if scheme == 'https' else 'ntfy'}://{token}{host.rstrip('/')}/{target['topic']}?mode=private"
    if kind == "slack":
        return f"slack://{target['token']}/+{target['user']}"
    if kind == "telegram":
        return f"tgram://{target['token']}/{target['chat']}"
    return str(target["url"]) if kind in ("msteams", "apprise") else ""


def _through_apprise(url: str) -> ChannelSpec:
    """What people declare keeps the whole address outside; this one is put together from parts that are checked."""
    spec = _channel({"apprise": "${env:ADDRESS}"})
    return spec.model_copy(update={"apprise": spec.target.model_copy(update={"url": url})})


def _channel(document: dict[str, Any]) -> ChannelSpec:
    spec: ChannelSpec = KINDS["channel"].validate(document)  # type: ignore[assignment]  # what the kind makes
    return spec
