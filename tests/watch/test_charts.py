"""What a monitor's charts show: the axis, single results or buckets, gaps, stretches of failure, figures of a kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstay.kernel.ids import made_at, new_id
from mainstay.watch.charts import FIGURES, Chart, Window, failures, figures_chart, place, response_chart, window_of
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

NOW = 1_800_000_000.0
HOUR = 3600.0


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Results]:
    opened = Results.embedded(tmp_path / "telemetry.duckdb")
    yield opened
    opened.close()


def sample(uid: str, ago: float, **more: Any) -> Sample:
    values: dict[str, Any] = {"verdict": "up", "duration": 0.1, "charge": "up", "charged": 60.0}
    values["phases"] = {"connect": 0.04, "wait": 0.06}
    return Sample(uid=uid, at=NOW - ago, **(values | more))


def data(chart: Chart | None) -> dict[str, Any]:
    assert chart is not None
    found: dict[str, Any] = json.loads(chart.data)
    return found


def test_an_id_tells_when_it_was_made() -> None:
    assert made_at(new_id(NOW + 0.25)) == NOW + 0.25


def test_the_axis_is_the_range_that_was_asked_for_however_little_there_is(telemetry: Results) -> None:
    uid = new_id(NOW - 200)
    telemetry.append([sample(uid, 100), sample(uid, 40)])
    telemetry.flush()
    for chosen, length in (("1h", HOUR), ("6h", 6 * HOUR), ("90d", 2160 * HOUR)):
        shown = data(response_chart(telemetry, uid, window_of(uid, 60.0, chosen, NOW)))
        assert (shown["from"], shown["to"]) == (NOW - length, NOW)
        assert min(point["at"] for point in shown["points"]) >= NOW - 200, "nothing before it was made"
        assert max(point["at"] for point in shown["points"]) <= NOW


def test_few_results_are_drawn_one_by_one_and_many_in_buckets(telemetry: Results) -> None:
    uid = new_id(NOW - 40 * HOUR)
    telemetry.append([sample(uid, number * 60.0) for number in range(1, 1500)])
    telemetry.flush()
    hour = data(response_chart(telemetry, uid, window_of(uid, 60.0, "1h", NOW)))
    assert [point["at"] for point in hour["points"]] == [NOW - 60.0 * number for number in range(60, 0, -1)]
    day = data(response_chart(telemetry, uid, window_of(uid, 60.0, "24h", NOW)))
    assert 150 < len(day["points"]) <= 182
    assert response_chart(telemetry, uid, window_of(uid, 60.0, "24h", NOW)).names == ["connect", "wait"]


def test_a_failure_that_goes_on_is_one_stretch_and_a_pause_is_none() -> None:
    window = Window(NOW - HOUR, NOW, 60.0)
    every = [(NOW - 60.0 * number, 5 <= number <= 20) for number in range(60, 0, -1)]
    assert failures(every, 60.0, window) == [(NOW - 1200, NOW - 240)]
    until_now = [(at, failed or at > NOW - 400) for at, failed in every]
    assert failures(until_now, 60.0, window)[-1] == (NOW - 1200, NOW)
    paused = [(at, True) for at, _ in every if not NOW - 2400 < at < NOW - 1200]
    assert failures(paused, 60.0, window) == [(NOW - 3600, NOW - 2340), (NOW - 1200, NOW)]
    assert failures([(NOW - 9000, True)], 60.0, window) == [(NOW - 9000, NOW - 8940)]
    assert failures([], 60.0, window) == []


def test_a_line_is_not_drawn_across_a_time_without_results(telemetry: Results) -> None:
    uid = new_id(NOW - 40 * HOUR)
    telemetry.append([sample(uid, number * 60.0) for number in range(1, 60) if not 20 <= number <= 40])
    telemetry.flush()
    points = data(response_chart(telemetry, uid, window_of(uid, 60.0, "1h", NOW)))["points"]
    assert [point["at"] for point in points if point["mean"] is None] == [NOW - 41 * 60 + 60]


@pytest.mark.parametrize(
    ("at", "born", "shown"),
    [
        (NOW - 500, 0.0, NOW - 500),
        (NOW - 500, NOW - 450, NOW - 450),
        (NOW - 9000, 0.0, NOW - HOUR),
        (NOW + 5, 0.0, NOW),
    ],
)
def test_a_bucket_stands_where_its_results_can_be(at: float, born: float, shown: float) -> None:
    assert place(at, 100.0, Window(NOW - HOUR, NOW, 60.0, born)) == shown


def test_a_host_shows_its_own_figures(telemetry: Results) -> None:
    uid = new_id(NOW - HOUR)
    evidence = {
        "cpu_percent": 12.5, "memory_percent": 40.0, "load": [1, 2, 3], "disks": {"/": {"percent": 61.0}, "/var": {}},
    }  # fmt: skip
    bad = {"verdict": "down", "evidence": {"cpu_percent": 99.0}}
    telemetry.append([sample(uid, 180, evidence=evidence), sample(uid, 120, **bad), sample(uid, 60, evidence=evidence)])
    telemetry.flush()
    window = window_of(uid, 60.0, "1h", NOW)
    chart = figures_chart(telemetry, "host", uid, window)
    shown = data(chart)
    assert [line["name"] for line in shown["lines"]] == ["Processors", "Memory", "Disk /"]
    assert [value for _, value in shown["lines"][0]["points"]] == [12.5, 99.0, 12.5]
    assert [value for _, value in shown["lines"][1]["points"]] == [40.0, None, 40.0]
    assert (shown["unit"], shown["failed"]) == ("%", [[NOW - 120, NOW - 60]])
    assert figures_chart(telemetry, "host", uid, window_of(uid, 60.0, "7d", NOW)) is None
    assert figures_chart(telemetry, "http", uid, window) is None


def test_figures_of_other_kinds_are_read_from_what_their_results_carry() -> None:
    performance = [{"label": "rta", "value": 3.0, "unit": "ms"}, {"label": "pl", "value": 0.0, "unit": "%"}]
    told = {
        "plugin": ({"performance": performance}, {"rta": 3.0}),
        "promql": ({"values": [{"series": {"job": "api"}, "value": 7}]}, {"job=api": 7}),
        "domain": ({"days_left": 30.5}, {"Days until it expires": 30.5}),
        "group": ({"up": 2, "needed": 2}, {"Members up": 2, "Needed": 2}),
    }
    for kind, (evidence, figures) in told.items():
        assert FIGURES[kind][1](evidence) == figures, kind
        assert all(value is None for value in FIGURES[kind][1]({}).values()), kind


@pytest.mark.parametrize("kind", FIGURES)
@pytest.mark.parametrize("wild", ["x", 5, ["x"], {"x": "y"}])
def test_evidence_of_another_shape_shows_no_figures(telemetry: Results, kind: str, wild: Any) -> None:
    uid = new_id(NOW - 200)
    names = ("disks", "performance", "values", "days_left", "up")
    telemetry.append([sample(uid, 100, evidence=dict.fromkeys(names, wild))])
    telemetry.flush()
    assert figures_chart(telemetry, kind, uid, window_of(uid, 60.0, "1h", NOW)) is not None
