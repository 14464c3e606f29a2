"""What may be declared of Mainstay's own settings: those that capabilities, and the house, say may be.

The spec is made from them, so that a setting is described once, where it belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, create_model

from mainstay.frames.boot import current_settings, said_by_environment
from mainstay.integrations.channels.email.address import is_sender
from mainstay.kernel.asking import REFERS, first, section
from mainstay.kernel.capability import CAPABILITIES, Surroundings, load
from mainstay.kernel.errors import UserError
from mainstay.kernel.resource import Complaint, Fact, Kind, Reference, Resource, Spec
from mainstay.kernel.secret import REFERENCE, check_password
from mainstay.kernel.settings import GROUPS, KIND, MAIL_SCHEMES, Setting, variable
from mainstay.store.settings import CHECK_PLACE
from mainstay.store.snapshots.places import BUCKETS

_LONGEST = 1000  # characters


def check_mail_server(text: str) -> None:
    parts = urlsplit(REFERENCE.sub("x", text))
    check_password(text)
    if parts.scheme not in MAIL_SCHEMES or not parts.hostname:
        raise ValueError(
            "must be smtp://host, smtp+starttls://host or smtps://host, such as smtps://me:${vault:SMTP}@host"
        )


def check_sender(text: str) -> None:
    if not is_sender(text):
        raise ValueError(f"`{text[:60]}` is not a sender such as ops@example.com or Mainstay <ops@example.com>")


def _checked(at: str, text: str) -> str:
    try:
        load(at)(text)
    except UserError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return text


def _asked(one: Setting[Any]) -> tuple[Any, Any]:
    """(annotation, field) of pydantic."""
    kind: Any = type(one.default)
    more = dict(one.bounds)
    if kind is str:
        kind = Annotated[str, AfterValidator(partial(_checked, one.check))] if one.check else str
        more = {"max_length": _LONGEST, **more}
    extra = {**section(one.group), **more.pop("json_schema_extra", {})}
    return kind, Field(one.default, description=one.about, json_schema_extra=extra, **more)


def declarable_settings() -> list[Setting[Any]]:
    """In the order of the form."""
    headings = [*GROUPS, *(one.group for one in CAPABILITIES.settings.values())]
    return sorted(filter(lambda one: one.group, CAPABILITIES.settings.values()), key=lambda o: headings.index(o.group))


@cache
def settings_spec() -> type[Spec]:
    """Made of what is declarable, once all capabilities are known."""
    order = declarable_settings()
    fields: dict[str, Any] = {one.name: _asked(one) for one in order}

    class Base(Spec):
        """Settings of this install."""

        model_config = ConfigDict(json_schema_extra=first(*fields))

    return create_model("SettingsSpec", __base__=Base, **fields)


def _references(spec: Any) -> Iterable[Reference]:
    for one in declarable_settings():
        kind, name = one.bounds.get("json_schema_extra", {}).get(REFERS), getattr(spec, one.name)
        if kind and name:
            yield Reference(kind, name, (one.name,))


def _requires(spec: Any) -> Iterable[tuple[str, str]]:
    places = [getattr(spec, one.name) for one in declarable_settings() if one.check == CHECK_PLACE]
    return [("obstore", "s3")] if any(place.startswith(BUCKETS) for place in places) else []


def _check(name: str, spec: Any) -> Iterator[Complaint]:
    if name != KIND:
        yield Complaint(f"there is one resource of this kind, `{KIND}`", f"name it `{KIND}`")
    for field in sorted(spec.model_fields_set & said_by_environment(current_settings())):
        yield Complaint(
            f"`{field}` has no effect while {variable(field)} is set in the environment of the server",
            "take it out there and start the server anew for what is declared here to hold",
            (field,),
            "warning",
        )


def settings_facts(resource: Resource, _every: object) -> Iterator[Fact]:
    """What the environment says otherwise, and where the values that hold are seen."""
    overridden = [variable(name) for name in resource.document if name in said_by_environment(current_settings())]
    if overridden:
        yield Fact("Without effect", f"the environment of the server sets {', '.join(overridden)}, and wins")
    yield Fact("What holds now", links=[("every setting, and where it comes from", "/health/#settings")])


def _in_words(document: Mapping[str, Any]) -> str:
    return ", ".join(document) or "all as by default"


_EXAMPLE = """settings:
  raw_days: 14
  snapshot_every: 1d
  smtp: smtps://mainstay:${vault:SMTP_PASSWORD}@mail.example.com:465
  mail_from: Mainstay <ops@example.com>
"""


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    return (
        Kind(
            KIND,
            KIND,
            "settings of Mainstay itself; what the environment of the server says wins over them",
            settings_spec().model_validate,
            lambda: settings_spec().model_json_schema(mode="validation"),
            _references,
            alone=True,
            requires=_requires,
            check=_check,
            # Mail carries links that open accounts, and copies hold everything: who says where they go has all of it.
            needs=lambda _spec: frozenset({"settings:write"}),
            example=_EXAMPLE,
            in_words=_in_words,
            facts="mainstay.runtime.spec:settings_facts",
            afterwards=lambda _spec: "It holds at once, on every server.",
        ),
    )
