"""What a schedule comes to over a time: shifts, gaps and overlaps.

The answer is that of `duty.Schedule.at` at every instant, found by going from one boundary to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mainstay.kernel.hours import Span
from mainstay.oncall.rules.duty import Cover, OnDuty, Schedule
from mainstay.oncall.rules.turns import Piece

WEEK = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Shift:
    """One person on duty without a break and for one reason, in epoch seconds."""

    start: int
    end: int
    person: str
    on: OnDuty

    @property
    def why(self) -> str:
        return self.on.why


@dataclass(frozen=True, slots=True)
class Forecast:
    """From `start` to `end`. gaps: nobody, though somebody must be. overlaps: two turns of a rotation at once, as where
    a clock falls back."""

    start: int
    end: int
    shifts: tuple[Shift, ...]
    gaps: tuple[Span, ...]
    overlaps: tuple[Span, ...]


@dataclass(slots=True)
class _Layer:
    """The pieces of one layer in order, and those that cover the boundary that was reached."""

    name: str
    pieces: list[Piece]
    active: list[Piece]
    ahead: int = 0

    def reach(self, at: int) -> list[Piece]:
        self.active = [piece for piece in self.active if piece.end > at]
        while self.ahead < len(self.pieces) and self.pieces[self.ahead].start <= at:
            if self.pieces[self.ahead].end > at:
                self.active.append(self.pieces[self.ahead])
            self.ahead += 1
        return self.active


def forecast(schedule: Schedule, start: float, weeks: float) -> Forecast:
    """From an instant on, for so many weeks."""
    begin, end = int(start), int(start + weeks * WEEK)
    layers = [
        _Layer(rota.name, sorted(rota.pieces(begin, end), key=lambda piece: (piece.start, piece.turn)), [])
        for rota in schedule.rotas
    ]
    edges = sorted(edge for edge in _edges(schedule, layers, begin, end) if begin < edge < end)
    gaps, overlaps, shifts = _Spans(), _Spans(), _Shifts()
    for low, high in zip([begin, *edges], [*edges, end], strict=True):
        reached = [(layer.name, layer.reach(low)) for layer in layers]
        cover = _cover(schedule, low, reached)
        shifts.add(low, high, cover.on)
        if not cover.on and not cover.meant and schedule.asked(low):
            gaps.add(low, high)
        if _is_double(reached, cover):
            overlaps.add(low, high)
    return Forecast(begin, end, tuple(shifts.finish()), tuple(gaps.found), tuple(overlaps.found))


def _cover(schedule: Schedule, at: int, reached: list[tuple[str, list[Piece]]]) -> Cover:
    recorded = schedule.history.at(at)
    if recorded is not None:
        return Cover(tuple(recorded.values()), meant=True)
    return schedule.settle(at, ((name, [piece.people for piece in pieces]) for name, pieces in reversed(reached)))


def _is_double(reached: list[tuple[str, list[Piece]]], cover: Cover) -> bool:
    """Whether the layer that people are on duty by has several turns at once, of different people."""
    by = {one.by for one in cover.on if one.source == "layer"}
    return any(name in by and len({piece.people for piece in pieces}) > 1 for name, pieces in reached)


def _edges(schedule: Schedule, layers: list[_Layer], begin: int, end: int) -> set[int]:
    edges = {edge for layer in layers for piece in layer.pieces for edge in (piece.start, piece.end)}
    edges |= {_up(rota.begins) for rota in schedule.rotas if math.isfinite(rota.begins)}
    edges |= {edge for spans in schedule.away.values() for span in spans for edge in span}
    edges |= {_up(edge) for one in schedule.overrides for edge in (one.start, one.end)}
    for temporary in schedule.temporaries:
        edges |= {_up(edge) for start, until, _ in temporary.shifts for edge in (start, until)}
        edges |= {_up(temporary.start), _up(temporary.end)}
    if schedule.history.until > begin:
        edges |= {_up(since) for since, _ in schedule.history.entries} | {_up(schedule.history.until)}
    if schedule.covers is not None:
        edges |= {edge for span in schedule.covers.spans(schedule.clock, begin, end) for edge in span}
    return edges


def _up(edge: float) -> int:
    """The first whole second from which on something counts."""
    return -int(-edge // 1)


class _Spans:
    """Spans, joined where one ends as the next begins."""

    def __init__(self) -> None:
        self.found: list[Span] = []

    def add(self, low: int, high: int) -> None:
        if self.found and self.found[-1][1] == low:
            self.found[-1] = (self.found[-1][0], high)
        else:
            self.found.append((low, high))


class _Shifts:
    """Shifts of each person, joined likewise if they have the same reason, or a part of them is recorded."""

    def __init__(self) -> None:
        self._open: dict[str, Shift] = {}
        self._done: list[Shift] = []

    def add(self, low: int, high: int, on: tuple[OnDuty, ...]) -> None:
        still: dict[str, Shift] = {}
        for one in on:
            before = self._open.get(one.person)
            joined = before is not None and (before.on == one or "recorded" in (before.on.source, one.source))
            start = before.start if joined and before is not None else low
            still[one.person] = Shift(start, high, one.person, one)
        self._done += [shift for person, shift in self._open.items() if not _goes_on(shift, still.get(person))]
        self._open = still

    def finish(self) -> Iterator[Shift]:
        yield from sorted([*self._done, *self._open.values()], key=lambda shift: (shift.start, shift.person))


def _goes_on(shift: Shift, later: Shift | None) -> bool:
    return later is not None and later.start == shift.start
