"""When something is due by an OnCalendar expression, as systemd's timers have them.

Grammar: CALENDAR EVENTS in systemd.time(7): `[weekdays] [[year-]month-day] [hour:minute[:second]] [zone]`, or a word
such as `daily`. A time that a clock change skips is left out; one that it repeats counts once, the first time.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mainstay.kernel.zones import check_zone

_LAST_YEAR = 2199  # where systemd ends, too
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}
_DATE = re.compile(r"(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)")


@dataclass(frozen=True, slots=True)
class OnCalendar:
    """One expression. `days` of a month count from 1, or from -1 backwards; `zone` None: that of the question."""

    weekdays: frozenset[int]  # 0: Monday
    years: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    zone: ZoneInfo | None = None

    def next_after(self, after: float, zone: ZoneInfo) -> float | None:
        """Epoch seconds of the first due time later than `after`; None if there is none before the year 2200."""
        there = self.zone or zone
        begin = datetime.fromtimestamp(after, there)
        for day in self._days_from(begin.date()):
            for moment in self._times_from(begin.time() if day == begin.date() else time()):
                wall = datetime.combine(day, moment, there)
                due = wall.timestamp()
                if due > after and datetime.fromtimestamp(due, there).time() == moment:
                    return due
        return None

    def _days_from(self, day: date) -> Iterator[date]:
        while day.year <= _LAST_YEAR:
            if day.year not in self.years or day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            from_end = day.day - monthrange(day.year, day.month)[1] - 1
            if day.weekday() in self.weekdays and (day.day in self.days or from_end in self.days):
                yield day
            day += timedelta(days=1)

    def _times_from(self, begin: time) -> Iterator[time]:
        for hour in self.hours:
            for minute in self.minutes if hour >= begin.hour else ():
                for second in self.seconds if (hour, minute) >= (begin.hour, begin.minute) else ():
                    if (hour, minute, second) >= (begin.hour, begin.minute, begin.second):
                        yield time(hour, minute, second)


def parse_on_calendar(expression: str) -> OnCalendar:
    """ValueError with the part that cannot be read."""
    words = expression.split()
    zone = None
    if len(words) > 1 and words[-1][0].isalpha() and not _is_weekdays(words[-1]):
        zone = ZoneInfo(check_zone(words.pop()))
    if len(words) == 1:
        words = _WORDS.get(words[0].lower(), words[0]).split()
    clock = words.pop() if words and ":" in words[-1] else "00:00:00"
    dated = words.pop() if words and words[-1][0] in "0123456789*" else "*-*-*"
    named = " ".join(words).removesuffix(",")
    if not expression.strip() or len(words) > 1:
        raise ValueError("it has the form `[weekdays] [year-month-day] [hour:minute:second] [zone]`")
    hours, minutes, seconds = _clock(clock)
    years, months, days = _date(dated)
    weekdays = _weekdays(named) if named else frozenset(range(7))
    return OnCalendar(weekdays, years, months, days, hours, minutes, seconds, zone)


def _clock(text: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(f"`{text}` is not a time such as 02:30 or 02:30:00")
    hours, minutes = _numbers(parts[0], "hour", 0, 23), _numbers(parts[1], "minute", 0, 59)
    seconds = _numbers(parts[2] if len(parts) == 3 else "0", "second", 0, 59)
    return tuple(sorted(hours)), tuple(sorted(minutes)), tuple(sorted(seconds))


def _date(text: str) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"`{text}` is not a date such as *-*-01, 12-24 or *-02~01")
    year, month, separator, day = found.groups()
    years = frozenset(_numbers(year, "year", 1970, _LAST_YEAR)) if year else frozenset(range(1970, _LAST_YEAR + 1))
    months = frozenset(_numbers(month, "month", 1, 12))
    if separator == "-":
        return years, months, frozenset(_numbers(day, "day", 1, 31))
    return years, months, frozenset(_days_from_end(day))


def _days_from_end(text: str) -> set[int]:
    """Backwards from -1: `01` is the last day, `07/1` each of the last seven (a step leads on to the end of the month),
    `1..9/4` the last, the fifth and the ninth from the end."""
    if text == "*":
        return set(range(-31, 0))
    days: set[int] = set()
    for part in text.split(","):
        if "/" in part and ".." not in part:
            first, _, step = part.partition("/")
            days |= set(range(-_number(first, "day", 1, 28), 0, _number(step, "step", 1, 9999)))
        else:
            days |= {-day for day in _numbers(part, "day", 1, 28)}
    return days


def _numbers(text: str, what: str, low: int, high: int) -> set[int]:
    """`*`, or values, ranges `a..b` and repetitions `a/n` and `a..b/n`, with commas between them."""
    if text == "*":
        return set(range(low, high + 1))
    found: set[int] = set()
    for part in text.split(","):
        value, slash, step = part.partition("/")
        first, dots, last = value.partition("..")
        begin = _number(first, what, low, high)
        end = _number(last, what, low, high) if dots else high if slash else begin
        if end < begin:
            raise ValueError(f"`{value}` is not a range of {what}s")
        found |= set(range(begin, end + 1, _number(step, "step", 1, 9999) if slash else 1))
    return found


def _number(text: str, what: str, low: int, high: int) -> int:
    if re.fullmatch(r"[0-9]{1,4}", text):
        number = int(text)
        if what == "year" and number < 100:
            number += 2000 if number < 70 else 1900
        if low <= number <= high:
            return number
    raise ValueError(f"`{text}` is not a valid {what}, {low} to {high}")


def _is_weekdays(text: str) -> bool:
    try:
        return bool(_weekdays(text.removesuffix(",")))
    except ValueError:
        return False


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().replace("-", "..").split(","):
        first, dots, last = part.partition("..")
        begin = _weekday(first)
        end = _weekday(last) if dots else begin
        if end < begin:
            raise ValueError(f"`{part}` is not a range of weekdays: weeks start on Monday")
        found |= set(range(begin, end + 1))
    return frozenset(found)


def _weekday(text: str) -> int:
    for number, name in enumerate(_WEEKDAYS):
        if text in (name, name[:3]):
            return number
    raise ValueError(f"`{text}` is not a weekday such as Mon")
