"""Hours of the week, as people write them: when somebody is asked, works, or is left alone.

    hours  = period *( ";" period )
    period = days [ HH:MM "-" HH:MM ] | HH:MM "-" HH:MM     without times: the whole day
    days   = day *( "," day ) | "daily" | "weekdays" | "weekends"
    day    = weekday [ "-" weekday ]                        `mon`, `monday`, `fri-mon`

An end at or before the start lies on the next day; 24:00 is allowed. Clock changes: `kernel.wall`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mainstay.kernel.wall import DAY, WallClock

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EXAMPLE = "such as `mon-fri 09:00-18:00` or `22:00-07:00; sat,sun`"
_TIMES = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_NAMED = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
_AHEAD = 15  # days within which every period of a week has come, a leap over a whole day included
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Period:
    """`weekdays` 0 is Monday; `start` and `end` in seconds after midnight, the end perhaps on the next day."""

    weekdays: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """Some periods of every week."""

    periods: tuple[Period, ...]

    def covers(self, clock: WallClock, at: float) -> bool:
        """Whether an instant lies in one of them."""
        return any(start <= at < end for start, end in self._each(clock, at, at))

    def spans(self, clock: WallClock, begin: float, end: float) -> list[Span]:
        """(start, end) in epoch seconds, in order and merged, of what overlaps begin..end; not cut to it."""
        found = sorted(self._each(clock, begin, end))
        merged: list[Span] = []
        for start, until in found:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], until))
            else:
                merged.append((start, until))
        return merged

    def span_at(self, clock: WallClock, at: float) -> Span | None:
        """The span that an instant lies in, merged with those that touch it within two days; None if in none."""
        near = self.spans(clock, at - 2 * DAY, at + 2 * DAY)
        return next((span for span in near if span[0] <= at < span[1]), None)

    def next_start(self, clock: WallClock, at: float) -> float | None:
        """When the first span after `at` begins; None if there is none."""
        return next((float(start) for start, _ in self.spans(clock, at, at + _AHEAD * DAY) if start > at), None)

    def _each(self, clock: WallClock, begin: float, end: float) -> Iterator[Span]:
        """A period that began the day before may last, and one of the day after begin earlier where a clock is set."""
        for day in range(clock.wall(begin) // DAY - 1, clock.wall(end) // DAY + 2):
            for period in self.periods:
                if (day + 3) % 7 in period.weekdays:  # 1970-01-01 was a Thursday
                    start, until = clock.first(day * DAY + period.start), clock.last(day * DAY + period.end)
                    if start < until and start <= end and until > begin:
                        yield start, until


@lru_cache(maxsize=512)
def parse_hours(text: str) -> Hours:
    """ValueError with an example if the text names no hours."""
    return Hours(tuple(_period(part.strip(), text) for part in text.lower().split(";")))


def parse_weekday(text: str) -> int:
    """0 for `mon` or `monday`; ValueError otherwise."""
    for number, name in enumerate(WEEKDAYS):
        if text in (name, name[:3]):
            return number
    raise ValueError(f"`{text[:20]}` is not a weekday such as mon")


def parse_clock(text: str) -> int:
    """Seconds after midnight of `09:00`; ValueError otherwise."""
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError(f"`{text[:20]}` is not a time of day such as 09:00")
    return (int(found[1]) * 60 + int(found[2])) * 60


def _period(part: str, text: str) -> Period:
    found = _TIMES.search(part)
    named = (part[: found.start()] if found else part).strip()
    if (found and found.end() != len(part)) or not part:
        raise ValueError(f"`{text[:60]}` is not a list of hours {_EXAMPLE}")
    try:
        weekdays = _weekdays(named) if named else frozenset(range(7))
    except ValueError as error:
        raise ValueError(f"`{text[:60]}` is not a list of hours {_EXAMPLE}: {error}") from None
    if found is None:
        return Period(weekdays, 0, DAY)
    from_hour, from_minute, to_hour, to_minute = (int(number) for number in found.groups())
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if from_hour > 23 or from_minute > 59 or to_minute > 59 or end > 24 * 60:
        raise ValueError(f"`{text[:60]}` has a time that does not exist")
    return Period(weekdays, start * 60, (end if end > start else end + 24 * 60) * 60)


def _weekdays(named: str) -> frozenset[int]:
    if named in _NAMED:
        return frozenset(_NAMED[named])
    found: set[int] = set()
    for part in named.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        begin = parse_weekday(first)
        end = parse_weekday(last) if dash else begin
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)
