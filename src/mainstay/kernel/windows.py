"""Recurring maintenance windows: the rule language and when a rule is active.

    rule  = day " " HH:MM "-" HH:MM      an end at or before the start lies on the next day; 24:00 is allowed
    day   = "daily" | "weekdays" | "weekends" | weekday | ordinal " " weekday | "day " 1..31 | "last day"
    ordinal = first second third fourth fifth last

Times are wall-clock times of the rule's zone. Where a clock change skips or repeats a time, PEP 495's
first reading (fold=0) counts, and a window lasts from the instant of its start to the instant of its end:
an hour less or more on the day of the change. One whose end the change puts before its start (02:30-03:00
where 02:00 is followed by 03:00) lasts as long as its times say, from its start.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
_TIMES = re.compile(r"(.+?)\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_EXAMPLE = "such as `daily 02:00-04:00`, `sunday 01:00-02:00` or `first tuesday 02:00-04:00`"


@dataclass(frozen=True, slots=True)
class Rule:
    """`weekday` 0 is Monday; `ordinal` 1..5 or -1 (last) of the month; `monthday` 1..31 or -1 (last)."""

    weekdays: frozenset[int]
    ordinal: int | None
    monthday: int | None
    start: int  # minutes after midnight
    length: int  # minutes on the clock

    def falls_on(self, day: date) -> bool:
        """Whether a window of this rule begins on this local day."""
        last = calendar.monthrange(day.year, day.month)[1]
        if self.monthday is not None:
            return day.day == (last if self.monthday == -1 else self.monthday)
        if day.weekday() not in self.weekdays:
            return False
        if self.ordinal is None:
            return True
        return day.day + 7 > last if self.ordinal == -1 else (day.day - 1) // 7 + 1 == self.ordinal


def parse_rule(text: str) -> Rule:
    """ValueError with an example if the text is not a rule."""
    found = _TIMES.fullmatch(" ".join(text.lower().split()))
    if found is None:
        raise ValueError(f"`{text[:60]}` is not a rule {_EXAMPLE}")
    day, *numbers = found.groups()
    from_hour, from_minute, to_hour, to_minute = (int(number) for number in numbers)
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if from_hour > 23 or from_minute > 59 or to_minute > 59 or end > 24 * 60:
        raise ValueError(f"`{text[:60]}` has a time that does not exist")
    length = end - start if end > start else end - start + 24 * 60
    weekdays, ordinal, monthday = _parse_day(day, text)
    return Rule(weekdays, ordinal, monthday, start, length)


def _parse_day(day: str, text: str) -> tuple[frozenset[int], int | None, int | None]:
    words = day.split()
    plain = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
    if day in plain:
        return frozenset(plain[day]), None, None
    if day in _WEEKDAYS:
        return frozenset({_WEEKDAYS.index(day)}), None, None
    if day == "last day":
        return frozenset(), None, -1
    if len(words) == 2 and words[0] == "day" and words[1].isascii() and words[1].isdigit() and 1 <= int(words[1]) <= 31:
        return frozenset(), None, int(words[1])
    if len(words) == 2 and words[0] in _ORDINALS and words[1] in _WEEKDAYS:
        return frozenset({_WEEKDAYS.index(words[1])}), _ORDINALS[words[0]], None
    raise ValueError(f"`{text[:60]}` does not begin with a day {_EXAMPLE}")


def rule_words(rule: Rule) -> str:
    """As a calendar says it: `first Tuesday of every month, 02:00 to 04:00`."""
    end = (rule.start + rule.length) % (24 * 60)
    later = " the next day" if end and rule.start + rule.length > 24 * 60 else ""
    return f"{_day_words(rule)}, {_clock(rule.start)} to {_clock(end or 24 * 60)}{later}"


def _day_words(rule: Rule) -> str:
    if rule.monthday is not None:
        return "last day of every month" if rule.monthday == -1 else f"day {rule.monthday} of every month"
    named = {frozenset(range(7)): "every day", frozenset(range(5)): "Monday to Friday", frozenset({5, 6}): "weekends"}
    if rule.weekdays in named:
        return named[rule.weekdays]
    (weekday,) = rule.weekdays
    name = _WEEKDAYS[weekday].capitalize()
    ordinal = next((word for word, number in _ORDINALS.items() if number == rule.ordinal), None)
    return f"every {name}" if ordinal is None else f"{ordinal} {name} of every month"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _instant(day: date, minutes: int, zone: ZoneInfo) -> float:
    local = datetime.combine(day, time(), zone) + timedelta(minutes=minutes)  # wall-clock arithmetic
    return local.astimezone(UTC).timestamp()


def _period(rule: Rule, day: date, zone: ZoneInfo) -> tuple[float, float]:
    """(start, end) of the window that begins on this local day."""
    start, end = _instant(day, rule.start, zone), _instant(day, rule.start + rule.length, zone)
    return start, end if end > start else start + rule.length * 60


def period_at(rule: Rule, zone: ZoneInfo, now: float) -> tuple[float, float] | None:
    """(start, end) in epoch seconds of the window that `now` lies in, or None."""
    today = datetime.fromtimestamp(now, zone).date()
    for day in (today, today - timedelta(days=1)):
        if rule.falls_on(day):
            start, end = _period(rule, day, zone)
            if start <= now < end:
                return start, end
    return None


def next_period(rule: Rule, zone: ZoneInfo, now: float, *, days: int = 800) -> tuple[float, float] | None:
    """(start, end) of the first window that begins after `now`, looking `days` ahead."""
    today = datetime.fromtimestamp(now, zone).date()
    for ahead in range(days):
        day = today + timedelta(days=ahead)
        if rule.falls_on(day):
            start, end = _period(rule, day, zone)
            if start > now:
                return start, end
    return None
