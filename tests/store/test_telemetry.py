"""The contract of telemetry (watch/results/results.py), the same for DuckDB and for ClickHouse.

ClickHouse is asked by its official client over HTTP; behind it is chdb, its embedded engine (clickhouse_rig.py).
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.rigs.clickhouse_rig import ChdbServer, chdb_server

from mainstay.store.columns import sql
from mainstay.store.columns.buffer import NotWritten
from mainstay.store.columns.clickhouse_engine import ClickHouseEngine
from mainstay.store.columns.clickhouse_link import Address, Link, connecting
from mainstay.store.columns.columns import Columns
from mainstay.watch.results.results import Results
from mainstay.watch.results.tables import SAMPLE, TABLES
from mainstay.watch.results.values import Charge, Sample

DAY = 86_400
MIDNIGHT = 1_799_971_200.0  # 2027-01-15T00:00Z
NOW = MIDNIGHT + 10 * 3600 + 30 * 60

Make = Callable[..., Results]


@pytest.fixture(scope="module")
def server() -> Iterator[ChdbServer]:
    with chdb_server() as running:
        yield running


def clickhouse(server: ChdbServer, database: str, **more: Any) -> Results:
    address = Address.of(server.address(database), lambda source, name: "")
    link = Link(connecting(address), database, address.password, TABLES)
    return Results(Columns(ClickHouseEngine(link, TABLES), TABLES, **more))


@pytest.fixture(params=["duckdb", "clickhouse"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Opens a store; the same one each time."""
    opened: list[Results] = []
    database = f"t{uuid.uuid4().hex}"

    def opener(**more: Any) -> Results:
        if request.param == "duckdb":
            store: Results = Results.embedded(tmp_path / "telemetry.duckdb", **more)
        else:
            store = clickhouse(request.getfixturevalue("server"), database, **more)
        opened.append(store)
        return store

    yield opener
    for store in opened:
        store.close()


@pytest.fixture
def telemetry(make: Make) -> Results:
    return make()


def _fill(telemetry: Results, uid: str, since: float, until: float, charge: Charge = "up", every: float = 60) -> None:
    verdict = "down" if charge == "down" else "up"
    at, samples = since + every, []
    while at <= until:
        samples.append(
            Sample(uid=uid, at=at, verdict=verdict, duration=0.1, charge=charge, charged=every, phases={"wait": 0.05})
        )
        at += every
    telemetry.append(samples)
    telemetry.flush()


def test_what_was_appended_is_read_back_newest_first(telemetry: Results) -> None:
    one = Sample(uid="a", at=NOW, verdict="up", duration=0.25, charge="up", charged=0, phases={"connect": 0.125})
    two = Sample(
        uid="a", at=NOW + 1, verdict="down", duration=1, charge="up", charged=1, code="x.y", evidence={"s": "ü"}
    )
    telemetry.append([one, two])
    telemetry.flush()
    assert telemetry.latest("a") == [two, one]
    assert telemetry.latest("b") == []


@pytest.mark.parametrize("rolled", [False, True])
def test_uptime_counts_charged_seconds_whatever_table_they_are_in(telemetry: Results, *, rolled: bool) -> None:
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


@pytest.mark.parametrize("steps", [1, 7])
def test_rolling_up_often_or_once_gives_the_same(telemetry: Results, steps: int) -> None:
    _fill(telemetry, "a", NOW - 2 * DAY, NOW, every=30)
    for step in range(steps):
        telemetry.maintain(NOW - DAY + DAY * (step + 1) / steps)
    points = telemetry.series("a", NOW - 2 * DAY, NOW + 1, buckets=100)
    assert sum(point.checks for point in points) == 2 * DAY / 30
    assert points[3].p95 == pytest.approx(0.1)
    assert points[3].phases["wait"] == pytest.approx(0.05)


def test_results_that_come_late_are_rolled_up_too(telemetry: Results) -> None:
    _fill(telemetry, "a", MIDNIGHT - 2 * DAY, NOW)
    telemetry.maintain(NOW)
    late = Sample(uid="a", at=MIDNIGHT - DAY + 5, verdict="down", duration=1, charge="down", charged=5)
    telemetry.append([late])
    telemetry.flush()
    telemetry.maintain(NOW + 60)
    bars = telemetry.bars(["a"], 3, NOW)["a"]
    assert [bar.uptime.seconds.get("down", 0) for bar in bars] == [0, 5, 0]


@pytest.mark.parametrize("rolled", [False, True])
def test_results_of_single_locations_are_a_series_of_their_own(telemetry: Results, *, rolled: bool) -> None:
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


def test_bars_have_a_place_for_every_day(telemetry: Results) -> None:
    _fill(telemetry, "a", MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY - 1)
    _fill(telemetry, "a", MIDNIGHT, NOW, "down")
    telemetry.maintain(NOW)
    bars = telemetry.bars(["a", "b"], 5, NOW)
    assert [bar.at for bar in bars["a"]] == [MIDNIGHT - DAY * ago for ago in (4, 3, 2, 1, 0)]
    assert [bar.uptime.share for bar in bars["a"]] == [None, 1.0, None, None, 0.0]
    assert all(bar.uptime.share is None for bar in bars["b"])


def test_retention_deletes_raw_results_but_keeps_days(make: Make) -> None:
    store = make(days={"raw_days": 2, "minute_days": 2, "hour_days": 3, "day_days": 100})
    _fill(store, "a", MIDNIGHT - 5 * DAY, MIDNIGHT - 4 * DAY, every=300)
    store.maintain(MIDNIGHT - 4 * DAY + 200)
    store.maintain(NOW, steady=False)
    assert store.latest("a") != [], "the clock was set lately: nothing is deleted by it"
    store.maintain(NOW)
    assert store.latest("a") == []
    assert store.bars(["a"], 10, NOW)["a"][4].uptime.share == 1.0
    store.forget(["a"])
    assert store.bars(["a"], 10, NOW)["a"][4].uptime.share is None


def test_a_torn_file_is_set_aside_and_told(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    path.write_bytes(b"this is not a database" * 500)
    store = Results.embedded(path)
    assert "set aside" in store.vitals().notices[0]
    assert len(list(tmp_path.glob("t.duckdb.broken-*"))) == 1
    _fill(store, "a", NOW - 600, NOW)
    assert len(store.latest("a")) == 10
    store.close()


def test_a_full_buffer_drops_the_oldest_and_counts_them(telemetry: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_of: object) -> None:
        raise NotWritten("no")

    monkeypatch.setattr(telemetry._buffer, "_limit", 10)
    monkeypatch.setattr(telemetry.columns._engine, "write", refuse)
    telemetry.append([Sample(uid="a", at=NOW, verdict="up", duration=0, charge="up", charged=0) for _ in range(25)])
    assert telemetry.vitals().lost == 15
    assert telemetry.vitals().buffered == 10


def test_the_store_survives_being_reopened(make: Make) -> None:
    first = make()
    _fill(first, "a", NOW - 600, NOW)
    first.maintain(NOW)
    first.close()
    assert len(make().latest("a")) == 10


def test_retention_is_by_whole_days_and_the_same_for_every_grain(make: Make) -> None:
    store = make(days={"raw_days": 1, "minute_days": 2, "hour_days": 4, "day_days": 6})
    _fill(store, "a", MIDNIGHT - 8 * DAY, NOW, every=7200)
    store.maintain(NOW)
    tables = {"sample": 1, "by_minute": 2, "by_hour": 4, "by_day": 6}
    for table, days in tables.items():
        begin, day = int((MIDNIGHT - days * DAY) * 1e6), DAY * 10**6
        before, first = (
            store.columns._engine.ask(sql.buckets(SAMPLE, ["checks"], [], span, width=day, source=table))
            for span in ((0, begin), (begin, begin + day))
        )
        assert before == [], table
        assert first[0][1] == 12, table


def test_what_is_gone_is_not_rolled_up_again(make: Make) -> None:
    """A result that comes when the others of its day are deleted must not take the place of that day."""
    store = make(days={"raw_days": 2, "minute_days": 20, "hour_days": 20, "day_days": 20})
    _fill(store, "a", MIDNIGHT - 4 * DAY, NOW, every=300)
    store.maintain(NOW)
    late = Sample(uid="a", at=MIDNIGHT - 3 * DAY + 7, verdict="down", duration=1, charge="down", charged=5)
    store.append([late])
    store.flush()
    store.maintain(NOW + 60)
    bars = store.bars(["a"], 5, NOW)["a"]
    assert [bar.uptime.checks for bar in bars[1:4]] == [288] * 3
    assert bars[1].uptime.share == 1.0


def test_results_of_a_time_are_the_newest_of_it(telemetry: Results) -> None:
    _fill(telemetry, "a", NOW - 3600, NOW)
    found = telemetry.results("a", NOW - 600, NOW - 300, limit=3)
    assert [sample.at for sample in found] == [NOW - 360, NOW - 420, NOW - 480]
    assert telemetry.results("b", 0, NOW) == []


def test_many_monitors_are_asked_for_at_once(telemetry: Results) -> None:
    uids = [f"monitor-{number:05}" for number in range(600)]
    telemetry.append(
        [Sample(uid=uid, at=NOW - 200, verdict="up", duration=0.1, charge="up", charged=60) for uid in uids]
    )
    telemetry.flush()
    telemetry.maintain(NOW)
    assert {one.share for one in telemetry.uptimes(uids, NOW - DAY, NOW).values()} == {1.0}
    assert {lines[-1].uptime.checks for lines in telemetry.bars(uids, 9, NOW).values()} == {1}
    assert sum(len(found) for found in telemetry.recent(uids, NOW - 600).values()) == 600


def test_text_of_any_kind_comes_back(telemetry: Results) -> None:
    odd = 'it\'s \\ "quoted" \t {a} %s 雪 \x00 end'
    sample = Sample(
        uid="o'dd", at=NOW, verdict="down", duration=1, charge="down", charged=1, code="a.b", message=odd,
        evidence={"text": odd, "n": [1, 2.5, None]},
    )  # fmt: skip
    torn = Sample(uid="torn", at=NOW, verdict="up", duration=1, charge="up", charged=1, message="a\ud800b")
    telemetry.append([sample, torn])
    telemetry.flush()
    assert telemetry.latest("o'dd") == [sample]
    assert telemetry.latest("torn")[0].message == "a?b"
    assert telemetry.vitals().lost == 0


def test_imported_days_stay_beside_measured_ones(telemetry: Results) -> None:
    row = ["a", int(MIDNIGHT - 30 * DAY) * 10**6, 1440, 3, 86_220.0, 0.0, 180.0, 0.0, 0.0, 0.0, 0.1, 0.1, 0.2, 0.3]
    telemetry.import_days([[*row, *[None] * 5]])
    _fill(telemetry, "a", MIDNIGHT - 2 * DAY, NOW, every=600)
    telemetry.maintain(NOW)
    bars = telemetry.bars(["a"], 31, NOW)["a"]
    assert bars[0].uptime.failures == 3
    assert telemetry.imported_days(["a"]) >= {("a", int(MIDNIGHT - 30 * DAY) * 10**6)}
    points = telemetry.series("a", NOW - 900 * DAY, NOW)
    assert points[0].p95 == pytest.approx(0.2)


def test_both_engines_give_the_same_numbers(server: ChdbServer, tmp_path: Path) -> None:
    """Every question, over results that no two of are alike."""
    import random

    chance = random.Random(5)
    samples = []
    for uid, step in itertools.product("abc", range(1000)):
        verdict = chance.choices(("up", "degraded", "down", "unknown"), (90, 4, 4, 2))[0]
        duration = chance.lognormvariate(-2, 1)
        samples.append(
            Sample(
                uid=uid, at=NOW - step * 237.3, verdict=verdict, duration=duration, charge=verdict,  # type: ignore[arg-type]
                charged=237.25, phases={"wait": duration / 2} if step % 3 else {}, location=("", "fra")[step % 5 == 0],
            )
        )  # fmt: skip
    stores = [Results.embedded(tmp_path / "t.duckdb"), clickhouse(server, f"t{uuid.uuid4().hex}")]
    answers: list[list[Any]] = []
    for store in stores:
        store.append(samples)
        store.flush()
        store.maintain(NOW)
        answers.append(
            [
                *(store.series(uid, NOW - days * DAY, NOW, location=location)
                  for uid, days, location in itertools.product("ab", (0.1, 1, 3, 30, 400), ("", "fra"))),
                store.hours("a", [NOW // 3600 * 3600 - 3600 * back for back in range(1, 30)]),
            ]
        )  # fmt: skip
        for uids, days in itertools.product((["a"], ["a", "b", "x"]), (0.3, 2, 90)):
            answers[-1].append(store.uptimes(uids, NOW - days * DAY, NOW))
        answers[-1].append(store.bars(["a", "c"], 5, NOW))
        answers[-1].append(store.recent(["a", "b"], NOW - 7200, 5))
        store.close()
    for duck, click in zip(*answers, strict=True):
        assert _plain(click) == pytest.approx(_plain(duck), rel=1e-5)


def _plain(value: Any) -> list[float]:
    """Every number of an answer in order; None as -1."""
    if value is None:
        return [-1.0]
    if isinstance(value, bool | int | float):
        return [float(value)]
    if isinstance(value, str):
        return []
    if isinstance(value, dict):
        return [number for key in sorted(value) for number in _plain(value[key])]
    if isinstance(value, list | tuple):
        return [number for inner in value for number in _plain(inner)]
    names = getattr(value, "__struct_fields__", None) or value.__dataclass_fields__
    return [number for name in names for number in _plain(getattr(value, name))]
