"""Slower than usual: the rule by itself, its history in telemetry, and the watch lane that feeds it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rigs.watching import journal, monitor, watching

from mainstay.kernel.probing import CheckResult
from mainstay.kernel.resource import KINDS
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Point, Sample
from mainstay.watch.usual import HOUR, WEEK, Rule, baseline, hour_of, judged, past_hours, rule_of

NOW = 1_799_971_200.0 + 10 * HOUR + 700


def point(weeks: int, step: int = 0, p50: float = 0.2, p95: float = 0.25, checks: int = 60) -> Point:
    return Point(hour_of(NOW) - weeks * WEEK + step * HOUR, checks, 0, p50, p50, p95, p95 * 2)


def history(**more: Any) -> list[Point]:
    return [point(weeks, step, **more) for weeks in (1, 2, 3, 4) for step in (-1, 0, 1)]


def result(duration: float, verdict: Any = "up") -> CheckResult:
    return CheckResult(uid="m", at=NOW, verdict=verdict, duration=duration, evidence={"status": 200})


def test_the_hours_that_count() -> None:
    hours = past_hours(hour_of(NOW), 2)
    assert len(hours) == 6
    assert all(hour % HOUR == 0 and hour < NOW for hour in hours)
    assert hours[1] == hour_of(NOW) - 2 * WEEK


def test_the_limit_and_its_reason() -> None:
    known = baseline(history(), hour_of(NOW), Rule())
    assert known is not None
    assert known.usual == pytest.approx(0.2)
    assert known.spread == pytest.approx(0.05 / 1.645)
    assert known.limit == pytest.approx(0.2 + 4 * 0.05 / 1.645)
    assert judged(result(0.31), known).verdict == "up"
    slow = judged(result(0.9), known)
    assert (slow.verdict, slow.code) == ("degraded", "expect.slower_than_usual")
    assert slow.message == "it took 900 ms, 4.5 times the usual 200 ms of this hour (limit 322 ms, from 4 weeks)"
    assert slow.evidence["status"] == 200
    assert slow.evidence["usual"]["hours"] == 12


def test_only_good_results_are_judged() -> None:
    known = baseline(history(), hour_of(NOW), Rule())
    assert known is not None
    for verdict in ("down", "degraded", "unknown"):
        assert judged(result(9.0, verdict), known).code == ""


def test_one_bad_week_moves_nothing() -> None:
    bad = [point(2, step, p50=20.0, p95=30.0) for step in (-1, 0, 1)]
    rest = [one for one in history() if round((NOW - one.at) / WEEK) != 2]
    known = baseline([*rest, *bad], hour_of(NOW), Rule())
    assert known is not None
    assert known.limit < 0.5


def test_a_small_difference_does_not_count() -> None:
    steady = baseline(history(p50=0.002, p95=0.002), hour_of(NOW), Rule())
    assert steady is not None
    assert judged(result(0.09), steady).verdict == "up"
    assert judged(result(0.2), steady).verdict == "degraded"


@pytest.mark.parametrize(
    "points",
    [
        [],
        [point(1, step) for step in (-1, 0, 1)],
        [point(1), point(2), point(3)],
        history(checks=1),
        [Point(one.at, 60, 60, None, None, None, None) for one in history()],
    ],
    ids=["nothing", "one week", "three hours", "few checks", "failures only"],
)
def test_silent_without_enough_history(points: list[Point]) -> None:
    assert baseline(points, hour_of(NOW), Rule()) is None


@given(
    st.lists(st.floats(0.001, 30), min_size=6, max_size=12),
    st.floats(1, 20),
    st.floats(0, 5),
)
def test_the_limit_is_never_below_what_is_usual(medians: list[float], deviations: float, at_least: float) -> None:
    points = [point(1 + index // 3, index % 3 - 1, p50=value, p95=value * 1.5) for index, value in enumerate(medians)]
    known = baseline(points, hour_of(NOW), Rule(deviations, at_least))
    assert known is not None
    assert known.limit >= known.usual + at_least
    assert min(medians) <= known.usual <= max(medians)


def test_declaring_it() -> None:
    kind = KINDS["monitor"]
    on = kind.validate({"http": "https://a.example", "slower_than_usual": True})
    assert rule_of(on) == Rule()  # type: ignore[arg-type]
    assert on.to_document()["slower_than_usual"] == {}
    how = kind.validate({"http": "https://a.example", "slower_than_usual": {"at_least": "2s", "weeks": 8}})
    assert rule_of(how) == Rule(4.0, 2.0, 8)  # type: ignore[arg-type]
    off = kind.validate({"http": "https://a.example", "slower_than_usual": False})
    assert rule_of(off) is None  # type: ignore[arg-type]
    assert "slower_than_usual" not in off.to_document()


def _fill(telemetry: Results, uid: str, now: float, weeks: int) -> None:
    """Results of the same hour in past weeks, as a server that ran then has rolled them up."""
    for week in range(weeks, 0, -1):
        begin = hour_of(now) - week * WEEK
        samples = [
            Sample(
                uid=uid, at=begin + 30 * turn, verdict="up", duration=0.2 + 0.001 * (turn % 7), charge="up", charged=30
            )
            for turn in range(-120, 240)
        ]
        telemetry.append(samples)
        telemetry.flush()
        telemetry.maintain(begin + 3 * HOUR)


def test_hours_are_read_from_the_roll_ups(tmp_path: Path) -> None:
    telemetry = Results.embedded(tmp_path / "t.duckdb")
    try:
        _fill(telemetry, "m", NOW, 2)
        found = telemetry.hours("m", past_hours(hour_of(NOW), 4))
        assert [one.at for one in found] == past_hours(hour_of(NOW), 2)
        assert found[0].checks == 120
        assert found[0].p50 == pytest.approx(0.203, abs=0.002)
        assert telemetry.hours("other", past_hours(hour_of(NOW), 4)) == []
        assert telemetry.hours("m", []) == []
    finally:
        telemetry.close()


@pytest.mark.usefixtures("store")
def test_the_lane_tells_of_slow_checks(tmp_path: Path) -> None:
    monitor("api", slower_than_usual=True, alert_on=["down", "degraded"])
    monitor("other")

    async def main() -> None:
        async with watching() as scene:
            uid, now = scene.uid("api"), scene.clock.now()
            telemetry = Results.embedded(tmp_path / "t.duckdb")
            try:
                await asyncio.to_thread(_fill, telemetry, uid, now, 4)
                scene.telemetry.hours = telemetry.hours  # type: ignore[attr-defined]
                scene.lane.take([CheckResult(uid=uid, at=now, verdict="up", duration=3.0)])
                assert scene.state("api") == "up", "nothing is known before the hour's history was read"
                await scene.until(lambda: uid in scene.lane._usual._known)
                for _ in range(2):
                    at = scene.clock.now()
                    scene.lane.take([CheckResult(uid=uid, at=at, verdict="up", duration=3.0)])
                    scene.lane.take([CheckResult(uid=scene.uid("other"), at=at, verdict="up", duration=3.0)])
                assert (scene.state("api"), scene.state("other")) == ("degraded", "up")
                await scene.written()
                told = [entry for entry in await journal() if entry.kind == "monitor.went_degraded"]
                assert told[0].data["code"] == "expect.slower_than_usual"
                assert told[0].data["evidence"]["usual"]["weeks"] == 4
            finally:
                telemetry.close()

    asyncio.run(main())
