"""What a user may declare of who is on duty: schedules and escalation policies; people and teams: people_spec.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from mainstay.kernel.asking import first, refers, section, sort
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.duration import Duration
from mainstay.kernel.hours import parse_clock, parse_weekday
from mainstay.kernel.resource import Complaint, Kind, Reference, Spec
from mainstay.kernel.spec_fields import OwnZone, Zone
from mainstay.kernel.wording import counted
from mainstay.oncall.people_spec import (
    NOBODY,
    HoursText,
    PersonSpec,
    Severity,
    TeamSpec,
    person_kind,
    team_kind,
)

__all__ = ["NOBODY", "EscalationPolicySpec", "PersonSpec", "ScheduleSpec", "TeamSpec", "kinds", "parse_handover"]

Rotation = Literal["hourly", "daily", "weekly", "monthly", "custom"]
TARGETS = ("person", "schedule", "team", "channel")  # that a step of a policy may name, as `kind/name`


def parse_handover(rotation: str, text: str) -> tuple[int, int]:
    """(day, seconds after midnight): 0 is Monday for a weekly rotation, 1 the first and -1 the last day for a monthly
    one, otherwise 0. Empty: at 09:00 on Monday or the first. ValueError if the text does not fit the rotation.
    """
    *before, clock = (text.lower() or "09:00").split() or [""]
    day = " ".join(before)
    seconds = parse_clock(clock)
    if rotation == "weekly":
        return (parse_weekday(day) if day else 0), seconds
    if rotation == "monthly":
        return _monthday(day), seconds
    if day:
        raise ValueError(f"the handover of a {rotation} rotation is a time of day, such as 09:00")
    return 0, seconds


def _monthday(day: str) -> int:
    if day in ("", "last day"):
        return -1 if day else 1
    number = day.removeprefix("day ")
    if number.isascii() and number.isdigit() and 1 <= int(number) <= 31:
        return int(number)
    raise ValueError("the handover of a monthly rotation is such as `day 1 09:00` or `last day 09:00`")


class Slot(Spec):
    """A place in a rotation: one person, or several who are on duty together, perhaps only from or until a day."""

    people: list[str] = Field(max_length=50, description="on duty together; none: nobody")
    start: date | None = Field(None, alias="from", description="first day; takes part from the next turn on")
    until: date | None = Field(
        None, description="the day from which on they take no part; the next in order takes over"
    )

    @model_serializer(mode="wrap")
    def _shortest(self, write: SerializerFunctionWrapHandler) -> Any:
        if self.start is None and self.until is None:
            return self.people[0] if len(self.people) == 1 else self.people or NOBODY
        return write(self)


def _slot(value: Any) -> Any:
    if isinstance(value, str):
        return {"people": [] if value == NOBODY else [value]}
    return {"people": value} if isinstance(value, list) else value


_SLOT = "a name, a list of names, `nobody`, or {people: [...], from: date, until: date}"
SlotField = Annotated[Slot, BeforeValidator(_slot), WithJsonSchema({"description": _SLOT, **refers("person")})]


class Layer(Spec):
    """A rotation. Where a later layer has somebody on duty, or nobody on purpose, it covers the ones before it."""

    model_config = ConfigDict(
        json_schema_extra=first("rotation", "handover", "start", "people", "only", "length", "every")
    )

    rotation: Rotation = Field(description="how long a turn is")
    people: list[SlotField] = Field(
        min_length=1,
        max_length=100,
        description="turns in order: a name, a list of names on duty together, `nobody`, or "
        "{people: [...], from: date, until: date} for who joins or leaves",
    )
    handover: str = Field(
        "",
        max_length=40,
        description="when turns change: `09:00`, weekly `mon 09:00`, monthly `day 1 09:00` or `last day 09:00`; "
        "default 09:00 on Monday or the first",
        examples=["mon 09:00"],
    )
    length: Annotated[int, Field(ge=1, le=366)] = Field(1, description="hours, days, weeks or months in a turn")
    every: Duration | None = Field(None, description="length of a turn of a custom rotation, such as 36h")
    start: date | None = Field(
        None, alias="from", description="first day, from the time of the handover on; the first turn begins here"
    )
    until: date | None = Field(None, description="the day on which it ends, at the time of the handover")
    only: HoursText | None = Field(
        None,
        description="hours in which it applies, such as `mon-fri 08:00-20:00`; turns go on meanwhile",
        examples=["mon-fri 08:00-20:00"],
    )
    holidays: Literal["include", "skip", "only"] = Field(
        "include", description="whether it applies on the schedule's holidays, or on these alone"
    )
    name: str = Field("", max_length=100, description="a name; default: its position")

    @model_validator(mode="after")
    def _fits(self) -> Layer:
        parse_handover(self.rotation, self.handover)
        if (self.rotation == "custom") != (self.every is not None):
            raise ValueError("`every` belongs to a custom rotation, which needs it")
        if self.every is not None and (self.every < 3600 or self.every % 60):
            raise ValueError("a turn is an hour or longer, in whole minutes")
        if self.rotation == "custom" and self.start is None:
            raise ValueError("a custom rotation needs `from`, the day of its first turn")
        if self.start is not None and self.until is not None and self.until <= self.start:
            raise ValueError("`until` must be after `from`")
        return self


class Holidays(Spec):
    """Days off: listed, or as the text of an iCalendar file."""

    days: list[date] = Field([], max_length=1000, description="dates")
    calendar: str = Field(
        "", max_length=100_000, description="iCalendar text with all-day events", json_schema_extra=sort("lines")
    )


class ScheduleSpec(Spec):
    """Who is on duty when: rotations in layers, later ones over earlier ones."""

    model_config = ConfigDict(json_schema_extra=first("timezone", "layers", "covers", "description"))

    timezone: Zone = Field("UTC", description="in which hand-overs and hours are meant")
    layers: list[Layer] = Field(min_length=1, max_length=20, description="rotations; later ones cover earlier ones")
    covers: HoursText | None = Field(
        None,
        description="hours that somebody must be on duty, outside of which there is no gap; default: always",
        examples=["mon-fri 08:00-20:00"],
    )
    holidays: Holidays | None = Field(None, description="days off", json_schema_extra=section("Holidays"))
    severity: Severity = Field("P2", description="of the alert that says that there is a gap")
    description: str = Field("", max_length=2000, description="what it is for")


class Step(Spec):
    """Whom to page, and how long after the step before it. Conditions that do not hold skip the step."""

    model_config = ConfigDict(json_schema_extra=first("to", "after"))

    to: list[Annotated[str, Field(max_length=120)]] = Field(
        min_length=1,
        max_length=40,
        title="Whom",
        description="such as schedule/primary, person/lead, team/core or channel/mail",
        json_schema_extra=refers("schedule", "person", "team", "channel"),
    )
    after: Duration = Field(0, description="how long after the step before, while nobody has acknowledged")
    severity: list[Severity] = Field([], description="only for these severities; none: for all")
    only: HoursText | None = Field(None, description="only in these hours")
    timezone: OwnZone = Field("", description="of `only`; default: UTC")
    alerts: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1, description="only if the group has at least so many open alerts"
    )
    forced: bool = Field(False, description="also if the alert is acknowledged by then")
    round_robin: bool = Field(False, description="one of the targets, each in turn, instead of all")

    @field_validator("to")
    @classmethod
    def _targets(cls, value: list[str]) -> list[str]:
        for text in value:
            kind, slash, name = text.partition("/")
            if kind not in TARGETS or not slash or not name:
                raise ValueError(f"`{text[:60]}` is not {_example(kind)}")
        return value


def _example(kind: str) -> str:
    if kind == "webhook":
        return "a target; a webhook is a channel, so write channel/NAME"
    guess = did_you_mean(kind, TARGETS)
    return f"a target such as schedule/primary, person/lead, team/core or channel/mail{'; ' + guess if guess else ''}"


class EscalationPolicySpec(Spec):
    """Who is paged, one step after the other, until somebody acknowledges."""

    steps: list[Step] = Field(min_length=1, max_length=50, description="in order")
    repeat: Annotated[int, Field(ge=0, le=20)] = Field(
        0, description="how often all steps are gone through again if nobody acknowledges"
    )
    description: str = Field("", max_length=2000, description="what it is for")


_SCHEDULE = """schedules:
  primary:
    timezone: Europe/Berlin
    layers:
      - {rotation: weekly, handover: "mon 09:00", from: 2026-12-07, people: [lead, deputy]}
"""

_POLICY = """escalation_policies:
  default:
    steps:
      - {to: [schedule/primary]}
      - {after: 15m, to: [person/lead]}
    repeat: 2
"""


def _schedule_references(spec: ScheduleSpec) -> Iterable[Reference]:
    for position, layer in enumerate(spec.layers):
        for index, slot in enumerate(layer.people):
            for name in slot.people:
                yield Reference("person", name, ("layers", position, "people", index))


def _policy_references(spec: EscalationPolicySpec) -> Iterable[Reference]:
    for position, step in enumerate(spec.steps):
        for index, target in enumerate(step.to):
            kind, _, name = target.partition("/")
            yield Reference(kind, name, ("steps", position, "to", index))


def _schedule_in_words(document: Mapping[str, Any]) -> str:
    rotations = ", ".join(str(layer.get("rotation", "")) for layer in document.get("layers", []))
    return f"{rotations} {document.get('timezone', 'UTC')}"


def _policy_in_words(document: Mapping[str, Any]) -> str:
    steps = document.get("steps", [])
    return ", then ".join(" and ".join(step.get("to", [])) for step in steps) or counted(len(steps), "step")


def _gaps(name: str, spec: ScheduleSpec) -> Iterable[Complaint]:
    from mainstay.oncall.checking import gaps_ahead  # which reads this module

    return gaps_ahead(name, spec)


def schedule_kind() -> Kind:
    return Kind(
        "schedule",
        "schedules",
        "who is on duty when",
        ScheduleSpec.model_validate,
        lambda: ScheduleSpec.model_json_schema(mode="validation"),
        _schedule_references,
        check=_gaps,
        page="/oncall/schedules/{}/",
        example=_SCHEDULE,
        in_words=_schedule_in_words,
    )


def policy_kind() -> Kind:
    return Kind(
        "escalation_policy",
        "escalation_policies",
        "who is paged, step by step, until somebody answers",
        EscalationPolicySpec.model_validate,
        lambda: EscalationPolicySpec.model_json_schema(mode="validation"),
        _policy_references,
        page="/oncall/policies/{}/",
        example=_POLICY,
        in_words=_policy_in_words,
    )


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    return person_kind(), team_kind(), schedule_kind(), policy_kind()
