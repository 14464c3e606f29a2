"""What was so stays so, and gaps are told of before they come."""

from __future__ import annotations

import pytest
from tests.oncall.rig import EVERYTHING, PLANNER, at, declare_team, told
from tests.rigs.clocks import FakeClock

from mainstay.oncall import verbs
from mainstay.oncall.queries import duty
from mainstay.oncall.recording import keep_up
from mainstay.store.resources.apply import declare, remove
from mainstay.store.resources.queries import resource

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def team() -> None:
    declare_team()


def on(text: str, now: float) -> list[str]:
    return [one.person for one in duty(now).on_duty("primary", at(text))]


def test_the_past_is_as_it_was_recorded_whatever_is_declared_later() -> None:
    clock = FakeClock(at("2026-12-11T12:00"))
    keep_up(clock)
    verbs.override(PLANNER, "primary", (at("2026-12-12T09:00"), at("2026-12-12T18:00")), remove="lead", clock=clock)
    clock.at = at("2026-12-15T12:00")  # the server was off for the weekend
    keep_up(clock)
    document = resource("schedule", "primary").document
    layer = document["layers"][0] | {"people": ["deputy", "lead"]}
    declare(EVERYTHING, "schedule", "primary", document | {"layers": [layer]}, manager="file")
    seen = [on(text, clock.now()) for text in ("2026-12-12T08:59", "2026-12-12T10:00", "2026-12-14T09:00")]
    assert seen == [["lead"], [], ["deputy"]]
    assert on("2026-12-15T12:00", clock.now()) == ["lead"]  # from now on, what is declared
    assert [event["people"] for event in told("schedule.handed_over")] == [[], ["lead"], ["deputy"]]
    assert [event["since"] for event in told("schedule.handed_over")][-1] == at("2026-12-14T09:00")
    keep_up(clock)
    assert len(told("schedule.handed_over")) == 3
    clock.advance(60)
    keep_up(clock)
    assert told("schedule.handed_over")[-1]["people"] == ["lead"]


def test_a_gap_ahead_is_told_of_once_and_over_when_it_is_closed() -> None:
    clock = FakeClock(at("2026-12-07T12:00"))
    keep_up(clock)
    assert told("schedule.gap_ahead") == []
    day = (at("2026-12-20T09:00"), at("2026-12-21T09:00"))
    gone = verbs.override(PLANNER, "primary", day, remove="deputy", clock=clock)
    clock.advance(20)
    keep_up(clock)
    clock.advance(20)
    keep_up(clock)
    (event,) = told("schedule.gap_ahead")
    assert event["message"] == "nobody is on duty from Sun 2026-12-20 09:00 CET to Mon 2026-12-21 09:00 CET"
    assert event["labels"] == {"schedule": "primary", "severity": "P2"}
    verbs.remove_override(PLANNER, gone, clock=clock)
    clock.advance(20)
    keep_up(clock)
    assert len(told("schedule.covered")) == 1


def test_a_gap_is_found_at_the_daily_look_although_nothing_was_changed() -> None:
    document = resource("schedule", "primary").document
    layer = document["layers"][0] | {"until": "2027-02-01"}
    declare(EVERYTHING, "schedule", "primary", document | {"layers": [layer]}, manager="file")
    clock = FakeClock(at("2026-12-07T12:00"))
    keep_up(clock)
    assert told("schedule.gap_ahead") == []
    clock.at = at("2027-01-05T12:00")
    keep_up(clock)
    assert len(told("schedule.gap_ahead")) == 1


def test_nothing_is_kept_of_a_schedule_that_is_gone() -> None:
    clock = FakeClock(at("2026-12-07T12:00"))
    keep_up(clock)
    remove(EVERYTHING, "schedule", "primary", manager="file")
    keep_up(clock)
    declare_team()
    clock.advance(20)
    keep_up(clock)
    assert told("schedule.handed_over") == []
