from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstay.store.telemetry.buffer import NotWritten
from mainstay.store.telemetry.duckdb_store import DuckTelemetry
from mainstay.store.telemetry.port import Charge, Sample, Telemetry

DAY = 86_400
MIDNIGHT = 1_799_971_200.0  # 2027-01-15T00:00Z
NOW = MIDNIGHT + 10 * 3600 + 30 * 60


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    store = DuckTelemetry(tmp_path / "telemetry.duckdb")
    yield store
    store.close()


def _fill(telemetry: Telemetry, uid: str, since: float, until: float, charge: Charge = "up", every: float = 60) -> None:
    verdict = "down" if charge == "down" else "up"
    at, samples = since + every, []
    while at <= until:
        samples.append(
            Sample(uid=uid, at=at, verdict=verdict, duration=0.1, charge=charge, charged=every, phases={"wait": 0.05})
        )
        at += every
    telemetry.append(samples)
    telemetry.flush()


def test_what_was_appended_is_read_back_newest_first(telemetry: Telemetry) -> None:
    one = Sample(uid="a", at=NOW, verdict="up", duration=0.25, charge="up", charged=0, phases={"connect": 0.125})
    two = Sample(
        uid="a", at=NOW + 1, verdict="down", duration=1, charge="up", charged=1, code="x.y", evidence={"s": "ü"}
    )
    telemetry.append([one, two])
    telemetry.flush()
    assert telemetry.latest("a") == [two, one]
    assert telemetry.latest("b") == []


@pytest.mark.parametrize("rolled", [False, True])
def test_uptime_counts_charged_seconds_whatever_table_they_are_in(telemetry: Telemetry, *, rolled: bool) -> None:
    _fill(telemetry, "a", NOW - 3 * DAY, NOW - 3600)
    _fill(telemetry, "a", NOW - 3600, NOW - 1800, "down")
    _fill(telemetry, "a", NOW - 1800, NOW, "unknown")
    if rolled:
        telemetry.maintain(NOW)
    uptime = telemetry.uptimes(["a", "b"], NOW - 2 * DAY, NOW)["a"]
    assert uptime.seconds["down"] == pytest.approx(1800)
    assert uptime.seconds["unknown"] == pytest.approx(1800)
    assert uptime.seconds["up"] == pytest.approx(2 * DAY - 3600 + 1800, abs=120)  # from the hour's start
    assert uptime.share == pytest.approx(1 - 1800 / (2 * DAY - 1800 + 1800), abs=1e-4)
    assert telemetry.uptimes(["b"], NOW - DAY, NOW)["b"].share is None


@pytest.mark.parametrize("steps", [1, 50])
def test_rolling_up_often_or_once_gives_the_same(telemetry: Telemetry, steps: int) -> None:
    _fill(telemetry, "a", NOW - 2 * DAY, NOW, every=30)
    for step in range(steps):
        telemetry.maintain(NOW - DAY + DAY * (step + 1) / steps)
    points = telemetry.series("a", NOW - 2 * DAY, NOW + 1, buckets=100)
    assert sum(point.checks for point in points) == 2 * DAY / 30
    assert points[3].p95 == pytest.approx(0.1)
    assert points[3].phases["wait"] == pytest.approx(0.05)


def test_results_that_come_late_are_rolled_up_too(telemetry: Telemetry) -> None:
    _fill(telemetry, "a", MIDNIGHT - 2 * DAY, NOW)
    telemetry.maintain(NOW)
    late = Sample(uid="a", at=MIDNIGHT - DAY + 5, verdict="down", duration=1, charge="down", charged=5)
    telemetry.append([late])
    telemetry.flush()
    telemetry.maintain(NOW + 60)
    bars = telemetry.bars(["a"], 3, NOW)["a"]
    assert [bar.uptime.seconds.get("down", 0) for bar in bars] == [0, 5, 0]


@pytest.mark.parametrize("rolled", [False, True])
def test_results_of_single_locations_are_a_series_of_their_own(telemetry: Telemetry, *, rolled: bool) -> None:
    _fill(telemetry, "a", NOW - 7200, NOW)
    for location, duration in (("fra", 0.25), ("nyc", 0.5)):
        samples = [
            Sample(uid="a", at=NOW - 7200 + step, verdict="down" if location == "nyc" else "up", duration=duration,
                   charge="up", charged=60, location=location)
            for step in range(60, 7201, 60)
        ]  # fmt: skip
        telemetry.append(samples)
    telemetry.flush()
    if rolled:
        telemetry.maintain(NOW)
    assert telemetry.locations("a", NOW - 7200, NOW) == ["fra", "nyc"]
    assert telemetry.locations("b", NOW - 7200, NOW) == []
    for width in (7200, DAY):  # raw results, and roll-ups
        lines = {name: telemetry.series("a", NOW - width, NOW + 1, location=name) for name in ("", "fra", "nyc")}
        assert {name: sum(point.checks for point in line) for name, line in lines.items()} == {
            "": 120, "fra": 120, "nyc": 120,
        }  # fmt: skip
        assert {point.mean for point in lines["fra"]} == {0.25}
        assert sum(point.failures for point in lines["nyc"]) == 120
    assert telemetry.uptimes(["a"], NOW - DAY, NOW)["a"].checks == 120
    assert telemetry.bars(["a"], 1, NOW)["a"][0].uptime.share == 1.0
    assert {one.location for one in telemetry.latest("a")} == {""}
    assert telemetry.latest("a", 1, "fra")[0].duration == 0.25
    assert {one.location for one in telemetry.recent(["a"], NOW - 600)["a"]} == {""}


def test_bars_have_a_place_for_every_day(telemetry: Telemetry) -> None:
    _fill(telemetry, "a", MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY - 1)
    _fill(telemetry, "a", MIDNIGHT, NOW, "down")
    telemetry.maintain(NOW)
    bars = telemetry.bars(["a", "b"], 5, NOW)
    assert [bar.at for bar in bars["a"]] == [MIDNIGHT - DAY * ago for ago in (4, 3, 2, 1, 0)]
    assert [bar.uptime.share for bar in bars["a"]] == [None, 1.0, None, None, 0.0]
    assert all(bar.uptime.share is None for bar in bars["b"])


def test_retention_deletes_raw_results_but_keeps_days(tmp_path: Path) -> None:
    store = DuckTelemetry(tmp_path / "t.duckdb", days={"raw": 2, "minute": 2, "hour": 3, "day": 100})
    _fill(store, "a", MIDNIGHT - 5 * DAY, MIDNIGHT - 4 * DAY, every=300)
    store.maintain(MIDNIGHT - 4 * DAY + 200)
    store.maintain(NOW)
    assert store.latest("a") == []
    assert store.bars(["a"], 10, NOW)["a"][4].uptime.share == 1.0
    store.forget(["a"])
    assert store.bars(["a"], 10, NOW)["a"][4].uptime.share is None
    store.close()


def test_a_torn_file_is_set_aside_and_told(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    path.write_bytes(b"this is not a database" * 500)
    store = DuckTelemetry(path)
    assert "set aside" in store.vitals().notices[0]
    assert len(list(tmp_path.glob("t.duckdb.broken-*"))) == 1
    _fill(store, "a", NOW - 600, NOW)
    assert len(store.latest("a")) == 10
    store.close()


def test_a_full_buffer_drops_the_oldest_and_counts_them(
    telemetry: DuckTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(batch: object, rolled_to: int) -> None:
        raise NotWritten("no")

    monkeypatch.setattr(telemetry._buffer, "_limit", 10)
    monkeypatch.setattr(telemetry._engine, "write", refuse)
    telemetry.append(
        [Sample(uid="a", at=time.time(), verdict="up", duration=0, charge="up", charged=0) for _ in range(25)]
    )
    assert telemetry.vitals().lost == 15
    assert telemetry.vitals().buffered == 10


def test_the_store_survives_being_reopened(tmp_path: Path) -> None:
    first = DuckTelemetry(tmp_path / "t.duckdb")
    _fill(first, "a", NOW - 600, NOW)
    first.close()
    second = DuckTelemetry(tmp_path / "t.duckdb")
    assert len(second.latest("a")) == 10
    second.close()
