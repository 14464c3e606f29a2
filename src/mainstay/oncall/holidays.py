"""Days off from what is declared: dates, and all-day events of iCalendar text (RFC 5545).

Of the text, DTSTART, DTEND and a yearly RRULE are read; everything else is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from mainstay.kernel.errors import UserError
from mainstay.oncall.spec import Holidays

_DAY = re.compile(r"^(DTSTART|DTEND)[^:]*:(\d{4})(\d{2})(\d{2})")
_LONGEST = 366  # days of one event
_YEARS = range(2020, 2061)  # for which events that come every year are read
_EPOCH = date(1970, 1, 1).toordinal()


def days_of(declared: Holidays | None) -> frozenset[int]:
    """Days since 1970-01-01."""
    if declared is None:
        return frozenset()
    listed = {day.toordinal() - _EPOCH for day in declared.days}
    return frozenset(listed | read_calendar(declared.calendar))


@lru_cache(maxsize=64)
def read_calendar(text: str) -> frozenset[int]:
    """Days since 1970-01-01 of the events in iCalendar text; UserError for a date that does not exist."""
    unfolded = re.sub(r"\r?\n[ \t]", "", text)
    days: set[int] = set()
    for event in unfolded.split("BEGIN:VEVENT")[1:]:
        days |= set(_event(event.split("END:VEVENT")[0]))
    return frozenset(days)


def _event(text: str) -> Iterator[int]:
    lines = text.splitlines()
    found = {match[1]: _date(match) for line in lines if (match := _DAY.match(line))}
    start = found.get("DTSTART")
    if start is None:
        return
    length = (found["DTEND"] - start).days if "DTEND" in found else 1
    yearly = any(line.startswith("RRULE:") and "FREQ=YEARLY" in line for line in lines)
    for first in _each_year(start) if yearly else [start]:
        for day in range(max(1, min(length, _LONGEST))):
            yield first.toordinal() - _EPOCH + day


def _date(match: re.Match[str]) -> date:
    try:
        return date(int(match[2]), int(match[3]), int(match[4]))
    except ValueError:
        raise UserError(f"`{match[0][:40]}` is not a date", hint="look at the calendar") from None


def _each_year(start: date) -> Iterator[date]:
    for year in _YEARS:
        if year >= start.year and not (start.month == 2 and start.day == 29 and year % 4):
            yield start.replace(year=year)
