"""Due times on the clocks of people, also on the two days a year on which clocks change."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mainstay.kernel.schedule import NEVER, Schedule, check_calendar, check_cron

BERLIN = ZoneInfo("Europe/Berlin")


def due(cron: str, after: datetime) -> str:
    found = Schedule(cron=cron, timezone="Europe/Berlin").next_after(after.timestamp())
    return datetime.fromtimestamp(found, BERLIN).isoformat()


def test_an_interval_follows_the_last_ping() -> None:
    assert Schedule(every=90.0).next_after(10.0) == 100.0


def test_a_skipped_time_is_due_right_after_the_gap() -> None:
    assert due("30 2 * * *", datetime(2026, 3, 29, 1, 0, tzinfo=BERLIN)) == "2026-03-29T03:00:00+02:00"


def test_a_repeated_time_is_due_once() -> None:
    first = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN)
    assert due("30 2 * * *", first) == "2026-10-25T02:30:00+02:00"
    assert due("30 2 * * *", first.replace(fold=1)) == "2026-10-26T02:30:00+01:00"


def test_a_frequent_job_follows_elapsed_time_through_the_repeated_hour() -> None:
    schedule = Schedule(cron="*/30 * * * *", timezone="Europe/Berlin")
    at = datetime(2026, 10, 25, 1, 45, tzinfo=BERLIN).timestamp()
    seen = []
    for _ in range(5):
        following = schedule.next_after(at)
        seen.append(following - at)
        at = following
    assert seen == [900.0, 1800.0, 1800.0, 1800.0, 1800.0]


def test_the_due_time_is_always_later() -> None:
    at = datetime(2026, 1, 1, 2, 0, tzinfo=BERLIN)
    assert due("0 2 * * *", at) == "2026-01-02T02:00:00+01:00"


def test_the_remembered_answer_does_not_outlive_its_due_time() -> None:
    schedule = Schedule(cron="0 * * * *")
    assert [schedule.next_after(at) for at in (0.0, 3599.0, 3600.0, 100.0)] == [3600.0, 3600.0, 7200.0, 3600.0]


def test_a_date_beyond_the_calendar_is_never() -> None:
    assert Schedule(cron="0 0 29 2 *").next_after(253_402_000_000.0) == NEVER


@pytest.mark.parametrize("cron", ["", "@daily", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *", "a b c d e"])
def test_what_is_no_expression_is_refused_with_a_reason(cron: str) -> None:
    with pytest.raises(ValueError, match=r"cron expression|never occurs"):
        check_cron(cron)


def timer(expression: str, after: datetime, count: int = 1) -> list[str]:
    schedule, at, found = Schedule(calendar=check_calendar(expression), timezone="Europe/Berlin"), after.timestamp(), []
    for _ in range(count):
        at = schedule.next_after(at)
        found.append(datetime.fromtimestamp(at, BERLIN).isoformat())
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("daily", "2026-05-07T00:00:00+02:00"),
        ("Weekly", "2026-05-11T00:00:00+02:00"),
        ("quarterly", "2026-07-01T00:00:00+02:00"),
        ("12:00", "2026-05-07T12:00:00+02:00"),
        ("11:59:59", "2026-05-07T11:59:59+02:00"),
        ("*:0/25", "2026-05-06T12:25:00+02:00"),
        ("*:*:7/20", "2026-05-06T12:00:07+02:00"),
        ("9..17/4:30", "2026-05-06T13:30:00+02:00"),
        ("Mon,Fri *-*-1..7 02:00", "2026-06-01T02:00:00+02:00"),
        ("Sat..Sun", "2026-05-09T00:00:00+02:00"),
        ("thursday, 02:00", "2026-05-07T02:00:00+02:00"),
        ("12-24 18:00", "2026-12-24T18:00:00+01:00"),
        ("28-02-29", "2028-02-29T00:00:00+01:00"),
        ("*-*~01 23:00", "2026-05-31T23:00:00+02:00"),
        ("*-*~3..5", "2026-05-27T00:00:00+02:00"),
        ("Mon *-05~07/1", "2026-05-25T00:00:00+02:00"),
        ("Fri,Sat *-08~8..17/5", "2028-08-19T00:00:00+02:00"),
        ("12:00 UTC", "2026-05-06T14:00:00+02:00"),
        ("hourly America/New_York", "2026-05-06T13:00:00+02:00"),
        ("*-*-* 12:00\n*-*-* 12:30 Asia/Kolkata", "2026-05-07T09:00:00+02:00"),
    ],
)
def test_what_timers_of_systemd_say(expression: str, expected: str) -> None:
    """As of Wednesday, 6 May 2026, noon: what `systemd-analyze calendar` answers."""
    assert timer(expression, datetime(2026, 5, 6, 12, tzinfo=BERLIN)) == [expected]


def test_a_timer_leaves_a_skipped_time_out_and_is_due_once_in_a_repeated_hour() -> None:
    assert timer("02:30", datetime(2026, 3, 28, 3, tzinfo=BERLIN)) == ["2026-03-30T02:30:00+02:00"]
    found = timer("*:30", datetime(2026, 10, 25, 1, 45, tzinfo=BERLIN), 2)
    assert found == ["2026-10-25T02:30:00+02:00", "2026-10-25T03:30:00+01:00"]
    again = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1)
    assert timer("*:30", again) == ["2026-10-25T03:30:00+01:00"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "it has the form"),
        ("Mon Tue 12:00", "it has the form"),
        ("Moon", "`moon` is not a weekday such as Mon"),
        ("Fri..Mon", "weeks start on Monday"),
        ("25:00", "`25` is not a valid hour, 0 to 23"),
        ("12:60", "`60` is not a valid minute, 0 to 59"),
        ("12:00:00.5", "`00.5` is not a valid second, 0 to 59"),
        ("1:2:3:4", "`1:2:3:4` is not a time"),
        ("*-13-01", "`13` is not a valid month, 1 to 12"),
        ("*-*-32", "`32` is not a valid day, 1 to 31"),
        ("*-*~29", "`29` is not a valid day, 1 to 28"),
        ("1969-01-01", "`1969` is not a valid year"),
        ("*-5..3-1", "`5..3` is not a range of months"),
        ("*/2:00", "`*` is not a valid hour"),
        ("0/0:00", "`0` is not a valid step, 1 to 9999"),
        ("\uff11:00", "is not a valid hour"),
        ("12:00 Mars/Base", "there is no time zone `Mars/Base`"),
        ("12:00 Europe", "there is no time zone `Europe`"),
        ("*-02-30", "`*-02-30` never occurs"),
        ("1999-01-01", "never occurs"),
        ("daily\nnever", "`never` is not an OnCalendar expression"),
        ("daily\n" * 11, "at most 10 OnCalendar expressions"),
    ],
)
def test_what_no_timer_understands_is_told(expression: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        check_calendar(expression)


def test_schedules_are_shown_in_one_line() -> None:
    assert str(Schedule(every=90.0)) == "every 90s"
    assert str(Schedule(cron="0 2 * * *", timezone="Europe/Berlin")) == "0 2 * * * Europe/Berlin"
    calendar = check_calendar("\nMon..Fri 06:00\n*-*~01 18:00 UTC\n")
    assert str(Schedule(calendar=calendar)) == "Mon..Fri 06:00; *-*~01 18:00 UTC (UTC)"
