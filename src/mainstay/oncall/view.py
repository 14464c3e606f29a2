"""What pages, commands and the API show of on-call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from mainstay.kernel.clock import to_iso
from mainstay.kernel.hours import Span
from mainstay.kernel.wall import DAY, midnight
from mainstay.oncall.models import OverrideRow, SwapRow, TemporaryRow
from mainstay.oncall.queries import Duty, Handover, OnDuty
from mainstay.oncall.rules.duty import Schedule
from mainstay.oncall.rules.fairness import Fairness, fairness
from mainstay.oncall.rules.forecast import WEEK, Forecast, Shift, forecast
from mainstay.store.resources.queries import resource, resources

SOON = 4.0  # weeks of which gaps are shown
YEAR = 52.0


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """Who is on duty now, who is next, and the gaps of the next weeks."""

    name: str
    timezone: str
    on: tuple[OnDuty, ...]
    meant: bool  # nobody is on duty, and that is on purpose
    next: Handover | None
    gaps: tuple[Span, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "schedule": self.name,
            "timezone": self.timezone,
            "on_duty": [{"person": one.person, "why": one.why} for one in self.on],
            "next_handover": to_iso(self.next.at) if self.next else None,
            "next_on_duty": list(self.next.people) if self.next else [],
            "gaps": [{"start": to_iso(start), "end": to_iso(end)} for start, end in self.gaps],
        }


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast of a schedule with its figures."""

    schedule: Schedule
    seen: Forecast
    fair: Fairness

    def as_dict(self) -> dict[str, Any]:
        return {
            "schedule": self.schedule.name,
            "start": to_iso(self.seen.start),
            "end": to_iso(self.seen.end),
            "shifts": [shift_dict(shift) for shift in self.seen.shifts],
            "gaps": [{"start": to_iso(start), "end": to_iso(end)} for start, end in self.seen.gaps],
            "overlaps": [{"start": to_iso(start), "end": to_iso(end)} for start, end in self.seen.overlaps],
            "quality": self.fair.quality,
            "burdens": [
                {
                    "person": one.person,
                    "hours": round(one.hours, 2),
                    "nights": one.nights,
                    "weekends": one.weekends,
                    "holidays": one.holidays,
                }
                for one in self.fair.burdens
            ],
        }


def shift_dict(shift: Shift) -> dict[str, Any]:
    return {"start": to_iso(shift.start), "end": to_iso(shift.end), "person": shift.person, "why": shift.why}


def schedule_view(known: Duty, name: str, now: float) -> ScheduleView:
    """NotFound if there is no such schedule."""
    cover = known.cover(name, now)
    schedule = known.schedules[name]
    gaps = forecast(schedule, now, SOON).gaps
    return ScheduleView(name, schedule.clock.zone.key, cover.on, cover.meant, known.next_handover(name, now), gaps)


def outlook(known: Duty, name: str, start: float, weeks: float) -> Outlook:
    """NotFound if there is no such schedule."""
    known.cover(name, start)
    schedule = known.schedules[name]
    seen = forecast(schedule, start, weeks)
    return Outlook(schedule, seen, fairness(schedule, seen))


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a day of the calendar: a shift, or a gap (`person` empty), cut to the day."""

    schedule: str
    person: str
    start: int
    end: int
    begins: str  # time of day; empty: it goes on from the day before
    ends: str  # empty: it goes on the next day
    why: str = ""

    @property
    def hours(self) -> str:
        """Both times of day, `from 09:00`, `until 17:00` or `all day`."""
        if self.begins and self.ends:
            return f"{self.begins}–{self.ends}"  # noqa: RUF001 (an en dash, as between numbers)
        return f"from {self.begins}" if self.begins else f"until {self.ends}" if self.ends else "all day"


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    today: bool
    outside: bool  # of another month
    holiday: bool
    entries: tuple[Entry, ...]


def calendar(schedules: list[Schedule], first: date, count: int, now: float, month: int = 0) -> list[Day]:
    """So many days from the first on, each in the zone of its schedule. `month`: others are marked as outside."""
    begin = min((one.clock.first(midnight(first)) for one in schedules), default=0)
    weeks = (count + 1) * DAY / WEEK
    seen = [(one, forecast(one, begin, weeks)) for one in schedules]
    return [_day(seen, first + timedelta(days=ahead), now, month) for ahead in range(count)]


def _day(seen: list[tuple[Schedule, Forecast]], day: date, now: float, month: int) -> Day:
    wall = midnight(day)
    entries = [entry for schedule, found in seen for entry in _entries(schedule, found, wall, now)]
    today = any(schedule.clock.wall(now) // DAY == wall // DAY for schedule, _ in seen)
    holiday = any(wall // DAY in schedule.holidays for schedule, _ in seen)
    return Day(day, today, bool(month) and day.month != month, holiday, tuple(entries))


def _entries(schedule: Schedule, seen: Forecast, wall: int, now: float) -> Iterator[Entry]:
    low, high = schedule.clock.first(wall), schedule.clock.first(wall + DAY)
    spans = [(shift.start, shift.end, shift.person, shift.why) for shift in seen.shifts]
    spans += [(start, end, "", "") for start, end in seen.gaps if end > now]
    for start, end, person, why in sorted(spans):
        if start < high and end > low:
            begins = _clock(schedule, start) if start > low else ""
            ends = _clock(schedule, end) if end < high else ""
            yield Entry(schedule.name, person, max(start, low), min(end, high), begins, ends, why)


def _clock(schedule: Schedule, at: int) -> str:
    minutes = schedule.clock.wall(at) % DAY // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed by hand and is not over."""

    id: str
    sort: str  # override or temporary
    schedule: str
    start: float
    end: float
    add: str
    remove: str
    note: str
    made_by: str

    @property
    def words(self) -> str:
        if self.sort == "temporary":
            return "Temporary schedule"
        if self.add and self.remove:
            return f"{self.add} stands in for {self.remove}"
        return f"{self.add} is on duty too" if self.add else f"{self.remove} is not on duty"


def changes(now: float, schedule: str = "") -> list[Change]:
    """Soonest first; of one schedule, or of all."""
    names = {one.uid: one.name for one in resources("schedule") if schedule in ("", one.name)}
    found = [
        Change(row.id, "override", names[row.schedule], row.start, row.end, row.add, row.remove, row.note, row.made_by)
        for row in OverrideRow.objects.filter(end__gt=now, schedule__in=names)
    ]
    found += [
        Change(row.id, "temporary", names[row.schedule], row.start, row.end, "", "", row.note, row.made_by)
        for row in TemporaryRow.objects.filter(end__gt=now, schedule__in=names)
    ]
    return sorted(found, key=lambda one: (one.start, one.id))


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap that waits for its answer."""

    id: str
    schedule: str
    start: float
    end: float
    giver: str
    taker: str
    note: str
    back_start: float | None = None
    back_end: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "schedule": self.schedule,
            "start": to_iso(self.start),
            "end": to_iso(self.end),
            "giver": self.giver,
            "taker": self.taker,
            "note": self.note,
        }


def swaps(now: float) -> list[Swap]:
    """Those that wait for their answer, soonest first."""
    names = {one.uid: one.name for one in resources("schedule")}
    rows = SwapRow.objects.filter(state="asked", end__gt=now, schedule__in=names).order_by("start", "id")
    return [
        Swap(
            row.id,
            names[row.schedule],
            row.start,
            row.end,
            row.giver,
            row.taker,
            row.note,
            row.back_start,
            row.back_end,
        )
        for row in rows
    ]


def zone_of(schedule: str) -> str:
    """The time zone of a schedule by its name; NotFound if there is none."""
    return str(resource("schedule", schedule).spec.timezone)
