"""What clocks show, minute by minute: an oracle for schedules and windows that knows nothing of how they are computed.

It asks the zone database what the clock shows at each minute of UTC, and looks the answers up backwards. Rules:

Cron, as Debian's cron(8) says ("local time changes of less than three hours, such as those caused by the start or
end of Daylight Saving Time, are handled specially. This only applies to jobs that run at a specific time and jobs
that are run with a granularity greater than one hour. Jobs that run more frequently are scheduled normally"):
    a job with `*` minutes or hours is due whenever the clock shows a time that fits
    another is due the first time that the clock shows such a time; those that a change skips are due together, in
    the first minute after the gap

OnCalendar: whenever the clock shows such a time, the first time if it does so twice; never on days that skip it.

Windows, as mainstay.kernel.windows says: from the instant at which the clock first shows the beginning to the one at
which it first shows the end; what a change skips lies as long after the last minute before the gap as the clock says;
a window that would end before it begins lasts as long as its times say.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = 60
_DAY = 1440
_EDGE = 3 * _DAY  # minutes around the time looked at
_EPOCH = date(1970, 1, 1)


class WallClock:
    """One zone from `begin` to `end` (epoch minutes). Wall minutes count from 1970 on the clock of the zone."""

    def __init__(self, zone: str, begin: int, end: int) -> None:
        self.zone, self.begin, self.end = ZoneInfo(zone), begin, end
        first = begin - _EDGE
        self._first = first
        self.shown = array("l", (self._wall(minute) for minute in range(first, end + _EDGE)))
        self._base = min(self.shown)
        self._seen = array("l", [-1]) * (max(self.shown) - self._base + 1)
        for index, wall in enumerate(self.shown):
            if self._seen[wall - self._base] < 0:
                self._seen[wall - self._base] = index

    def _wall(self, minute: int) -> int:
        local = datetime.fromtimestamp(minute * MINUTE, self.zone)
        return (local.toordinal() - _EPOCH.toordinal()) * _DAY + local.hour * 60 + local.minute

    def wall(self, minute: int) -> int:
        """The wall minute shown at this minute of UTC."""
        return self.shown[minute - self._first]

    def first_shown(self, wall: int) -> int | None:
        """The first minute of UTC at which the clock shows it; None if a change skips it."""
        index = self._seen[wall - self._base]
        return None if index < 0 else index + self._first

    def instant(self, wall: int) -> int:
        """The same; what is skipped is counted on from the last minute before the gap."""
        found, back = self.first_shown(wall), 0
        while found is None:
            back += 1
            found = self.first_shown(wall - back)
        return found + back

    def changes(self) -> list[int]:
        """Minutes of UTC at which the clock jumps."""
        pairs = zip(self.shown, self.shown[1:], strict=False)
        return [self._first + 1 + index for index, (one, two) in enumerate(pairs) if two != one + 1]

    def days(self) -> Iterator[date]:
        """Every local day that may matter, also one that is skipped as a whole."""
        day, last = _day(self.shown[_DAY]), _day(self.shown[-2 * _DAY])
        while day <= last:
            yield day
            day += timedelta(days=1)


def _day(wall: int) -> date:
    return _EPOCH + timedelta(days=wall // _DAY)


@dataclass(frozen=True, slots=True)
class Job:
    """A cron or OnCalendar expression and, in other words, what it means."""

    expression: str
    minutes: range
    hours: range
    falls_on: Callable[[date], bool] = lambda day: True

    @property
    def is_frequent(self) -> bool:
        return self.expression.startswith("*") or self.expression.split()[1].startswith("*")

    def times(self) -> list[int]:
        return [hour * 60 + minute for hour in self.hours for minute in self.minutes]


JOBS = (
    Job("30 2 * * *", range(30, 31), range(2, 3)),
    Job("0 0 * * *", range(1), range(1)),
    Job("15,45 0-3 * * 0", range(15, 46, 30), range(4), lambda day: day.isoweekday() == 7),
    Job("59 23 31 12 *", range(59, 60), range(23, 24), lambda day: (day.month, day.day) == (12, 31)),
    Job("5 1 * 3,4,9-11 *", range(5, 6), range(1, 2), lambda day: day.month in (3, 4, 9, 10, 11)),
    Job("0 12 1 * 1", range(1), range(12, 13), lambda day: day.day == 1 or day.isoweekday() == 1),
    Job("*/20 1-3 * * *", range(0, 60, 20), range(1, 4)),
    Job("10 * * * 6", range(10, 11), range(24), lambda day: day.isoweekday() == 6),
    Job("45 */2 * * *", range(45, 46), range(0, 24, 2)),
    Job("40 * * * *", range(40, 41), range(24)),
)


CALENDARS = (
    Job("02:30", range(30, 31), range(2, 3)),
    Job("hourly", range(1), range(24)),
    Job("Sun 00..03:15/30", range(15, 46, 30), range(4), lambda day: day.isoweekday() == 7),
    Job("*-*~01 23:59", range(59, 60), range(23, 24), lambda day: (day + timedelta(days=1)).day == 1),
    Job("Sat,Sun *-03,04,09..11-* *:40", range(40, 41), range(24),
        lambda day: day.month in (3, 4, 9, 10, 11) and day.isoweekday() > 5),
)  # fmt: skip


def shown_minutes(clock: WallClock, job: Job) -> list[int]:
    """Minutes of UTC between the clock's begin and end at which an OnCalendar expression is due, in order."""
    walls = [(day - _EPOCH).days * _DAY + time for day in clock.days() if job.falls_on(day) for time in job.times()]
    due = {found for wall in walls if (found := clock.first_shown(wall)) is not None}
    return sorted(minute for minute in due if clock.begin <= minute < clock.end)


def due_minutes(clock: WallClock, job: Job) -> list[int]:
    """Minutes of UTC between the clock's begin and end at which the job is due, in order."""
    walls = [(day - _EPOCH).days * _DAY + time for day in clock.days() if job.falls_on(day) for time in job.times()]
    due = _showing(clock, set(walls)) if job.is_frequent else {_once(clock, wall) for wall in walls}
    return sorted(minute for minute in due if clock.begin <= minute < clock.end)


def _showing(clock: WallClock, walls: set[int]) -> set[int]:
    return {minute for minute in range(clock.begin, clock.end) if clock.wall(minute) in walls}


def _once(clock: WallClock, wall: int) -> int:
    """The minute at which a job for this wall minute is due."""
    found, later = clock.first_shown(wall), wall
    while found is None:
        later += 1
        found = clock.first_shown(later)
    return found


@dataclass(frozen=True, slots=True)
class Work:
    """A rule of a window and, in other words, what it means: minutes after midnight, and how long on the clock."""

    rule: str
    start: int
    length: int
    falls_on: Callable[[date], bool] = lambda day: True


def _is_last_of_month(day: date) -> bool:
    return (day + timedelta(days=1)).month != day.month


def _is_last_sunday(day: date) -> bool:
    return day.isoweekday() == 7 and (day + timedelta(days=7)).month != day.month


WORKS = (
    Work("daily 02:30-03:00", 150, 30),
    Work("daily 23:15-01:45", 1395, 150),
    Work("weekdays 00:00-24:00", 0, 1440, lambda day: day.isoweekday() < 6),
    Work("sunday 01:00-03:30", 60, 150, lambda day: day.isoweekday() == 7),
    Work("weekends 02:00-02:00", 120, 1440, lambda day: day.isoweekday() > 5),
    Work("last sunday 00:30-02:15", 30, 105, _is_last_sunday),
    Work("second friday 00:05-00:55", 5, 50, lambda day: day.isoweekday() == 5 and 8 <= day.day <= 14),
    Work("day 31 22:00-02:30", 1320, 270, lambda day: day.day == 31),
    Work("last day 23:59-00:01", 1439, 2, _is_last_of_month),
)


def periods(clock: WallClock, work: Work) -> list[tuple[int, int]]:
    """(begin, end) in minutes of UTC of each window, in order."""
    found = []
    for day in clock.days():
        if work.falls_on(day):
            wall = (day - _EPOCH).days * _DAY + work.start
            begin, end = clock.instant(wall), clock.instant(wall + work.length)
            found.append((begin, end if end > begin else begin + work.length))
    return sorted(found)


def within(spans: list[tuple[int, int]], minute: int) -> bool:
    """Whether one of the spans, sorted, covers the minute; only neighbours can overlap."""
    index = bisect_right(spans, (minute, 1 << 60))
    return any(begin <= minute < end for begin, end in spans[max(0, index - 3) : index])


def minutes_of(first: str, last: str) -> tuple[int, int]:
    """Epoch minutes of the beginning of two days in UTC."""
    begin, end = (datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in (first, last))
    return int(begin) // MINUTE, int(end) // MINUTE
