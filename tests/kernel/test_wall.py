"""Wall-clock times as instants, and hours of the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.kernel.hours import parse_hours
from mainstay.kernel.wall import WallClock, clock_of, shown, wall_of


def wall(text: str) -> int:
    return wall_of(datetime.fromisoformat(text))


def utc(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("zone", "shows", "first", "last"),
    [
        ("Europe/Berlin", "2026-06-01T12:00", "2026-06-01T10:00", "2026-06-01T10:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00", "2026-10-25T02:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00", "2026-03-29T01:00"),  # 03:00
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", "2026-04-04T15:15"),  # by half an hour
        ("Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-03T15:30", "2026-10-03T15:30"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00", "2011-12-30T10:00"),  # a day that was left out
        ("Asia/Beirut", "2026-10-24T23:30", "2026-10-24T20:30", "2026-10-24T21:30"),
    ],
)
def test_times_that_are_shown_twice_or_never(zone: str, shows: str, first: str, last: str) -> None:
    clock = clock_of(zone)
    assert (utc(clock.first(wall(shows))), utc(clock.last(wall(shows)))) == (first, last)


@given(
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana", "Africa/Casablanca"]),
    st.integers(1_250_000_000, 1_900_000_000),
)
def test_an_instant_lies_between_the_first_and_last_time_of_what_is_shown(zone: str, second: int) -> None:
    clock = WallClock(ZoneInfo(zone))
    seen = clock.wall(second)
    assert shown(seen) == datetime.fromtimestamp(second, ZoneInfo(zone)).replace(tzinfo=None)
    assert second in (clock.first(seen), clock.last(seen))


@pytest.mark.parametrize(
    ("hours", "moment", "expected"),
    [
        ("mon-fri 09:00-18:00", "2026-12-04T17:59", True),
        ("mon-fri 09:00-18:00", "2026-12-04T18:00", False),
        ("Mon-Fri 9:00 - 18:00", "2026-12-05T12:00", False),
        ("fri 22:00-06:00", "2026-12-05T05:59", True),
        ("22:00-07:00; sat,sun", "2026-12-05T12:00", True),
        ("22:00-07:00; sat,sun", "2026-12-07T07:00", False),
        ("fri-mon", "2026-12-07T23:59", True),
        ("fri-mon", "2026-12-08T00:00", False),
        ("weekends 08:00-24:00", "2026-12-06T23:59", True),
        ("daily 09:00-09:00", "2026-12-06T08:59", True),
    ],
)
def test_hours_of_the_week(hours: str, moment: str, expected: bool) -> None:
    second = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    assert parse_hours(hours).covers(clock_of("UTC"), second) is expected


@pytest.mark.parametrize(
    "text", ["", "noon", "mon 25:00-26:00", "mon 09:00", "09:00-10:00 mon", "mon;", "mo-fr", "mon-"]
)
def test_what_names_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="`"):
        parse_hours(text)


def test_hours_that_touch_are_one_span_and_the_next_one_is_found() -> None:
    clock = clock_of("Europe/Berlin")
    friday = datetime(2026, 12, 4, 12, tzinfo=UTC)
    night = parse_hours("22:00-07:00; sat,sun")
    found = night.span_at(clock, (friday + timedelta(days=1)).timestamp())
    assert found is not None
    assert [utc(edge) for edge in found] == ["2026-12-04T21:00", "2026-12-07T06:00"]
    begins = night.next_start(clock, friday.timestamp())
    assert begins is not None
    assert utc(begins) == "2026-12-04T21:00"
