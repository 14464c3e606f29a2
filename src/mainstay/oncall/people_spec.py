"""What a user may declare of a person: the ways in which they are reached, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from mainstay.kernel.asking import first, refers, shorthand
from mainstay.kernel.duration import Duration
from mainstay.kernel.hours import parse_hours
from mainstay.kernel.resource import Complaint, Kind, Reference, Spec
from mainstay.kernel.secret import Secret
from mainstay.kernel.spec_fields import OwnZone, Zone
from mainstay.kernel.wording import counted

NOBODY = "nobody"  # in a rotation: on purpose, no one
Severity = Literal["P0", "P1", "P2", "P3"]
# A form takes an entry for empty that is as it begins, so the first one is a way that needs a name.
NO_MEANS = ("sms", "call")  # ways that may be declared, and that nothing can be sent by yet
WAYS = ("channel", "push", "email", "sms", "call", "ntfy", "slack", "msteams", "telegram", "apprise")


def _check_hours(text: str) -> str:
    parse_hours(text)
    return text


def _check_phone(text: str) -> str:
    if text and not re.fullmatch(r"\+[1-9][0-9]{6,14}", text):
        raise ValueError(f"`{text[:30]}` is not a phone number with its country, such as +4915112345678")
    return text


def _check_email(text: str) -> str:
    if text and not re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,255}", text):
        raise ValueError(f"`{text[:60]}` is not an e-mail address")
    return text


HoursText = Annotated[str, Field(max_length=200), AfterValidator(_check_hours)]
Phone = Annotated[str, Field(max_length=16), AfterValidator(_check_phone)]
Email = Annotated[str, Field(max_length=320), AfterValidator(_check_email)]


class Push(Spec):
    """To each device on which the person has switched notifications on."""


class EmailWay(Spec):
    address: Email = Field("", description="default: the person's `email`")


class PhoneWay(Spec):
    number: Phone = Field("", description="default: the person's `phone`")


class NtfyWay(Spec):
    topic: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="topic that the person subscribes to")
    server: str = Field(
        "https://ntfy.sh", max_length=500, pattern=r"^https?://\S+$", description="address of the server"
    )
    token: Secret | None = Field(None, description="access token of the server")


class SlackWay(Spec):
    user: str = Field(pattern=r"^[UW][A-Z0-9]{2,20}$", description="member ID, such as U012AB3CD")
    token: Secret = Field(description="token of a bot that may write direct messages")


class TeamsWay(Spec):
    url: Secret = Field(description="address of a workflow that writes to the person")


class TelegramWay(Spec):
    chat: str = Field(pattern=r"^-?[0-9]{1,20}$", description="number of the chat with the bot")
    token: Secret = Field(description="token of the bot")


class AppriseWay(Spec):
    url: Secret = Field(description="address in Apprise's form, such as that of a Signal gateway")


class ChannelWay(Spec):
    name: str = Field(max_length=100, description="a declared channel", json_schema_extra=refers("channel"))


def _named(key: str, shape: type[Spec]) -> BeforeValidator:
    """A bare text stands for a mapping with this key alone."""
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value, json_schema_input_type=str | shape
    )


class Contact(Spec):
    """One way to reach a person; the key that is present chooses it."""

    model_config = ConfigDict(
        json_schema_extra=first("after", "severity", either={way.capitalize(): (way,) for way in WAYS}, asks="How")
    )

    push: Push | None = Field(None, description="notification on the installed page, on phone and desktop")
    email: Annotated[EmailWay, _named("address", EmailWay)] | None = Field(
        None, description="an e-mail", json_schema_extra=shorthand("address")
    )
    sms: Annotated[PhoneWay, _named("number", PhoneWay)] | None = Field(
        None, description="a text message; not sent yet", json_schema_extra=shorthand("number")
    )
    call: Annotated[PhoneWay, _named("number", PhoneWay)] | None = Field(
        None, description="a phone call; not made yet", json_schema_extra=shorthand("number")
    )
    ntfy: Annotated[NtfyWay, _named("topic", NtfyWay)] | None = Field(
        None, description="ntfy", json_schema_extra=shorthand("topic")
    )
    slack: SlackWay | None = Field(None, description="a direct message in Slack")
    msteams: TeamsWay | None = Field(None, description="a message in Microsoft Teams")
    telegram: TelegramWay | None = Field(None, description="a message in Telegram")
    apprise: AppriseWay | None = Field(None, description="a service that Apprise knows, such as Signal")
    channel: Annotated[ChannelWay, _named("name", ChannelWay)] | None = Field(
        None, description="a declared channel", json_schema_extra=shorthand("name")
    )
    after: Duration = Field(0, description="how long after the page, if nobody has answered by then")
    severity: list[Severity] = Field([], description="only for these severities; none: for all")

    @model_validator(mode="after")
    def _one_way(self) -> Contact:
        present = [way for way in WAYS if getattr(self, way) is not None]
        if len(present) != 1:
            names = ", ".join(f"`{way}`" for way in WAYS)
            found = " and ".join(f"`{way}`" for way in present) or "none of them"
            raise ValueError(f"a contact needs exactly one of {names}; this one has {found}")
        return self

    @property
    def way(self) -> str:
        return next(way for way in WAYS if getattr(self, way) is not None)


class ContactHours(Spec):
    """Outside of these hours the person is not contacted about these severities; those not named have no hours."""

    severity: list[Severity] = Field(min_length=1, description="severities that keep to the hours")
    only: HoursText = Field(description="such as `mon-fri 09:00-18:00`", examples=["mon-fri 09:00-18:00"])
    timezone: OwnZone = Field("", description="default: that of the person")


class Quiet(Spec):
    """Hours in which the person is left alone."""

    only: HoursText = Field(description="such as `22:00-07:00`", examples=["22:00-07:00"])
    passes: list[Severity] = Field(["P0"], description="severities that reach the person all the same")
    timezone: OwnZone = Field("", description="default: that of the person")


class Absence(Spec):
    """Days on which the person is away: not on duty by a rotation, and not contacted."""

    start: date = Field(alias="from", description="first day away")
    until: date = Field(description="the day on which they are back")
    reason: str = Field("", max_length=200, description="such as holiday")

    @model_validator(mode="after")
    def _in_order(self) -> Absence:
        if self.until <= self.start:
            raise ValueError("`until`, the day on which the person is back, must be after `from`")
        return self


class PersonSpec(Spec):
    """Somebody who may be on duty. With no `contact`, their `email` is used."""

    model_config = ConfigDict(
        json_schema_extra=first("title", "email", "phone", "timezone", "contact", "hours", "absences")
    )

    title: str = Field("", max_length=100, description="name as pages show it; default: the resource's name")
    email: Email = Field("", description="also says whose account this is")
    phone: Phone = Field("", description="with its country, such as +4915112345678")
    timezone: Zone = Field("UTC", description="where the person lives")
    contact: list[Contact] = Field([], max_length=20, description="how the person is reached, in order")
    hours: list[ContactHours] = Field([], max_length=20, description="when the person is contacted, by severity")
    do_not_disturb: list[Quiet] = Field([], max_length=20, description="when the person is left alone")
    absences: list[Absence] = Field([], max_length=100, description="days away")

    @model_validator(mode="after")
    def _addresses(self) -> PersonSpec:
        for index, one in enumerate(self.contact):
            if one.email is not None and not (one.email.address or self.email):
                raise ValueError(f"contact {index + 1} needs an e-mail address, here or as the person's `email`")
            number = one.sms or one.call
            if number is not None and not (number.number or self.phone):
                raise ValueError(f"contact {index + 1} needs a phone number, here or as the person's `phone`")
        return self


class TeamSpec(Spec):
    """People who are called together."""

    people: list[str] = Field(
        min_length=1, max_length=200, description="its members", json_schema_extra=refers("person")
    )
    description: str = Field("", max_length=2000, description="what it answers for")


_PERSON = """people:
  lead:
    email: lead@example.com
    phone: "+4915112345678"
    timezone: Europe/Berlin
    contact: [{push: {}}, {email: {}, after: 3m}, {ntfy: lead-alerts, after: 6m}]
    hours: [{severity: [P1, P2, P3], only: "mon-fri 09:00-18:00"}]
  deputy: {email: deputy@example.com}
"""

_TEAM = """teams:
  core: {people: [lead, deputy]}
"""


def _person_in_words(document: Mapping[str, Any]) -> str:
    ways = [next((way for way in WAYS if way in one), "") for one in document.get("contact", [])]
    return ", ".join(filter(None, [document.get("title") or document.get("email", ""), *ways]))


def _person_references(spec: PersonSpec) -> Iterable[Reference]:
    for index, one in enumerate(spec.contact):
        if one.channel is not None:
            yield Reference("channel", one.channel.name, ("contact", index, "channel"))


def _check_person(name: str, spec: PersonSpec) -> Iterable[Complaint]:
    if name == NOBODY:
        yield Complaint("`nobody` is a word of rotations", "give the person another name")
    if not spec.contact and not spec.email:
        yield Complaint("this person cannot be reached", "add `email` or `contact`", severity="warning")
    for index, one in enumerate(spec.contact):
        if one.way in NO_MEANS:
            missing = "Mainstay has no means yet to send text messages or to call, so this contact is not used"
            yield Complaint(missing, "declare another one beside it", ("contact", index, one.way), severity="warning")


def person_kind() -> Kind:
    return Kind(
        "person",
        "people",
        "who may be on duty, and how they are reached",
        PersonSpec.model_validate,
        lambda: PersonSpec.model_json_schema(mode="validation"),
        _person_references,
        check=_check_person,
        example=_PERSON,
        in_words=_person_in_words,
        afterwards=lambda _spec: "A way to reach the person is used once it is verified.",
    )


def team_kind() -> Kind:
    return Kind(
        "team",
        "teams",
        "people who are called together",
        TeamSpec.model_validate,
        lambda: TeamSpec.model_json_schema(mode="validation"),
        lambda spec: [Reference("person", name, ("people", index)) for index, name in enumerate(spec.people)],
        example=_TEAM,
        in_words=lambda document: counted(len(document.get("people", [])), "member"),
    )
