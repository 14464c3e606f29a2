"""Whose turn it is in one layer of a schedule.

Turns are counted on the wall clock from an anchor, so they never drift where clocks are set, and they go on while the
layer does not apply: `only`, holidays and absences restrict, they do not shift. Turn 0 begins at the anchor.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from mainstay.kernel.hours import Hours, Span, parse_hours
from mainstay.kernel.wall import DAY, WallClock, clock_of, midnight, shown, wall_of
from mainstay.oncall.spec import Layer, Rotation, parse_handover

_SECONDS = {"hourly": 3600, "daily": DAY, "weekly": 7 * DAY}
_NEAR = 4  # turns that may reach over a moment where the clock falls back: of an hour, by three hours
_FIRST_MONDAY = date(2024, 1, 1)  # where turns are counted from if nothing is said: a Monday, and the first of a month


@dataclass(frozen=True, slots=True)
class Place:
    """A slot of the rotation; `start` and `until` are wall-clock times."""

    people: tuple[str, ...]  # none: nobody, on purpose
    start: float = -math.inf
    until: float = math.inf

    def takes_part(self, wall: float) -> bool:
        return self.start <= wall < self.until


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a turn, in epoch seconds. `people` None: everybody of the rotation has left, or has not come yet."""

    start: int
    end: int
    people: tuple[str, ...] | None
    turn: int


@dataclass(frozen=True, slots=True)
class _Era:
    """From a turn on, until the next era, the same places take part."""

    turn: int
    order: tuple[int, ...]  # places that take part
    first: int  # position in `order` of who has that turn


@dataclass(slots=True)
class Rota:
    """A layer, made ready to be asked."""

    name: str
    clock: WallClock
    rotation: Rotation
    anchor: int  # wall-clock time
    period: int  # seconds, or months of a monthly rotation
    monthday: int
    places: tuple[Place, ...]
    begins: float = -math.inf  # instants within which it applies
    ends: float = math.inf
    only: Hours | None = None
    days: tuple[frozenset[int], bool] | None = (
        None  # holidays since 1970, and whether it applies on these (or the rest)
    )
    _eras: list[_Era] = field(default_factory=list)
    _era_turns: list[int] = field(default_factory=list)
    _changes: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        edges = {edge for place in self.places for edge in (place.start, place.until)}
        self._changes = sorted(edge for edge in edges if math.isfinite(edge))
        self._eras = list(self._make_eras())
        self._era_turns = [era.turn for era in self._eras]

    # Turns on the wall clock -----------------------------------------------------------------------------------

    def turn_at(self, wall: int) -> int:
        """The number of the turn that a wall-clock time lies in; below 0 before the anchor."""
        if self.rotation != "monthly":
            return (wall - self.anchor) // self.period
        here, origin = shown(wall), shown(self.anchor)
        turn = ((here.year - origin.year) * 12 + here.month - origin.month) // self.period
        while self.begin(turn) > wall:
            turn -= 1
        while self.begin(turn + 1) <= wall:
            turn += 1
        return turn

    def begin(self, turn: int) -> int:
        """The wall-clock time at which a turn begins."""
        if self.rotation != "monthly":
            return self.anchor + turn * self.period
        origin = shown(self.anchor)
        months = origin.year * 12 + origin.month - 1 + turn * self.period
        year, month = divmod(months, 12)
        last = monthrange(year, month + 1)[1]
        day = last if self.monthday == -1 else min(self.monthday, last)
        return wall_of(origin.replace(year=year, month=month + 1, day=day))

    # Who has a turn --------------------------------------------------------------------------------------------

    def _make_eras(self) -> Iterator[_Era]:
        everyone = range(len(self.places))
        origin = -math.inf if math.isinf(self.begins) else self.clock.wall(self.begins)
        order = tuple(index for index in everyone if self.places[index].takes_part(origin))
        last = _Era(0, order, 0)
        yield last
        for change in (change for change in self._changes if change > origin):
            turn = self.turn_at(int(change))
            turn += self.begin(turn) < change
            order = tuple(index for index in everyone if self.places[index].takes_part(self.begin(turn)))
            if order == last.order:
                continue
            came = _of(last, turn - 1)  # the turn goes on to whoever stands next in the whole rotation
            first = 0 if came is None else next((n for n, index in enumerate(order) if index > came), 0)
            last = _Era(turn, order, first)
            yield last

    def _place(self, turn: int) -> int | None:
        found = bisect_right(self._era_turns, turn, lo=1) - 1
        return _of(self._eras[found], turn)

    def _holder(self, turn: int, wall: float) -> tuple[str, ...] | None:
        """Who has the turn at this time of it: its place, or the next in order once that has left."""
        own = self._place(turn) or 0
        count = len(self.places)
        for step in range(count):
            place = self.places[(own + step) % count]
            if place.takes_part(wall):
                return place.people
        return None

    def pieces_of(self, turn: int) -> Iterator[Piece]:
        """The turn, cut where somebody leaves in the middle of it. Empty where the clock leaps over all of it."""
        begin, end = self.begin(turn), self.begin(turn + 1)
        low, high = bisect_right(self._changes, begin), bisect_right(self._changes, end - 1)
        edges = [begin, *(int(change) for change in self._changes[low:high]), end]
        for start, until in pairwise(edges):
            first = self.clock.first(start)
            # Somebody who leaves at midnight is gone at the first midnight: what follows is the next one's.
            last = self.clock.last(until) if until == end else self.clock.first(until)
            if first < last:
                yield Piece(first, last, self._holder(turn, start), turn)

    # Pieces in time --------------------------------------------------------------------------------------------

    def at(self, at: float) -> list[Piece]:
        """What covers an instant: one piece, or several where the clock falls back. None where it does not apply."""
        if not self.begins <= at < self.ends or not self._applies(at):
            return []
        here = self.turn_at(self.clock.wall(at))
        return [piece for turn in self._turns_near(here, at) for piece in self.pieces_of(turn) if _covers(piece, at)]

    def _turns_near(self, here: int, at: float) -> list[int]:
        """Beside the turn that the clock shows: earlier ones that last, later ones that began before it was set."""
        turns = [here]
        earlier, later = here - 1, here + 1
        while self.clock.last(self.begin(earlier + 1)) > at:
            turns.insert(0, earlier)
            earlier -= 1
        while self.clock.first(self.begin(later)) <= at:
            turns.append(later)
            later += 1
        return turns

    def _applies(self, at: float) -> bool:
        if self.only is not None and not self.only.covers(self.clock, at):
            return False
        return self.days is None or any(start <= at < end for start, end in self._day_spans(at, at))

    def pieces(self, begin: float, end: float) -> list[Piece]:
        """Every piece that overlaps begin..end, cut to where the layer applies, in order."""
        low, high = max(begin, self.begins), min(end, self.ends)
        if low >= high:
            return []
        turns = range(self.turn_at(self.clock.wall(low)) - _NEAR, self.turn_at(self.clock.wall(high)) + _NEAR + 1)
        found = [piece for turn in turns for piece in self.pieces_of(turn)]
        found = [piece for piece in found if piece.start < high and piece.end > low]
        if math.isfinite(self.begins) or math.isfinite(self.ends):
            found = list(_cut(found, [(_whole(self.begins), _whole(self.ends))]))
        if self.only is not None:
            found = list(_cut(found, self.only.spans(self.clock, low, high)))
        if self.days is not None:
            found = list(_cut(found, self._day_spans(low, high)))
        return found

    def _day_spans(self, low: float, high: float) -> list[Span]:
        """The days on which it applies, neighbours joined."""
        days, wanted = self.days or (frozenset(), False)
        spans: list[Span] = []
        for day in range(self.clock.wall(low) // DAY - 1, self.clock.wall(high) // DAY + 2):
            if (day in days) == wanted:
                start, end = self.clock.first(day * DAY), self.clock.first((day + 1) * DAY)
                if spans and spans[-1][1] >= start:
                    spans[-1] = (spans[-1][0], end)
                elif start < end:
                    spans.append((start, end))
        return spans


def _of(era: _Era, turn: int) -> int | None:
    return era.order[(era.first + turn - era.turn) % len(era.order)] if era.order else None


def _covers(piece: Piece, at: float) -> bool:
    return piece.start <= at < piece.end


def _whole(edge: float) -> int:
    return int(max(-1e15, min(edge, 1e15)))


def _cut(pieces: list[Piece], spans: list[Span]) -> Iterator[Piece]:
    """The parts of pieces that lie in the spans; both in order."""
    skip = 0
    for piece in pieces:
        while skip < len(spans) and spans[skip][1] <= piece.start - DAY:  # pieces overlap a little, spans do not
            skip += 1
        at = skip
        while at < len(spans) and spans[at][0] < piece.end:
            start, end = spans[at]
            at += 1
            if end > piece.start:
                yield Piece(max(piece.start, start), min(piece.end, end), piece.people, piece.turn)


def rota_of(layer: Layer, position: int, zone: str, holidays: frozenset[int] = frozenset()) -> Rota:
    """A declared layer, made ready. `holidays`: days since 1970."""
    clock = clock_of(zone)
    day, seconds = parse_handover(layer.rotation, layer.handover)
    start = layer.start or _FIRST_MONDAY
    only = parse_hours(layer.only) if layer.only else None
    return Rota(
        name=layer.name or str(position + 1),
        clock=clock,
        rotation=layer.rotation,
        anchor=_anchor(layer, start, day, seconds),
        period=_period(layer),
        monthday=day,
        places=tuple(
            Place(
                tuple(slot.people),
                -math.inf if slot.start is None else midnight(slot.start),
                math.inf if slot.until is None else midnight(slot.until),
            )
            for slot in layer.people
        ),
        begins=-math.inf if layer.start is None else clock.first(midnight(layer.start) + seconds),
        ends=math.inf if layer.until is None else clock.last(midnight(layer.until) + seconds),
        only=only,
        days=None if layer.holidays == "include" else (holidays, layer.holidays == "only"),
    )


def _period(layer: Layer) -> int:
    if layer.every is not None:
        return int(layer.every)
    return layer.length * _SECONDS.get(layer.rotation, 1)


def _anchor(layer: Layer, start: date, day: int, seconds: int) -> int:
    """The last handover that is not later than the first day's: a first turn may so be shorter than the others."""
    if layer.rotation == "weekly":
        return midnight(start - timedelta(days=(start.weekday() - day) % 7)) + seconds
    if layer.rotation == "monthly":
        last = monthrange(start.year, start.month)[1]
        own = start.replace(day=last if day == -1 else min(day, last))
        if own > start:
            before = start.replace(day=1) - timedelta(days=1)
            own = before if day == -1 else before.replace(day=min(day, before.day))
        return midnight(own) + seconds
    return midnight(start) + seconds
