"""How a person is reached about something of a severity at an instant, or why not and from when on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mainstay.kernel.hours import parse_hours
from mainstay.kernel.wall import clock_of
from mainstay.oncall.people_spec import Contact, EmailWay, PersonSpec
from mainstay.oncall.rules.duty import away_spans

Reason = Literal["reachable", "absent", "outside_hours", "do_not_disturb", "unverified", "no_contact", "unknown_person"]
WORDS: dict[Reason, str] = {
    "reachable": "can be reached",
    "absent": "is away",
    "outside_hours": "is outside of contact hours",
    "do_not_disturb": "is not to be disturbed",
    "unverified": "has no way to be reached that was verified",
    "no_contact": "has no way to be reached for this severity",
    "unknown_person": "is not declared",
}
_TRIES = 40  # closings in a row that are looked through for an opening
Verified = Callable[[str, dict[str, Any]], bool]  # kind of a contact and its target -> whether it may be used


@dataclass(frozen=True, slots=True)
class Method:
    """One way to reach a person: its position in `contact`, its kind, what it needs, and how long to wait, in seconds.

    target: {"address"} of email, {"number"} of sms and call, {"name"} of channel, and so on; secrets as references.
    """

    index: int
    kind: str
    target: dict[str, Any]
    delay: float = 0.0
    severities: tuple[str, ...] = ()  # none: all


@dataclass(frozen=True, slots=True)
class Reach:
    """The methods to use, soonest first; without any: why, and epoch seconds from when on there are some, if known."""

    person: str
    methods: tuple[Method, ...]
    reason: Reason
    until: float | None = None

    @property
    def words(self) -> str:
        return f"{self.person} {WORDS[self.reason]}"


def methods_of(spec: PersonSpec) -> tuple[Method, ...]:
    """Every way that is declared, in order; without any, the person's e-mail address."""
    declared = spec.contact or ((Contact(email=EmailWay()),) if spec.email else ())
    return tuple(
        Method(index, one.way, _target(spec, one), float(one.after), tuple(one.severity))
        for index, one in enumerate(declared)
    )


def _target(spec: PersonSpec, one: Contact) -> dict[str, Any]:
    target: dict[str, Any] = getattr(one, one.way).model_dump(mode="json", exclude_none=True)
    if one.way == "email":
        target["address"] = (target["address"] or spec.email).lower()
    if one.way in ("sms", "call"):
        target["number"] = target["number"] or spec.phone
    return target


def reach(name: str, spec: PersonSpec, severity: str, at: float, verified: Verified) -> Reach:
    """How the person is reached at an instant, in epoch seconds. `severity`: P0 to P3."""
    fit = [one for one in methods_of(spec) if not one.severities or severity in one.severities]
    usable = tuple(sorted((one for one in fit if verified(one.kind, one.target)), key=lambda one: one.delay))
    if not usable:
        return Reach(name, (), "unverified" if fit else "no_contact")
    closed = _closed(spec, severity, at)
    if closed is None:
        return Reach(name, usable, "reachable")
    return Reach(name, (), closed[0], _opening(spec, severity, closed[1]))


def _opening(spec: PersonSpec, severity: str, at: float | None) -> float | None:
    """The first instant from `at` on at which the person may be contacted; None if none is near."""
    for _ in range(_TRIES):
        closed = _closed(spec, severity, at) if at is not None else None
        if closed is None:
            return at
        at = closed[1]
    return None


def _closed(spec: PersonSpec, severity: str, at: float) -> tuple[Reason, float | None] | None:
    """Why the person may not be contacted at an instant and until when at least; None if they may."""
    return next(_closures(spec, severity, at), None)


def _closures(spec: PersonSpec, severity: str, at: float) -> Iterator[tuple[Reason, float | None]]:
    away = next((span for span in away_spans(spec) if span[0] <= at < span[1]), None)
    if away is not None:
        yield "absent", float(away[1])
    named = [(clock_of(one.timezone or spec.timezone), one) for one in spec.hours if severity in one.severity]
    hours = [(clock, parse_hours(one.only)) for clock, one in named]
    if hours and not any(one.covers(clock, at) for clock, one in hours):
        starts = [start for clock, one in hours if (start := one.next_start(clock, at)) is not None]
        yield "outside_hours", min(starts) if starts else None
    for quiet in spec.do_not_disturb:
        if severity not in quiet.passes:
            held = parse_hours(quiet.only).span_at(clock_of(quiet.timezone or spec.timezone), at)
            if held is not None:
                yield "do_not_disturb", float(held[1])
