"""Whose turn it is: rotations, hand-overs where clocks are set, who joins and leaves, and what restricts a layer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mainstay.oncall.rules.duty import Schedule, schedule_of
from mainstay.oncall.rules.forecast import forecast
from mainstay.oncall.spec import ScheduleSpec

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def made(*layers: dict[str, Any], zone: str = BERLIN, holidays: frozenset[int] = frozenset(), **more: Any) -> Schedule:
    spec = ScheduleSpec.model_validate({"timezone": zone, "layers": list(layers), **more})
    return schedule_of("primary", spec, {}, holidays)


def on(schedule: Schedule, moment: float) -> list[str]:
    return [one.person for one in schedule.at(moment).on]


def utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%m-%d %H:%M")


WEEKLY = {"rotation": "weekly", "handover": "mon 09:00", "from": "2026-12-07", "people": ["a", "b"]}


@pytest.mark.parametrize(
    ("layer", "moment", "expected"),
    [
        (WEEKLY, "2026-12-07T08:59", []),  # it begins with the first handover
        (WEEKLY, "2026-12-07T09:00", ["a"]),
        (WEEKLY, "2026-12-14T08:59", ["a"]),
        (WEEKLY, "2026-12-14T09:00", ["b"]),
        (WEEKLY | {"from": "2026-12-09"}, "2026-12-09T09:00", ["a"]),  # a first turn of five days
        (WEEKLY | {"from": "2026-12-09"}, "2026-12-14T09:00", ["b"]),
        (WEEKLY | {"until": "2026-12-14"}, "2026-12-14T08:59", ["a"]),
        (WEEKLY | {"until": "2026-12-14"}, "2026-12-14T09:00", []),
        (WEEKLY | {"length": 2}, "2026-12-20T12:00", ["a"]),
        (WEEKLY | {"length": 2}, "2026-12-21T09:00", ["b"]),
        (WEEKLY | {"people": [["a", "b"], "nobody", "c"]}, "2026-12-08T00:00", ["a", "b"]),
        (WEEKLY | {"people": [["a", "b"], "nobody", "c"]}, "2026-12-15T00:00", []),
        (WEEKLY | {"people": [["a", "b"], "nobody", "c"]}, "2026-12-22T00:00", ["c"]),
        ({"rotation": "daily", "from": "2026-12-07", "people": ["a", "b", "c"]}, "2026-12-10T08:59", ["c"]),
        ({"rotation": "daily", "from": "2026-12-07", "people": ["a", "b", "c"]}, "2026-12-10T09:00", ["a"]),
        ({"rotation": "hourly", "length": 8, "from": "2026-12-07", "people": ["a", "b"]}, "2026-12-07T17:00", ["b"]),
        ({"rotation": "monthly", "handover": "day 31 00:00", "people": ["a", "b"]}, "2024-02-28T23:59", ["b"]),
        ({"rotation": "monthly", "handover": "day 31 00:00", "people": ["a", "b"]}, "2024-02-29T00:00", ["a"]),
        ({"rotation": "monthly", "handover": "last day 09:00", "people": ["a", "b"]}, "2026-01-31T09:00", ["b"]),
        ({"rotation": "monthly", "handover": "last day 09:00", "people": ["a", "b"]}, "2026-02-28T09:00", ["a"]),
        ({"rotation": "custom", "every": "36h", "from": "2026-12-07", "people": ["a", "b"]}, "2026-12-08T20:59", ["a"]),
        ({"rotation": "custom", "every": "36h", "from": "2026-12-07", "people": ["a", "b"]}, "2026-12-08T21:00", ["b"]),
    ],
)
def test_turns(layer: dict[str, Any], moment: str, expected: list[str]) -> None:
    assert on(made(layer), at(moment)) == expected


def test_the_first_monday_is_where_turns_are_counted_from_without_a_first_day() -> None:
    schedule = made({"rotation": "weekly", "people": ["a", "b"]})
    assert on(schedule, at("2024-01-01T09:00")) == ["a"]
    assert on(schedule, at("2023-12-31T09:00")) == ["b"]


NIGHTLY = {"rotation": "daily", "handover": "02:30", "from": "2026-10-01", "people": ["a", "b"]}


def test_a_handover_at_a_time_that_is_shown_twice_overlaps_for_the_hour_and_leaves_no_gap() -> None:
    schedule = made(NIGHTLY)  # 2026-10-25: 03:00 CEST is 02:00 CET
    first, second = at("2026-10-25T02:30"), at("2026-10-25T02:30", fold=1)
    assert second - first == 3600
    assert [len(on(schedule, moment)) for moment in (first - 60, first, second - 60, second)] == [1, 2, 2, 1]
    seen = forecast(schedule, at("2026-10-20T12:00"), 2)
    assert (seen.gaps, seen.overlaps) == ((), ((int(first), int(second)),))


def test_a_handover_at_a_time_that_is_skipped_comes_with_the_leap() -> None:
    schedule = made(NIGHTLY | {"from": "2026-03-01"})  # 2026-03-29: 02:00 CET is 03:00 CEST
    leap = at("2026-03-29T03:00")
    assert on(schedule, leap - 1) != on(schedule, leap) == on(schedule, leap + 1800)
    seen = forecast(schedule, at("2026-03-20T12:00"), 2)
    assert (seen.gaps, seen.overlaps) == ((), ())


def test_hourly_turns_keep_to_the_wall_clock() -> None:
    schedule = made({"rotation": "hourly", "handover": "00:00", "from": "2026-10-24", "people": ["a", "b", "c"]})
    for day in ("2026-10-24", "2026-10-26"):  # 24 turns a day, although one has 25 hours
        assert on(schedule, at(f"{day}T00:30")) == ["a"]
    assert on(schedule, at("2026-10-25T01:30")) == ["b"]
    assert on(schedule, at("2026-10-25T02:30")) == ["b", "c"]  # until 02:00 is shown for the last time
    assert on(schedule, at("2026-10-25T02:30", fold=1)) == ["c"]


def test_turns_go_on_while_a_layer_does_not_apply() -> None:
    daily = {"rotation": "daily", "handover": "00:00", "from": "2026-12-07", "people": ["a", "b", "c"]}
    schedule, restricted = made(daily), made(daily | {"only": "mon-fri"})
    assert on(restricted, at("2026-12-12T12:00")) == []
    assert on(restricted, at("2026-12-14T12:00")) == on(schedule, at("2026-12-14T12:00")) == ["b"]


def test_a_later_layer_covers_the_ones_before_it_where_it_has_somebody() -> None:
    base = {"rotation": "weekly", "people": ["base"]}
    days = {"rotation": "weekly", "people": ["day"], "only": "mon-fri 08:00-20:00"}
    none = {"rotation": "weekly", "people": ["nobody"], "only": "sun 00:00-24:00"}
    schedule = made(base, days, none)
    moments = ("2026-12-07T07:59", "2026-12-07T08:00", "2026-12-07T20:00", "2026-12-13T12:00")
    assert [on(schedule, at(moment)) for moment in moments] == [["base"], ["day"], ["base"], []]
    assert schedule.at(at("2026-12-13T12:00")).meant
    assert forecast(schedule, at("2026-12-07T00:00"), 4).gaps == ()


def test_who_joins_takes_part_from_the_next_turn_and_the_others_keep_their_order() -> None:
    joined = {"people": ["c"], "from": "2026-12-17"}
    schedule = made(WEEKLY | {"people": ["a", "b", joined]})
    mondays = [f"2026-12-{day}T10:00" for day in ("07", "14", "21", "28")] + ["2027-01-04T10:00"]
    assert [on(schedule, at(monday)) for monday in mondays] == [["a"], ["b"], ["c"], ["a"], ["b"]]


def test_who_leaves_in_the_middle_of_a_turn_hands_it_to_the_next() -> None:
    leaving = {"people": ["b"], "until": "2026-12-17"}
    schedule = made(WEEKLY | {"people": ["a", leaving, "c"]})
    assert on(schedule, at("2026-12-16T23:59")) == ["b"]
    assert on(schedule, at("2026-12-17T00:00")) == ["c"]
    mondays = ("2026-12-21T10:00", "2026-12-28T10:00", "2027-01-04T10:00")
    assert [on(schedule, at(monday)) for monday in mondays] == [["c"], ["a"], ["c"]]
    assert forecast(schedule, at("2026-12-07T09:00"), 8).gaps == ()


def test_who_takes_part_from_the_first_day_of_a_layer_has_their_place_in_it() -> None:
    schedule = made(WEEKLY | {"people": ["a", {"people": ["b"], "from": "2026-12-07"}]})
    assert on(schedule, at("2026-12-07T10:00")) == ["a"]


def test_when_everybody_has_left_there_is_a_gap() -> None:
    schedule = made(WEEKLY | {"people": [{"people": ["a"], "until": "2026-12-17"}]})
    assert [utc(start) for start, _ in forecast(schedule, at("2026-12-08T00:00"), 3).gaps] == ["12-16 23:00"]


def test_holidays_may_be_left_out_or_have_a_layer_of_their_own() -> None:
    christmas = frozenset({20_812})  # days since 1970: 2026-12-25
    own = {"rotation": "weekly", "people": ["a"], "holidays": "only"}
    rest = {"rotation": "weekly", "people": ["b"], "holidays": "skip"}
    schedule = made(own, rest, holidays=christmas)
    moments = ("2026-12-24T23:59", "2026-12-25T00:00", "2026-12-25T23:59", "2026-12-26T00:00")
    assert [on(schedule, at(moment)) for moment in moments] == [["b"], ["a"], ["a"], ["b"]]
    assert forecast(schedule, at("2026-12-20T00:00"), 2).gaps == ()


def test_a_gap_outside_of_the_hours_that_are_asked_for_is_none() -> None:
    days = {"rotation": "weekly", "people": ["a"], "only": "mon-fri 08:00-20:00"}
    start = at("2026-12-07T09:00")
    assert len(forecast(made(days), start, 1).gaps) == 5
    assert forecast(made(days, covers="mon-fri 08:00-20:00"), start, 52).gaps == ()
    missing = forecast(made(days, covers="mon-sat 08:00-20:00"), start, 1).gaps
    assert [(utc(begin), utc(end)) for begin, end in missing] == [("12-12 07:00", "12-12 19:00")]


def test_a_schedule_has_no_gap_before_its_first_layer_begins_and_has_one_after_the_last_ended() -> None:
    seen = forecast(made(WEEKLY | {"until": "2026-12-21"}), at("2026-12-01T00:00"), 4)
    assert [(utc(start), utc(end)) for start, end in seen.gaps] == [("12-21 08:00", "12-28 23:00")]
