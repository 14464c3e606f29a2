"""What a user may declare so that fewer people are woken: silences, inhibitions and time intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from mainstay.alerting.route_spec import Matchers, Name
from mainstay.kernel.asking import first
from mainstay.kernel.intervals import parse_interval
from mainstay.kernel.matchers import parse_matcher
from mainstay.kernel.patterns import BadPattern
from mainstay.kernel.resource import Complaint, Kind, Spec
from mainstay.kernel.spec_fields import RuleText, Zone

# YAML reads `1` and `2026` as numbers.
Word = Annotated[
    str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value), Field(max_length=60)
]


def _as_moment(value: Any) -> Any:
    """A text as a day, or as a time with its offset; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        found = date.fromisoformat(value) if len(value) == len("2027-03-01") else datetime.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or (isinstance(found, datetime) and found.tzinfo is None):
        raise ValueError("must be a day such as 2027-03-01, or a time with its offset such as 2027-03-01T22:00:00Z")
    return found


Moment = Annotated[AwareDatetime | date, BeforeValidator(_as_moment)]


class SilenceSpec(Spec):
    """Nobody is notified of alerts that it matches: once, from `from` until `until`, or whenever `rule` says."""

    model_config = ConfigDict(
        json_schema_extra=first(
            "match", "comment", either={"Once": ("from", "until"), "Recurring": ("rule", "timezone")}, asks="When"
        )
    )

    match: Matchers = Field(
        min_length=1,
        max_length=40,
        title="Which alerts",
        description="label matchers, all of which must match; at least one of them must not match an empty value",
    )
    further: list[Matchers] = Field(
        [],
        max_length=40,
        alias="or",
        title="Or these",
        description="more sets of matchers: alerts that match any of the sets are silenced",
    )
    start: Moment | None = Field(
        None, alias="from", title="Starts", description="a time with its UTC offset, or a day; default: at once"
    )
    until: Moment | None = Field(
        None, title="Ends", description="a time with its UTC offset, or a day, when it begins; needed without a rule"
    )
    rule: RuleText | None = Field(
        None,
        title="Days and times",
        examples=["daily 02:00-03:00"],
        description="`daily 02:00-03:00`, `monday 01:00-02:00`, `first tuesday 02:00-04:00`, `day 15 22:00-02:00`",
    )
    timezone: Zone = Field("UTC", description="time zone of the rule and of days")
    comment: str = Field("", max_length=2000, title="Why", description="why, for whoever wonders at 03:00")
    author: str = Field("", max_length=300, title="Who", description="who wants it; default: who declares it")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if any(not _narrows(some) for some in self.sets):
            raise ValueError("each set of matchers needs one that does not match an empty value: it would silence all")
        if self.rule is None and self.until is None:
            raise ValueError("a silence needs either `until` or a `rule`")
        if self.until_at <= self.start_at:
            raise ValueError("`until` must be after `from`")
        return self

    @property
    def start_at(self) -> float:
        """Epoch seconds."""
        return _epoch(self.start, self.timezone, float("-inf"))

    @property
    def until_at(self) -> float:
        """Epoch seconds."""
        return _epoch(self.until, self.timezone, float("inf"))

    @property
    def sets(self) -> list[list[str]]:
        """The sets of matchers, of which one must match as a whole."""
        return [self.match, *self.further]


def _epoch(moment: date | None, zone: str, missing: float) -> float:
    if moment is None:
        return missing
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), ZoneInfo(zone))
    return moment.timestamp()


def _narrows(matchers: list[str]) -> bool:
    """Whether an alert without any labels would not match."""
    try:
        return not all(parse_matcher(text).matches({}) for text in matchers)
    except BadPattern:
        return True  # it matches nothing any more


class InhibitionSpec(Spec):
    """While an alert that matches `source` is open, nobody is notified of those that match `target`."""

    model_config = ConfigDict(json_schema_extra=first("source", "target", "equal"))

    source: Matchers = Field(
        min_length=1, max_length=40, title="While this goes on", description="label matchers, all of which must match"
    )
    target: Matchers = Field(
        min_length=1, max_length=40, title="Hold these back", description="label matchers, all of which must match"
    )
    equal: list[Name] = Field(
        [], max_length=40, title="Same", description="labels that both must have the same value of; missing is empty"
    )


class Times(Spec):
    """From `start_time` until before `end_time`, as HH:MM."""

    start_time: Word = Field(description="HH:MM")
    end_time: Word = Field(description="HH:MM, after the start; 24:00 is the end of the day")


class IntervalSpec(Spec):
    """One interval in Alertmanager's form."""

    times: list[Times] = Field(
        [], max_length=100, description="any of these, such as {start_time: 09:00, end_time: 17:00}"
    )
    weekdays: list[Word] = Field([], max_length=100, description="such as monday:friday")
    days_of_month: list[Word] = Field([], max_length=100, description="1 to 31, -1 is the last; ranges such as 1:7")
    months: list[Word] = Field([], max_length=100, description="names, numbers or ranges, such as june:august")
    years: list[Word] = Field([], max_length=100, description="such as 2026:2028")
    location: Zone = Field("UTC", description="time zone")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        parse_interval(self.to_document())
        return self


class TimeIntervalSpec(Spec):
    """When it is: all `rules` that say so, or intervals in Alertmanager's form."""

    model_config = ConfigDict(json_schema_extra=first("rules", "timezone"))

    rules: list[RuleText] = Field(
        [],
        max_length=100,
        title="Days and times",
        examples=["weekdays 09:00-18:00"],
        description="`weekdays 09:00-18:00`, `saturday 10:00-14:00`; any of them",
    )
    timezone: Zone = Field("UTC", description="time zone of the rules")
    intervals: list[IntervalSpec] = Field(
        [], max_length=100, description="as in Alertmanager: times, weekdays, days_of_month, months, years; any of them"
    )
    description: str = Field("", max_length=2000, description="what it is for")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.rules and not self.intervals:
            raise ValueError("a time interval needs `rules` or `intervals`")
        return self

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The intervals as `kernel.intervals` reads them."""
        return [interval.to_document() for interval in self.intervals]


def _silence_in_words(document: Mapping[str, Any]) -> str:
    match = " or ".join(" and ".join(some) for some in (document.get("match", []), *document.get("or", [])))
    when = f"{document['rule']} {document.get('timezone', 'UTC')}" if document.get("rule") else ""
    until = f" until {document['until']}" if document.get("until") else ""
    return f"{match}: {when}{until}".replace(":  ", ": ")


def _inhibition_in_words(document: Mapping[str, Any]) -> str:
    equal = f", with the same {', '.join(document['equal'])}" if document.get("equal") else ""
    return f"{' and '.join(document.get('source', []))} holds back {' and '.join(document.get('target', []))}{equal}"


def _interval_in_words(document: Mapping[str, Any]) -> str:
    rules = ", ".join(document.get("rules", []))
    return f"{rules} {document.get('timezone', 'UTC')}" if rules else f"{len(document.get('intervals', []))} intervals"


def _unwise(_name: str, spec: InhibitionSpec) -> Iterator[Complaint]:
    if not spec.equal and spec.source == spec.target:
        yield Complaint(
            "source and target are the same, so it holds back nothing", "an alert on both sides holds back nobody"
        )


_SILENCE = """silences:
  nightly-batch:
    match: ['service="batch"']
    rule: daily 02:00-03:00
    timezone: Europe/Berlin
    comment: The nightly import loads everything
"""
_INHIBITION = """inhibitions:
  site-down:
    source: ['check="gateway"']
    target: ['severity=~"P2|P3"']
    equal: [site]
"""
_INTERVAL = """time_intervals:
  office-hours:
    rules: [weekdays 09:00-18:00]
    timezone: Europe/Berlin
"""


def calm_kinds() -> tuple[Kind, ...]:
    return (
        Kind(
            "time_interval",
            "time_intervals",
            "times that routes go by, such as office hours",
            TimeIntervalSpec.model_validate,
            lambda: TimeIntervalSpec.model_json_schema(mode="validation"),
            example=_INTERVAL,
            in_words=_interval_in_words,
        ),
        Kind(
            "inhibition",
            "inhibitions",
            "alerts that hold back others",
            InhibitionSpec.model_validate,
            lambda: InhibitionSpec.model_json_schema(mode="validation"),
            example=_INHIBITION,
            in_words=_inhibition_in_words,
            check=_unwise,
        ),
        Kind(
            "silence",
            "silences",
            "alerts that nobody is notified of for a while, once or regularly",
            SilenceSpec.model_validate,
            lambda: SilenceSpec.model_json_schema(mode="validation"),
            example=_SILENCE,
            in_words=_silence_in_words,
        ),
    )
