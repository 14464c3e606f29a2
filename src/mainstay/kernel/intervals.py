"""Time intervals in Alertmanager's form, and when one is active.

Fields are ANDed, entries of a field ORed, an absent field fits always (Alertmanager `timeinterval/timeinterval.go`):
times [start, end) as HH:MM, 24:00 allowed; weekdays, months and years as names, numbers or inclusive `a:b` ranges;
days of the month 1..31 or -31..-1 from its end, clamped to the month; `location` an IANA zone, UTC by default.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from mainstay.kernel.windows import parse_rule, period_at
from mainstay.kernel.zones import check_zone

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = tuple(name.lower() for name in calendar.month_name)
_CLOCK = re.compile(r"(\d{2}):(\d{2})")
_LOOK_AHEAD = 800  # days

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """Ranges are inclusive, those of `times` are minutes of the day [start, end). Empty: always."""

    times: Ranges = ()
    weekdays: Ranges = ()  # 0 is Sunday
    days: Ranges = ()
    months: Ranges = ()
    years: Ranges = ()
    zone: ZoneInfo = ZoneInfo("UTC")

    def at(self, moment: float) -> bool:
        """Whether it is active at an epoch second."""
        local = datetime.fromtimestamp(moment, self.zone)
        minute = local.hour * 60 + local.minute
        return self.on(local.date()) and (not self.times or any(start <= minute < end for start, end in self.times))

    def on(self, day: date) -> bool:
        """Whether it may be active on a day of its zone."""
        last = calendar.monthrange(day.year, day.month)[1]
        return (
            _within(self.weekdays, day.isoweekday() % 7)
            and _within(self.months, day.month)
            and _within(self.years, day.year)
            and (not self.days or any(_in_month(day.day, last, start, end) for start, end in self.days))
        )


def _within(ranges: Ranges, value: int) -> bool:
    return not ranges or any(start <= value <= end for start, end in ranges)


def _in_month(day: int, last: int, start: int, end: int) -> bool:
    """Negative days count from the end; what lies outside of the month is clamped to it."""
    begin = start if start > 0 else last + start + 1
    finish = end if end > 0 else last + end + 1
    if begin > last or finish < 1:
        return False
    return max(begin, 1) <= day <= min(finish, last)


def parse_interval(declared: Mapping[str, Any]) -> TimeInterval:
    """ValueError with what is wrong."""
    zone = ZoneInfo(check_zone(declared.get("location") or "UTC"))
    return TimeInterval(
        tuple(_clocks(one) for one in declared.get("times", ())),
        _ranges(declared.get("weekdays", ()), "weekday", _WEEKDAYS, (0, 6)),
        tuple(_days(text) for text in declared.get("days_of_month", ())),
        _ranges(declared.get("months", ()), "month", _MONTHS, (1, 12)),
        _ranges(declared.get("years", ()), "year", (), (0, 9999)),
        zone,
    )


def _clocks(declared: Mapping[str, str]) -> tuple[int, int]:
    start, end = _minutes(declared["start_time"]), _minutes(declared["end_time"])
    if start >= end:
        raise ValueError(f"`{declared['start_time']}` is not before `{declared['end_time']}`")
    return start, end


def _minutes(text: str) -> int:
    found = _CLOCK.fullmatch(text)
    if found is None or (minutes := int(found[1]) * 60 + int(found[2])) > 24 * 60 or int(found[2]) > 59:
        raise ValueError(f"`{text[:60]}` is no time such as 09:00")
    return minutes


def _ranges(texts: Iterable[str], what: str, names: Sequence[str], bounds: tuple[int, int]) -> Ranges:
    return tuple(_range(str(text), what, names, bounds) for text in texts)


def _range(text: str, what: str, names: Sequence[str], bounds: tuple[int, int]) -> tuple[int, int]:
    parts = [_number(part.strip().lower(), what, names, bounds) for part in text.split(":")]
    if len(parts) > 2 or parts[0] > parts[-1]:
        raise ValueError(f"`{text[:60]}` is no {what} and no range of them such as a:b")
    return parts[0], parts[-1]


def _number(text: str, what: str, names: Sequence[str], bounds: tuple[int, int]) -> int:
    if text and text in names:
        return names.index(text)
    if text.isascii() and text.isdigit() and what != "weekday" and bounds[0] <= int(text) <= bounds[1]:
        return int(text)
    raise ValueError(f"`{text[:60]}` is no {what}")


def _days(text: str) -> tuple[int, int]:
    parts = [part.strip() for part in str(text).split(":")]
    if len(parts) > 2 or not all(re.fullmatch(r"-?\d{1,2}", part) and 1 <= abs(int(part)) <= 31 for part in parts):
        raise ValueError(f"`{text[:60]}` is no day of the month (1 to 31, or -31 to -1 from its end) and no range a:b")
    start, end = int(parts[0]), int(parts[-1])
    if start < 0 < end or ((start < 0) == (end < 0) and start > end):
        raise ValueError(f"`{text[:60]}` ends before it starts")
    return start, end


def is_active(rules: Iterable[str], zone: str, intervals: Iterable[Mapping[str, Any]], moment: float) -> bool:
    """Whether any of the rules (see `windows`) or of the intervals is active at an epoch second."""
    place = ZoneInfo(zone)
    if any(period_at(parse_rule(text), place, moment) for text in rules):
        return True
    return any(_kept(_key(one)).at(moment) for one in intervals)


def next_change(rules: Sequence[str], zone: str, intervals: Sequence[Mapping[str, Any]], moment: float) -> float | None:
    """The first epoch second after `moment` at which `is_active` changes; None if it does not for two years."""
    now = is_active(rules, zone, intervals, moment)
    zones = {ZoneInfo(zone), *(_kept(_key(one)).zone for one in intervals)}
    parsed = [parse_rule(text) for text in rules]
    marks = {0, *(minute for one in intervals for pair in _kept(_key(one)).times for minute in pair)}
    marks |= {minute for rule in parsed for minute in (rule.start, rule.start + rule.length)}
    first = datetime.fromtimestamp(moment, UTC).date() - timedelta(days=2)
    for ahead in range(_LOOK_AHEAD):
        day = first + timedelta(days=ahead)
        for edge in sorted({edge for place in zones for mark in marks for edge in _edges(day, mark, place)}):
            if edge > moment and is_active(rules, zone, intervals, edge) != now:
                return edge
    return None


def _edges(day: date, minutes: int, zone: ZoneInfo) -> set[float]:
    """Both readings of a time that a clock change repeats."""
    local = datetime.combine(day, time(), zone) + timedelta(minutes=minutes)
    return {local.replace(fold=fold).astimezone(UTC).timestamp() for fold in (0, 1)}


def _key(interval: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    def frozen(value: Any) -> Any:
        if isinstance(value, Mapping):
            return tuple(sorted((key, frozen(inner)) for key, inner in value.items()))
        return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value

    return tuple(sorted((key, frozen(value)) for key, value in interval.items()))


@lru_cache(maxsize=512)
def _kept(key: tuple[tuple[str, Any], ...]) -> TimeInterval:
    document = dict(key)
    if "times" in document:
        document["times"] = [dict(pair) for pair in document["times"]]
    return parse_interval(document)
