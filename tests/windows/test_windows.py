"""Maintenance windows: the rule language, clock changes, and who is covered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.kernel.windows import next_period, parse_rule, period_at, rule_words
from mainstay.windows.queries import Window, active, covering, current, upcoming, window_of
from mainstay.windows.spec import WindowSpec

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def shown(period: tuple[float, float] | None) -> str:
    if period is None:
        return "none"
    start, end = (datetime.fromtimestamp(moment, UTC) for moment in period)
    return f"{start:%Y-%m-%dT%H:%M}/{end:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("rule", "now", "expected"),
    [
        ("daily 02:00-04:00", "2026-03-10T02:00", "2026-03-10T02:00/2026-03-10T04:00"),
        ("daily 02:00-04:00", "2026-03-10T04:00", "none"),
        ("daily 02:00-04:00", "2026-03-10T01:59", "none"),
        ("Daily  2:00 - 4:00", "2026-03-10T03:00", "2026-03-10T02:00/2026-03-10T04:00"),
        ("daily 23:00-01:00", "2026-03-10T00:30", "2026-03-09T23:00/2026-03-10T01:00"),
        ("daily 23:00-01:00", "2026-03-10T23:30", "2026-03-10T23:00/2026-03-11T01:00"),
        ("daily 00:00-24:00", "2026-03-10T23:59", "2026-03-10T00:00/2026-03-11T00:00"),
        ("daily 02:00-02:00", "2026-03-10T01:00", "2026-03-09T02:00/2026-03-10T02:00"),
        ("weekdays 08:00-09:00", "2026-03-14T08:30", "none"),
        ("weekends 08:00-09:00", "2026-03-14T08:30", "2026-03-14T08:00/2026-03-14T09:00"),
        ("sunday 23:00-02:00", "2026-03-16T01:00", "2026-03-15T23:00/2026-03-16T02:00"),
        ("sunday 23:00-02:00", "2026-03-15T01:00", "none"),
        ("first tuesday 02:00-04:00", "2026-09-01T03:00", "2026-09-01T02:00/2026-09-01T04:00"),
        ("first tuesday 02:00-04:00", "2026-09-08T03:00", "none"),
        ("second tuesday 02:00-04:00", "2026-09-08T03:00", "2026-09-08T02:00/2026-09-08T04:00"),
        ("last friday 22:00-23:00", "2026-02-27T22:30", "2026-02-27T22:00/2026-02-27T23:00"),
        ("last friday 22:00-23:00", "2026-02-20T22:30", "none"),
        ("fifth monday 01:00-02:00", "2026-03-30T01:30", "2026-03-30T01:00/2026-03-30T02:00"),
        ("last monday 01:00-02:00", "2026-03-30T01:30", "2026-03-30T01:00/2026-03-30T02:00"),
        ("day 31 22:00-02:00", "2026-04-01T01:00", "2026-03-31T22:00/2026-04-01T02:00"),
        ("day 31 22:00-02:00", "2026-04-30T23:00", "none"),
        ("last day 22:00-02:00", "2026-02-28T23:00", "2026-02-28T22:00/2026-03-01T02:00"),
        ("last day 22:00-02:00", "2028-02-29T23:00", "2028-02-29T22:00/2028-03-01T02:00"),
        ("last day 22:00-02:00", "2028-02-28T23:00", "none"),
    ],
)
def test_periods_in_utc(rule: str, now: str, expected: str) -> None:
    assert shown(period_at(parse_rule(rule), ZoneInfo("UTC"), at(now))) == expected


@pytest.mark.parametrize(
    ("rule", "zone", "now", "expected"),
    [
        # 2026-03-29: 02:00 CET is followed by 03:00 CEST.
        ("daily 01:00-04:00", "Europe/Berlin", "2026-03-29T00:30", "2026-03-29T00:00/2026-03-29T02:00"),
        ("daily 02:00-04:00", "Europe/Berlin", "2026-03-29T01:30", "2026-03-29T01:00/2026-03-29T02:00"),
        ("daily 02:15-02:45", "Europe/Berlin", "2026-03-29T01:20", "2026-03-29T01:15/2026-03-29T01:45"),
        ("daily 02:30-03:00", "Europe/Berlin", "2026-03-29T01:40", "2026-03-29T01:30/2026-03-29T02:00"),
        ("daily 22:00-06:00", "Europe/Berlin", "2026-03-29T03:59", "2026-03-28T21:00/2026-03-29T04:00"),
        # 2026-10-25: 03:00 CEST is followed by 02:00 CET.
        ("daily 01:00-04:00", "Europe/Berlin", "2026-10-25T02:30", "2026-10-24T23:00/2026-10-25T03:00"),
        ("daily 02:30-03:30", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25T00:30/2026-10-25T02:30"),
        ("daily 02:00-02:30", "Europe/Berlin", "2026-10-25T00:10", "2026-10-25T00:00/2026-10-25T00:30"),
        ("daily 02:00-02:30", "Europe/Berlin", "2026-10-25T01:10", "none"),
        # New York: 2026-03-08 and 2026-11-01, both at 02:00.
        ("sunday 01:30-03:30", "America/New_York", "2026-03-08T07:00", "2026-03-08T06:30/2026-03-08T07:30"),
        ("sunday 01:30-03:30", "America/New_York", "2026-11-01T07:00", "2026-11-01T05:30/2026-11-01T08:30"),
        # Lord Howe moves by half an hour: 2026-04-05, 02:00 is followed by 01:30.
        ("daily 01:00-02:30", "Australia/Lord_Howe", "2026-04-04T15:45", "2026-04-04T14:00/2026-04-04T16:00"),
        # A local day that is another one in UTC.
        ("first monday 08:00-09:00", "Pacific/Auckland", "2026-03-01T19:30", "2026-03-01T19:00/2026-03-01T20:00"),
        ("first monday 00:00-01:00", "Pacific/Kiritimati", "2026-02-01T10:30", "2026-02-01T10:00/2026-02-01T11:00"),
    ],
)
def test_clock_changes(rule: str, zone: str, now: str, expected: str) -> None:
    assert shown(period_at(parse_rule(rule), ZoneInfo(zone), at(now))) == expected


@pytest.mark.parametrize(
    ("rule", "zone", "now", "expected"),
    [
        ("daily 02:00-04:00", "UTC", "2026-03-10T02:00", "2026-03-11T02:00/2026-03-11T04:00"),
        ("first tuesday 02:00-04:00", "UTC", "2026-09-01T02:00", "2026-10-06T02:00/2026-10-06T04:00"),
        ("fifth friday 00:00-01:00", "UTC", "2026-02-01T00:00", "2026-05-29T00:00/2026-05-29T01:00"),
        ("day 31 22:00-02:00", "UTC", "2026-04-01T00:00", "2026-05-31T22:00/2026-06-01T02:00"),
        ("daily 02:30-03:00", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T01:30/2026-03-29T02:00"),
    ],
)
def test_what_comes_next(rule: str, zone: str, now: str, expected: str) -> None:
    assert shown(next_period(parse_rule(rule), ZoneInfo(zone), at(now))) == expected


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("daily 02:00-04:00", "every day, 02:00 to 04:00"),
        ("weekdays 22:00-24:00", "Monday to Friday, 22:00 to 24:00"),
        ("weekends 23:00-01:30", "weekends, 23:00 to 01:30 the next day"),
        ("sunday 01:00-02:00", "every Sunday, 01:00 to 02:00"),
        ("first tuesday 02:00-04:00", "first Tuesday of every month, 02:00 to 04:00"),
        ("last friday 18:00-18:00", "last Friday of every month, 18:00 to 18:00 the next day"),
        ("day 15 06:00-07:00", "day 15 of every month, 06:00 to 07:00"),
        ("last day 20:00-21:00", "last day of every month, 20:00 to 21:00"),
    ],
)
def test_a_rule_in_the_words_of_a_calendar(rule: str, words: str) -> None:
    assert rule_words(parse_rule(rule)) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "02:00-04:00",
        "daily 25:00-26:00",
        "daily 02:60-04:00",
        "daily 24:00-01:00",
        "daily 02:00-24:01",
        "sometimes 02:00-04:00",
        "sixth monday 02:00-04:00",
        "first day 02:00-04:00",
        "day 0 02:00-04:00",
        "day 32 02:00-04:00",
        "day ² 02:00-04:00",
        "day -1 02:00-04:00",
        "last 02:00-04:00",
        "first tuesday wednesday 02:00-04:00",
        "daily 02:00-04:00 and more",
        "x" * 10_000,
    ],
)
def test_what_is_no_rule_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"daily 02:00-04:00|does not exist") as refusal:
        parse_rule(text)
    assert len(str(refusal.value)) < 300


@given(
    day=st.sampled_from(["daily", "weekdays", "sunday", "first sunday", "last saturday", "day 29", "last day"]),
    start=st.integers(0, 24 * 12 - 1),
    length=st.integers(1, 24 * 12),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]),
    now=st.integers(int(at("2026-01-01")) // 300, int(at("2027-12-31")) // 300),
)
def test_any_moment_agrees_with_its_period(day: str, start: int, length: int, zone: str, now: int) -> None:
    """Five-minute steps: inside a period it is found, at its ends it begins and ends, and the next one follows it."""
    end = (start + length) % (24 * 12)
    times = f"{start // 12:02}:{start % 12 * 5:02}-{end // 12:02}:{end % 12 * 5:02}"
    rule, where, moment = parse_rule(f"{day} {times}"), ZoneInfo(zone), now * 300.0
    period = period_at(rule, where, moment)
    following = next_period(rule, where, moment)
    assert following is not None
    assert following[0] > moment
    assert 0 < following[1] - following[0] <= 25 * 3600
    assert period_at(rule, where, following[0]) is not None
    if period is not None:
        assert period[0] <= moment < period[1]
        before = next_period(rule, where, period[0] - 1)
        assert before is not None
        assert before[0] == period[0]
        local = datetime.fromtimestamp(period[0], where)
        assert rule.falls_on(local.date()) or rule.falls_on(local.date() - timedelta(days=1))


def window(name: str, **document: object) -> Window:
    return window_of(name, WindowSpec.model_validate(document))


def test_covering_needs_all_matchers() -> None:
    now = at("2026-03-10T03:00")
    windows = [window("works", rule="daily 02:00-04:00", covers=['service="api"', 'severity=~"P0|P1"'])]
    assert covering({"service": "api", "severity": "P0"}, now, windows) is not None
    assert covering({"service": "api", "severity": "P2"}, now, windows) is None
    assert covering({"severity": "P0"}, now, windows) is None
    everything = [window("all", rule="daily 02:00-04:00")]
    assert covering({}, now, everything) is not None
    assert covering({}, now + 7200, everything) is None


def test_a_single_period_with_its_offset() -> None:
    once = window("once", **{"from": "2026-03-10T03:00:00+01:00", "until": "2026-03-10T04:00:00+01:00"})
    assert covering({}, at("2026-03-10T02:00"), [once]) is not None
    assert covering({}, at("2026-03-10T03:00"), [once]) is None
    assert [o.window for o in upcoming(at("2026-03-01"), at("2026-04-01"), [once])] == ["once"]
    assert upcoming(at("2026-03-11"), at("2026-04-01"), [once]) == []


def test_of_two_the_one_that_ends_last_covers() -> None:
    now = at("2026-03-10T03:00")
    windows = [window("short", rule="daily 02:00-04:00"), window("long", rule="daily 01:00-08:00")]
    assert [one.name for one in active(windows, now)] == ["long", "short"]
    assert [one.window for one in current(now, windows)] == ["long", "short"]


def test_upcoming_is_bounded_and_in_order() -> None:
    windows = [window("a", rule="daily 02:00-04:00"), window("b", rule="daily 01:00-03:00")]
    found = upcoming(at("2026-03-10T00:00"), at("2026-03-12T00:00"), windows)
    assert [(one.window, shown((one.start, one.end))[:13]) for one in found] == [
        ("b", "2026-03-10T01"),
        ("a", "2026-03-10T02"),
        ("b", "2026-03-11T01"),
        ("a", "2026-03-11T02"),
    ]
    assert len(upcoming(at("2026-03-10"), at("2036-03-10"), windows, limit=7)) == 7


def test_a_rule_holds_from_a_day_to_another() -> None:
    spec = WindowSpec.model_validate(
        {"rule": "daily 23:00-01:00", "from": "2026-03-10T00:00:00Z", "until": "2026-03-12T00:00:00Z"}
    )
    window = window_of("nightly", spec)
    assert window.active(at("2026-03-10T00:30")) is None, "it began the day before"
    assert shown(window.next_after(at("2026-01-01T00:00"))) == "2026-03-10T23:00/2026-03-11T01:00"
    assert shown(window.active(at("2026-03-12T00:30"))) == "2026-03-11T23:00/2026-03-12T01:00", (
        "it began before the end"
    )
    assert window.next_after(at("2026-03-11T23:00")) is None
    assert window.active(at("2026-03-12T23:30")) is None
    open_ended = window_of(
        "later", WindowSpec.model_validate({"rule": "daily 02:00-03:00", "from": "2030-01-01T02:00:00Z"})
    )
    assert shown(open_ended.next_after(at("2026-01-01T00:00"))) == "2030-01-01T02:00/2030-01-01T03:00"
    assert len(upcoming(at("2026-03-01T00:00"), at("2026-04-01T00:00"), [window])) == 2
