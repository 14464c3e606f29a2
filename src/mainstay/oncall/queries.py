"""Reads of on-call: who is on duty, what comes next, and how a person is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstay.kernel.errors import NotFound
from mainstay.oncall.rules.duty import Cover, OnDuty, Schedule, schedule_of
from mainstay.oncall.rules.forecast import Forecast, forecast
from mainstay.oncall.rules.reach import Method, Reach, methods_of, reach
from mainstay.oncall.spec import EscalationPolicySpec, PersonSpec, ScheduleSpec, TeamSpec
from mainstay.store.resources.queries import resources

__all__ = ["Duty", "Forecast", "Handover", "Method", "OnDuty", "Reach", "duty", "forecast"]

_AHEAD = (2.0, 8.0, 60.0)  # weeks that are looked through for the next handover, one after the other


@dataclass(frozen=True, slots=True)
class Handover:
    """When who is on duty changes next, in epoch seconds, and to whom; nobody: a gap, or on purpose."""

    at: float
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duty:
    """All that on-call knew when it was read; ask it as often as you like, and read anew for what changes later."""

    schedules: Mapping[str, Schedule]
    people: Mapping[str, PersonSpec]
    teams: Mapping[str, tuple[str, ...]]
    policies: Mapping[str, EscalationPolicySpec]
    verified: frozenset[tuple[str, str]] = field(default_factory=frozenset)  # (kind, what it is sent to)

    def on_duty(self, schedule: str, at: float) -> tuple[OnDuty, ...]:
        """Who is on duty, each with why. NotFound if there is no such schedule."""
        return self._schedule(schedule).at(at).on

    def cover(self, schedule: str, at: float) -> Cover:
        """The same, and whether it is on purpose that there is nobody."""
        return self._schedule(schedule).at(at)

    def next_handover(self, schedule: str, at: float) -> Handover | None:
        """None if nothing changes for more than a year."""
        asked = self._schedule(schedule)
        now = {one.person for one in asked.at(at).on}
        for weeks in _AHEAD:
            seen = forecast(asked, at, weeks)
            edges = sorted({float(edge) for shift in seen.shifts for edge in (shift.start, shift.end)})
            for edge in edges:
                people = tuple(one.person for one in asked.at(edge).on)
                if at < edge < seen.end and set(people) != now:
                    return Handover(edge, people)
        return None

    def person(self, name: str) -> PersonSpec | None:
        return self.people.get(name)

    def policy(self, name: str) -> EscalationPolicySpec | None:
        return self.policies.get(name)

    def members(self, team: str) -> tuple[str, ...]:
        """Nobody for a team that there is not."""
        return self.teams.get(team, ())

    def reach(self, person: str, severity: str, at: float) -> Reach:
        """How a person is reached about something of this severity, `P0` to `P3`, or why not and from when on."""
        spec = self.people.get(person)
        if spec is None:
            return Reach(person, (), "unknown_person")
        return reach(person, spec, severity, at, self.is_verified)

    def is_verified(self, kind: str, target: Mapping[str, Any]) -> bool:
        """Whether a way to reach somebody may be used. Devices register themselves, and channels are declared."""
        return kind in ("push", "channel") or (medium(kind), key_of(target)) in self.verified

    def methods(self, person: str) -> tuple[Method, ...]:
        """Every way in which a person is reached, verified or not."""
        spec = self.people.get(person)
        return methods_of(spec) if spec is not None else ()

    def _schedule(self, name: str) -> Schedule:
        found = self.schedules.get(name)
        if found is None:
            raise NotFound(f"there is no schedule `{name[:100]}`")
        return found


def medium(kind: str) -> str:
    """A phone number that is verified for text messages is so for calls, too."""
    return "phone" if kind in ("sms", "call") else kind


def key_of(target: Mapping[str, Any]) -> str:
    """What a verification is of, apart from its medium."""
    for part in ("address", "number"):
        if part in target:
            return str(target[part])
    return "\n".join(f"{key}={target[key]}" for key in sorted(target))


def duty() -> Duty:
    """Read what is declared, and what was changed by hand, once."""
    people: dict[str, PersonSpec] = {one.name: one.spec for one in resources("person")}
    teams: dict[str, TeamSpec] = {one.name: one.spec for one in resources("team")}
    specs: dict[str, ScheduleSpec] = {one.name: one.spec for one in resources("schedule")}
    policies: dict[str, EscalationPolicySpec] = {one.name: one.spec for one in resources("escalation_policy")}
    return Duty(
        schedules={name: schedule_of(name, spec, people) for name, spec in specs.items()},
        people=people,
        teams={name: tuple(spec.people) for name, spec in teams.items()},
        policies=policies,
    )
