"""Who is on duty at an instant: what was recorded, before temporary schedules, before overrides, before rotations."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mainstay.kernel.hours import Hours, Span, parse_hours
from mainstay.kernel.wall import WallClock, clock_of, midnight
from mainstay.oncall.people_spec import PersonSpec
from mainstay.oncall.rules.turns import Rota, rota_of
from mainstay.oncall.spec import ScheduleSpec

Source = Literal["recorded", "temporary", "override", "layer"]


@dataclass(frozen=True, slots=True)
class OnDuty:
    """A person on duty, and why. `by`: the layer, the override's id, the temporary schedule's id."""

    person: str
    source: Source
    by: str = ""

    @property
    def why(self) -> str:
        """For people: `by layer 1`, `by an override`."""
        words = {"recorded": "as recorded", "temporary": "by a temporary schedule", "override": "by an override"}
        return words.get(self.source) or f"by layer {self.by}"


@dataclass(frozen=True, slots=True)
class Override:
    """From `start` to before `end`: `add` is on duty too; `remove` is not; with both, one stands in for the
    other, where that one would be on duty."""

    id: str
    start: float
    end: float
    add: str = ""
    remove: str = ""

    def apply(self, on: dict[str, OnDuty]) -> None:
        """Change who is on duty, by name, in place."""
        if self.remove and on.pop(self.remove, None) is None:
            return
        if self.add:
            on.setdefault(self.add, OnDuty(self.add, "override", self.id))


@dataclass(frozen=True, slots=True)
class Temporary:
    """From `start` to before `end` these shifts (start, end, person) stand for all rotations and overrides."""

    id: str
    start: float
    end: float
    shifts: tuple[tuple[float, float, str], ...] = ()

    def at(self, at: float) -> dict[str, OnDuty]:
        found = (person for start, end, person in self.shifts if start <= at < end)
        return {person: OnDuty(person, "temporary", self.id) for person in found}


@dataclass(frozen=True, slots=True)
class History:
    """Who was on duty, as it was recorded: (since, people), in order, true until `until`. Later: not recorded."""

    entries: tuple[tuple[float, tuple[str, ...]], ...] = ()
    until: float = float("-inf")

    def at(self, at: float) -> dict[str, OnDuty] | None:
        """None for times that were not recorded."""
        found = bisect_right(self.entries, at, key=lambda entry: entry[0]) - 1
        if found < 0 or at >= self.until:
            return None
        return {person: OnDuty(person, "recorded") for person in self.entries[found][1]}


@dataclass(frozen=True, slots=True)
class Cover:
    """What covers an instant. `meant`: if nobody is on duty, that is on purpose."""

    on: tuple[OnDuty, ...]
    meant: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """A declared schedule with all that changes it, ready to be asked. `rotas` in the order of their layers."""

    name: str
    clock: WallClock
    rotas: tuple[Rota, ...]
    covers: Hours | None = None
    away: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)  # by person: absences in epoch seconds
    holidays: frozenset[int] = frozenset()
    overrides: tuple[Override, ...] = ()  # in the order in which they were made
    temporaries: tuple[Temporary, ...] = ()  # likewise; the latest one counts
    history: History = History()

    def at(self, at: float) -> Cover:
        """Who is on duty at an instant, in epoch seconds."""
        recorded = self.history.at(at)
        if recorded is not None:
            return Cover(tuple(recorded.values()), meant=True)
        layers = ((rota.name, [piece.people for piece in rota.at(at)]) for rota in reversed(self.rotas))
        return self.settle(at, layers)

    def settle(self, at: float, layers: Iterable[tuple[str, Sequence[tuple[str, ...] | None]]]) -> Cover:
        """Who is on duty, given whose turn it is in each layer that applies, the last layer first. Not of the past."""
        for temporary in reversed(self.temporaries):
            if temporary.start <= at < temporary.end:
                return Cover(tuple(temporary.at(at).values()))
        on, meant = self._by_layers(at, layers)
        for override in self.overrides:
            if override.start <= at < override.end:
                override.apply(on)
                meant = False
        return Cover(tuple(on.values()), meant)

    def _by_layers(
        self, at: float, layers: Iterable[tuple[str, Sequence[tuple[str, ...] | None]]]
    ) -> tuple[dict[str, OnDuty], bool]:
        """The first of them that has somebody who is not away, or nobody on purpose, covers the rest."""
        for name, turns in layers:
            here = (person for people in turns for person in people or () if not self.is_away(person, at))
            on = {person: OnDuty(person, "layer", name) for person in here}
            if on or () in turns:
                return on, not on
        return {}, False

    @property
    def begins(self) -> float:
        """When its first layer begins; minus infinity if one has always been."""
        return min((rota.begins for rota in self.rotas), default=-math.inf)

    def is_away(self, person: str, at: float) -> bool:
        return any(start <= at < end for start, end in self.away.get(person, ()))

    def asked(self, at: float) -> bool:
        """Whether somebody must be on duty: not before the first layer begins."""
        if at < self.begins:
            return False
        return self.covers is None or self.covers.covers(self.clock, at)


def away_spans(person: PersonSpec) -> tuple[Span, ...]:
    """A person's absences, in epoch seconds, from midnight to midnight where they live."""
    clock = clock_of(person.timezone)
    return tuple((clock.first(midnight(one.start)), clock.first(midnight(one.until))) for one in person.absences)


def schedule_of(
    name: str, spec: ScheduleSpec, people: Mapping[str, PersonSpec], holidays: frozenset[int] = frozenset()
) -> Schedule:
    """A declared schedule, made ready; `holidays`: days since 1970. What was changed by hand is added by the caller."""
    named = {person for layer in spec.layers for slot in layer.people for person in slot.people}
    return Schedule(
        name=name,
        clock=clock_of(spec.timezone),
        rotas=tuple(rota_of(layer, index, spec.timezone, holidays) for index, layer in enumerate(spec.layers)),
        covers=parse_hours(spec.covers) if spec.covers else None,
        away={one: spans for one in sorted(named & people.keys()) if (spans := away_spans(people[one]))},
        holidays=holidays,
    )
