"""What a schedule asks of each person, and how good it is, from a forecast or from what was recorded.

quality is 0 to 100: 60 for being covered, 40 for being shared fairly. The first part falls with the share of time that
is a gap, ten times as fast, so that a day of ten without anybody leaves none of it. The second falls with how far the
burdens of those who take part lie apart: half the sum of the distances from the mean, as a share of all burden, is 0
if all carry the same. An hour of burden counts once, at night, at a weekend and on a holiday each once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mainstay.kernel.wall import DAY, WallClock
from mainstay.oncall.rules.duty import Schedule
from mainstay.oncall.rules.forecast import Forecast, Shift

NIGHT = (22 * 3600, 30 * 3600)  # seconds after midnight: 22:00 to 06:00


@dataclass(slots=True)
class Burden:
    """Hours of one person, and how many nights, weekends and holidays have any of them."""

    person: str
    hours: float = 0.0
    night_hours: float = 0.0
    weekend_hours: float = 0.0
    holiday_hours: float = 0.0
    nights: int = 0
    weekends: int = 0
    holidays: int = 0

    @property
    def weight(self) -> float:
        return self.hours + self.night_hours + self.weekend_hours + self.holiday_hours


@dataclass(frozen=True, slots=True)
class Fairness:
    """By person, those who carry most first; `quality` 0 to 100; `covered` is the share of time without a gap."""

    burdens: tuple[Burden, ...]
    quality: int
    covered: float


def fairness(schedule: Schedule, seen: Forecast) -> Fairness:
    """Figures of a forecast."""
    by_person: dict[str, list[Shift]] = {}
    for shift in seen.shifts:
        by_person.setdefault(shift.person, []).append(shift)
    burdens = [_burden(person, shifts, schedule) for person, shifts in by_person.items()]
    length = max(seen.end - seen.start, 1)
    missing = sum(end - start for start, end in seen.gaps) / length
    quality = 60 * max(0.0, 1 - 10 * missing) + 40 * _evenness(burdens)
    ranked = sorted(burdens, key=lambda one: (-one.weight, one.person))
    return Fairness(tuple(ranked), round(quality) if burdens else 0, 1 - missing)


def _burden(person: str, shifts: Iterable[Shift], schedule: Schedule) -> Burden:
    own, clock = Burden(person), schedule.clock
    nights: set[int] = set()
    weekends: set[int] = set()
    holidays: set[int] = set()
    for shift in shifts:
        own.hours += (shift.end - shift.start) / 3600
        for day in _days(clock, shift):
            night = _overlap(clock, shift, day * DAY + NIGHT[0], day * DAY + NIGHT[1])
            whole = _overlap(clock, shift, day * DAY, (day + 1) * DAY)
            own.night_hours += night
            if night:
                nights.add(day)
            if whole and (day + 3) % 7 >= 5:
                own.weekend_hours += whole
                weekends.add((day + 3) // 7)
            if whole and day in schedule.holidays:
                own.holiday_hours += whole
                holidays.add(day)
    own.nights, own.weekends, own.holidays = len(nights), len(weekends), len(holidays)
    return own


def _days(clock: WallClock, shift: Shift) -> Iterator[int]:
    """The day before as well: its night may last into the shift."""
    yield from range(clock.wall(shift.start) // DAY - 1, clock.wall(shift.end - 1) // DAY + 1)


def _overlap(clock: WallClock, shift: Shift, begin: int, end: int) -> float:
    """Hours of the shift between two wall-clock times."""
    return max(0, min(shift.end, clock.first(end)) - max(shift.start, clock.first(begin))) / 3600


def _evenness(burdens: list[Burden]) -> float:
    """1 if all carry the same, 0 if one of many carries all; 1 for one alone."""
    total = sum(one.weight for one in burdens)
    if not total or len(burdens) == 1:
        return 1.0
    mean = total / len(burdens)
    apart = sum(abs(one.weight - mean) for one in burdens) / 2 / total
    return 1 - apart / (1 - 1 / len(burdens))
