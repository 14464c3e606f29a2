"""What may be declared of Mainstay's own settings: the fields of `kernel.settings` that have a group.

The spec is made from that table, so that a setting is described once; here stands only what its bounds cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, create_model

from mainstay.accounts.spec import BUILT_IN
from mainstay.frames.boot import current_settings, said_by_environment
from mainstay.integrations.channels.email.address import is_sender
from mainstay.kernel.asking import first, section
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.errors import UserError
from mainstay.kernel.resource import Complaint, Fact, Kind, Reference, Resource, Spec
from mainstay.kernel.secret import REFERENCE, check_references
from mainstay.kernel.settings import DECLARABLE, KIND, MAIL_SCHEMES, Group, variable
from mainstay.store.snapshots.places import BUCKETS
from mainstay.store.snapshots.retention import parse_keep
from mainstay.store.snapshots.schedule import period

_LONGEST = 1000  # characters


def _place(text: str) -> str:
    if text and not text.startswith((*BUCKETS, "/")):
        raise ValueError(f"`{text[:40]}` is neither the full path of a folder nor s3://bucket/prefix")
    return text


def _every(text: str) -> str:
    period(text)
    return text


def _keep(text: str) -> str:
    try:
        parse_keep(text)
    except UserError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return text


def _without_password(text: str) -> str:
    """An address whose password, if it has one, is a reference."""
    check_references(text)
    password = REFERENCE.sub("", text).partition("://")[2].rpartition("@")[0].partition(":")[2]
    if password:
        raise ValueError("the password must be a reference: write ${vault:NAME}, and keep the value there")
    return text


def _mail_server(text: str) -> str:
    parts = urlsplit(REFERENCE.sub("x", _without_password(text)))
    if parts.scheme not in MAIL_SCHEMES or not parts.hostname:
        raise ValueError(
            "must be smtp://host, smtp+starttls://host or smtps://host, such as smtps://me:${vault:SMTP}@host"
        )
    return text


def _sender(text: str) -> str:
    if not is_sender(text):
        raise ValueError(f"`{text[:60]}` is not a sender such as ops@example.com or Mainstay <ops@example.com>")
    return text


def _proxy(text: str) -> str:
    if text and urlsplit(REFERENCE.sub("x", _without_password(text))).scheme not in ("http", "https"):
        raise ValueError("must be an address such as http://proxy.example.com:3128")
    return text


def _roles(text: str) -> str:
    strange = [name for name in map(str.strip, text.split(",")) if name and name not in BUILT_IN]
    if strange:
        raise ValueError(f"`{strange[0][:40]}` is not a built-in role; they are {', '.join(BUILT_IN)}")
    return text


_CHECKS: dict[str, Callable[[str], str]] = {
    "archive_to": _place,
    "snapshot_to": _place,
    "snapshot_every": _every,
    "snapshot_keep": _keep,
    "smtp": _mail_server,
    "mail_from": _sender,
    "channel_proxy": _proxy,
    "require_second_factor": _roles,
}


def _asked(one: Any) -> tuple[Any, Any]:
    """(annotation, field) of pydantic, for one field of the settings."""
    if one.type == "int":
        kind: Any = int
        more = dict(one.metadata["schema"])
    else:
        kind = Annotated[str, AfterValidator(_CHECKS[one.name])] if one.name in _CHECKS else str
        more = {"max_length": _LONGEST, **one.metadata["schema"]}
    extra = {**section(one.metadata["group"]), **more.pop("json_schema_extra", {})}
    return kind, Field(one.default, description=one.metadata["about"], json_schema_extra=extra, **more)


_ORDER = sorted(DECLARABLE, key=lambda one: get_args(Group).index(one.metadata["group"]))


class _Settings(Spec):
    """Settings of this install."""

    model_config = ConfigDict(json_schema_extra=first(*(one.name for one in _ORDER)))


_FIELDS: dict[str, Any] = {one.name: _asked(one) for one in _ORDER}
SettingsSpec: type[Spec] = create_model("SettingsSpec", __base__=_Settings, **_FIELDS)


def _references(spec: Any) -> Iterable[Reference]:
    return [Reference("channel", spec.seal_channel, ("seal_channel",))] if spec.seal_channel else []


def _requires(spec: Any) -> Iterable[tuple[str, str]]:
    return (
        [("obstore", "s3")]
        if any(getattr(spec, name).startswith(BUCKETS) for name in ("archive_to", "snapshot_to"))
        else []
    )


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
            SettingsSpec.model_validate,
            lambda: SettingsSpec.model_json_schema(mode="validation"),
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
