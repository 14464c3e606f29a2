"""Schedules and windows through the clock changes of the world, against an oracle that only reads clocks.

By default a year and a half in three awkward zones; `make chaos`: every minute of ten years in 50 zones. A failure
names the zone, what was declared and the minute.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from trouble import LONG
from wall_clocks import (
    CALENDARS,
    JOBS,
    MINUTE,
    WORKS,
    Job,
    WallClock,
    Work,
    due_minutes,
    minutes_of,
    periods,
    shown_minutes,
    within,
)

from mainstay.kernel.schedule import Schedule, check_calendar, check_cron
from mainstay.kernel.windows import next_period, parse_rule, period_at

# Half hours (Lord Howe), changes at midnight (Santiago, Cairo, Beirut, Gaza, Nuuk, Azores), standard time in summer
# by the law (Dublin), a change at Ramadan (Casablanca), quarter hours (Chatham, Kathmandu), and none at all.
# fmt: off
ZONES = [
    "Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Johannesburg", "Africa/Lagos", "America/Adak",
    "America/Anchorage", "America/Asuncion", "America/Bogota", "America/Chicago", "America/Denver", "America/Halifax",
    "America/Havana", "America/Los_Angeles", "America/Mexico_City", "America/Miquelon", "America/New_York",
    "America/Nuuk", "America/Phoenix", "America/Port-au-Prince", "America/Santiago", "America/Sao_Paulo",
    "America/Scoresbysund", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Famagusta", "Asia/Gaza",
    "Asia/Jerusalem", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Nicosia", "Asia/Singapore", "Asia/Tehran", "Asia/Tokyo",
    "Atlantic/Azores", "Atlantic/Bermuda", "Australia/Adelaide", "Australia/Brisbane", "Australia/Lord_Howe",
    "Australia/Sydney", "Europe/Berlin", "Europe/Chisinau", "Europe/Dublin", "Europe/Kyiv", "Europe/London",
    "Pacific/Auckland", "Pacific/Chatham", "Pacific/Easter", "Pacific/Kiritimati",
]
# fmt: on
_TEN_YEARS = minutes_of("2026-01-01", "2036-01-01")
_SAMPLE = minutes_of("2026-02-01", "2027-05-01")
_SPAN = _TEN_YEARS if LONG else _SAMPLE
_CHOSEN = ZONES if LONG else ["Pacific/Chatham", "Australia/Lord_Howe", "America/Santiago", "Europe/Berlin"]


@pytest.fixture(scope="module", params=_CHOSEN)
def clock(request: pytest.FixtureRequest) -> WallClock:
    return WallClock(request.param, *_SPAN)


def shown(clock: WallClock, minute: float) -> str:
    moment = datetime.fromtimestamp(minute * MINUTE, UTC)
    return f"{moment:%Y-%m-%dT%H:%MZ} ({moment.astimezone(clock.zone):%a %d %H:%M} in {clock.zone})"


def test_there_are_fifty_zones() -> None:
    assert len(set(ZONES)) == 50


def all_due(clock: WallClock, schedule: Schedule) -> list[float]:
    """From one due time to the next: between two the answer does not change, see `Schedule`."""
    at, found = clock.begin * MINUTE - 1.0, []
    while (at := schedule.next_after(at)) < clock.end * MINUTE:
        found.append(at / MINUTE)
    return found


def check_same(clock: WallClock, found: list[float], expected: list[int]) -> None:
    assert [shown(clock, minute) for minute in sorted(set(expected) ^ set(found))[:5]] == []
    assert found == expected


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.expression)
def test_a_heartbeat_is_due_when_the_clock_says_so(clock: WallClock, job: Job) -> None:
    schedule = Schedule(cron=check_cron(job.expression), timezone=str(clock.zone))
    check_same(clock, all_due(clock, schedule), due_minutes(clock, job))


@pytest.mark.parametrize("job", CALENDARS, ids=lambda job: job.expression)
def test_a_timer_is_due_when_the_clock_shows_it(clock: WallClock, job: Job) -> None:
    schedule = Schedule(calendar=check_calendar(job.expression), timezone=str(clock.zone))
    check_same(clock, all_due(clock, schedule), shown_minutes(clock, job))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.expression)
def test_the_next_due_time_is_right_from_any_minute(clock: WallClock, job: Job) -> None:
    """Without what the schedule remembers: around every change of the clock, and at random."""
    expected = due_minutes(clock, job)
    around = [minute for change in clock.changes() for minute in range(change - 300, change + 300, 1 if LONG else 7)]
    picked = random.Random(str(clock.zone)).sample(range(clock.begin, clock.end), 500 if LONG else 50)
    wanted = iter(expected)
    due = next(wanted, None)
    for minute in sorted({*around, *picked}):
        while due is not None and due <= minute:
            due = next(wanted, None)
        if minute >= clock.begin and due is not None:
            fresh = Schedule(cron=job.expression, timezone=str(clock.zone)).next_after(minute * MINUTE + 0.5)
            assert fresh == due * MINUTE, f"after {shown(clock, minute)}: {shown(clock, fresh / MINUTE)}"


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.rule)
def test_a_window_begins_and_ends_when_the_clock_says_so(clock: WallClock, work: Work) -> None:
    rule, expected = parse_rule(work.rule), periods(clock, work)
    inside = [span for span in expected if clock.begin < span[0] < clock.end]
    at, found = clock.begin * float(MINUTE), []
    while (period := next_period(rule, clock.zone, at)) is not None and period[0] < clock.end * MINUTE:
        at = period[0]
        found.append((period[0] / MINUTE, period[1] / MINUTE))
    wrong = sorted(set(inside) ^ set(found))
    assert [(shown(clock, begin), shown(clock, end)) for begin, end in wrong[:5]] == []
    for begin, end in inside:
        for minute in (begin - 1, begin, end - 1, end):
            assert (period_at(rule, clock.zone, minute * MINUTE) is not None) == within(expected, minute), (
                f"{work.rule}: {shown(clock, minute)}"
            )


def test_a_window_is_open_in_every_minute_in_which_the_clock_says_so(clock: WallClock) -> None:
    """One rule for each zone, all of them in turn."""
    work = WORKS[ZONES.index(str(clock.zone)) % len(WORKS)]
    rule, expected = parse_rule(work.rule), periods(clock, work)
    for minute in range(clock.begin, clock.end, 1 if LONG else 13):
        is_open = period_at(rule, clock.zone, minute * MINUTE + 30.0) is not None
        assert is_open == within(expected, minute), f"{work.rule}: {shown(clock, minute)}"


def test_the_oracle_is_right_where_the_answer_is_known() -> None:
    clock = WallClock("Europe/Berlin", *minutes_of("2026-03-01", "2026-11-30"))
    changes = [datetime.fromtimestamp(minute * MINUTE, UTC) for minute in clock.changes()]
    assert changes == [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
    daily = due_minutes(clock, JOBS[0])
    berlin = ZoneInfo("Europe/Berlin")
    assert int(datetime(2026, 3, 29, 3, 0, tzinfo=berlin).timestamp()) // MINUTE in daily
    assert int(datetime(2026, 10, 25, 2, 30, tzinfo=berlin).timestamp()) // MINUTE in daily
    assert int(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin).timestamp()) // MINUTE not in daily
