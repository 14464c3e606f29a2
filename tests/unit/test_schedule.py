"""Due times on the clocks of people, also on the two days a year on which clocks change."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mainstay.kernel.schedule import NEVER, Schedule, check_cron

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
    with pytest.raises(ValueError, match=r"cron expression|never comes true"):
        check_cron(cron)
