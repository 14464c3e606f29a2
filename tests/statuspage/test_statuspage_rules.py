"""What the public is told: conditions of components, the indicator of a page, days as marks."""

from __future__ import annotations

import pytest

from mainstay.frames.days import DayMark, Line, together
from mainstay.statuspage.rules import component_condition, page_indicator
from mainstay.watch.results.history import CALM, MAINTENANCE, NO_DATA, judge
from mainstay.watch.results.values import Uptime

DAY = 86_400.0


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["up"], "operational"),
        (["up", "paused"], "operational"),
        (["up", "unknown"], "unknown"),
        (["paused"], "unknown"),
        ([], "unknown"),
        (["unknown", "unknown"], "unknown"),
        (["up", "degraded"], "degraded"),
        (["up", "down"], "partial"),
        (["down", "degraded"], "partial"),
        (["down"], "outage"),
        (["down", "unknown"], "outage"),
        (["down", "paused"], "outage"),
        (["maintenance", "up"], "maintenance"),
        (["maintenance", "degraded"], "degraded"),
    ],
)
def test_a_component_is_as_bad_as_its_worst_monitor(states: list[str], expected: str) -> None:
    assert component_condition(states) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "none"),
        (["operational", "operational"], "none"),
        (["operational", "degraded"], "minor"),
        (["operational", "partial"], "major"),
        (["operational", "outage"], "major"),
        (["outage", "outage"], "critical"),
        (["outage", "unknown"], "critical"),
        (["maintenance", "operational"], "maintenance"),
        (["maintenance", "degraded"], "minor"),
        (["operational", "unknown"], "unknown"),
        (["unknown"], "unknown"),
    ],
)
def test_a_page_tells_the_worst_of_what_is_known(conditions: list[str], expected: str) -> None:
    assert page_indicator(conditions) == expected  # type: ignore[arg-type]


def test_unknown_time_is_neither_up_nor_down() -> None:
    assert judge(Uptime({"unknown": DAY})) is NO_DATA
    assert judge(Uptime({"paused": DAY})) is NO_DATA
    assert judge(Uptime()) is NO_DATA
    assert judge(Uptime({"maintenance": 3600.0})) is MAINTENANCE


def test_a_calm_full_day_is_one_shared_mark() -> None:
    assert judge(Uptime({"up": DAY})) is CALM
    assert judge(Uptime({"up": 3600.0})) == DayMark("up", good=3600.0)


def test_a_day_with_downtime_says_how_long() -> None:
    mark = judge(Uptime({"up": DAY - 864.0, "down": 864.0}))
    assert (mark.level, mark.words) == ("down", "14 min down")
    assert mark.share == pytest.approx(0.01)
    assert judge(Uptime({"up": DAY - 300, "degraded": 300.0})).level == "up"
    assert judge(Uptime({"up": DAY - 3000, "degraded": 3000.0})).level == "degraded"


def test_a_line_of_several_looks_like_the_worst_on_each_day_and_counts_them_all() -> None:
    bad = DayMark("down", 0.5, DAY / 2, DAY / 2, "12 h down")
    worse = DayMark("down", 0.9, DAY * 0.1, DAY * 0.9, "21 h 36 min down")
    line = together([Line(0.0, (CALM, bad, NO_DATA)), Line(0.0, (CALM, worse, CALM))])
    assert [(mark.level, mark.words) for mark in line.marks] == [("up", ""), ("down", "21 h 36 min down"), ("up", "")]
    assert line.marks[1].share == pytest.approx(0.7)
    assert Line(0.0, (NO_DATA,)).share is None


def test_a_component_of_which_one_part_is_down_all_day_has_not_lost_the_day() -> None:
    gone = judge(Uptime({"down": DAY}))
    line = together([Line(0.0, (gone,)), Line(0.0, (CALM,)), Line(0.0, (CALM,)), Line(0.0, (CALM,))])
    assert line.share == pytest.approx(0.75)
    assert line.marks[0].words == "24 h 0 min down (1 of 4)" or line.marks[0].words.endswith("down (1 of 4)")
