"""Ten years of every kind of rotation in thirty zones: nobody is missing, and turns meet only where a clock falls back.

By boundaries and not minute by minute: between two of them nothing changes.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mainstay.oncall.rules.duty import schedule_of
from mainstay.oncall.rules.forecast import forecast
from mainstay.oncall.spec import ScheduleSpec

ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Europe/Istanbul",
    "Europe/Moscow",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "America/Sao_Paulo",
    "Atlantic/Azores",
    "Antarctica/Troll",
]
LONG = "CHAOS_ROUNDS" in os.environ
HERE = ZONES if LONG else ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]  # half a minute for all of them
ROTATIONS: list[dict[str, Any]] = [
    {"rotation": "hourly", "length": 12, "handover": "02:30"},
    {"rotation": "daily", "handover": "00:00"},
    {"rotation": "daily", "handover": "02:30"},
    {"rotation": "weekly", "handover": "sun 02:15"},
    {"rotation": "monthly", "handover": "last day 23:45"},
    {"rotation": "custom", "every": "50h", "from": "2008-01-01", "handover": "01:30"},
]
BEGIN = datetime(2009, 1, 1, tzinfo=UTC)  # with the day that Apia left out, and nights of Lord Howe
WEEKS = 522  # ten years


def falls(zone: str) -> list[tuple[int, int]]:
    """Each span, in epoch seconds, of which a clock shows the times twice, by the zone database alone."""
    offsets = []
    for hour in range(WEEKS * 168):
        at = BEGIN + timedelta(hours=hour)
        offsets.append((int(at.timestamp()), at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()))
    found = []
    for (before, old), (after, new) in pairwise(offsets):
        if new < old:
            back = int((old - new).total_seconds())
            found.append((before - back, after + back))
    return found


@pytest.mark.parametrize("zone", HERE)
def test_no_gap_and_no_overlap_but_where_a_clock_falls_back(zone: str) -> None:
    assert len(ZONES) == 30
    twice = falls(zone)
    for rotation in [*ROTATIONS, *([{"rotation": "hourly", "handover": "00:30"}] if LONG else [])]:
        spec = {"timezone": zone, "layers": [rotation | {"people": ["a", "b", "c"]}]}
        seen = forecast(schedule_of("s", ScheduleSpec.model_validate(spec), {}), BEGIN.timestamp(), WEEKS)
        assert seen.gaps == ()
        inside = [any(low <= start and end <= high for low, high in twice) for start, end in seen.overlaps]
        assert all(inside), rotation
        assert len(seen.overlaps) <= len(twice)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana"])
@pytest.mark.parametrize("only", [None, "mon-fri 02:10-23:50", "22:30-02:30; sun"])
def test_a_forecast_says_what_each_minute_says(zone: str, only: str | None) -> None:
    """Around the days on which clocks are set, and a week between."""
    layers = [
        {"rotation": "weekly", "people": ["base", "other"], "handover": "sun 02:30"},
        {
            "rotation": "hourly",
            "people": ["a", ["b", "c"], "nobody"],
            "only": only,
            "from": "2010-01-01",
            "holidays": "skip",
        },
    ]
    spec = ScheduleSpec.model_validate({"timezone": zone, "layers": layers, "covers": only})
    holidays = frozenset({15_337, 15_428, 15_638, 15_639})
    schedule = schedule_of("s", spec, {}, holidays)
    for low, high in [*falls(zone)[5:7], (1_325_200_000, 1_325_300_000)]:
        begin = low // 60 * 60 - 36_000
        minutes = range(begin, high + 36_000, 60)
        seen = forecast(schedule, begin, (minutes[-1] + 60 - begin) / (7 * 86_400))
        for at in minutes:
            shown = {shift.person for shift in seen.shifts if shift.start <= at < shift.end}
            cover = schedule.at(at)
            assert shown == {one.person for one in cover.on}
            gap = any(start <= at < end for start, end in seen.gaps)
            assert gap == (not cover.on and not cover.meant and schedule.asked(at))
