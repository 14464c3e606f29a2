"""Archived results: written once, read by the same questions, forgotten and expired there too, whatever dies when."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.rigs.clickhouse_rig import ChdbServer, chdb_server
from tests.rigs.s3_server import S3Server, s3_server

from mainstay.kernel.errors import TooLarge, Unavailable
from mainstay.store.columns import sql
from mainstay.store.columns.archive import Archive
from mainstay.store.columns.clickhouse_engine import ClickHouseEngine
from mainstay.store.columns.clickhouse_link import Address, Link, connecting
from mainstay.store.columns.columns import Columns
from mainstay.store.columns.sql import Part
from mainstay.store.columns.table import Table
from mainstay.watch.results.results import Results
from mainstay.watch.results.tables import SAMPLE, TABLES
from mainstay.watch.results.values import Sample

DAY = 86_400
MIDNIGHT = 1_799_971_200.0  # 2027-01-15T00:00Z
NOW = MIDNIGHT + 10 * 3600 + 30 * 60
KEPT = {"raw_days": 2, "minute_days": 14, "hour_days": 100, "day_days": 1100}

Make = Callable[[Archive], Results]


@pytest.fixture(scope="module")
def server() -> Iterator[ChdbServer]:
    with chdb_server() as running:
        yield running


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "archive")
    s3: S3Server = request.getfixturevalue("s3")
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    bucket = f"b{uuid.uuid4().hex[:20]}"
    s3.make_bucket(bucket)
    return f"s3://{bucket}/results"


@pytest.fixture(params=["duckdb", "clickhouse"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    opened: list[Results] = []
    database = f"t{uuid.uuid4().hex}"

    def opener(archive: Archive) -> Results:
        if request.param == "duckdb":
            store: Results = Results.embedded(tmp_path / "t.duckdb", days=KEPT, archive=lambda: archive)
        else:
            address = Address.of(request.getfixturevalue("server").address(database), lambda source, name: "")
            engine = ClickHouseEngine(Link(connecting(address), database, address.password, TABLES), TABLES)
            store = Results(Columns(engine, TABLES, KEPT, lambda: archive))
        opened.append(store)
        return store

    yield opener
    for store in opened:
        store.close()


def _fill(store: Results, uid: str, since: float, until: float, every: float = 600) -> list[Sample]:
    samples = [
        Sample(uid=uid, at=since + every * step, verdict="up", duration=0.25, charge="up", charged=every,
               location=("", "fra")[step % 2],
               phases={"wait": 0.125}, message=f"{uid} {step}", evidence={"status": 200})
        for step in range(int((until - since) / every))
    ]  # fmt: skip
    store.append(samples)
    store.flush()
    return samples


def _first(store: Results) -> int | None:
    first: int | None = store.columns._engine.ask(sql.first(SAMPLE))[0][0]
    return first


def test_old_results_move_and_are_read_as_before(make: Make, place: str, tmp_path: Path) -> None:
    store = make(Archive(place, tmp_path / "work"))
    samples = [*_fill(store, "a", MIDNIGHT - 3 * DAY, MIDNIGHT + 60), *_fill(store, "b", MIDNIGHT - 3 * DAY, MIDNIGHT)]
    mine = {name: [one for one in samples if (one.uid, one.location) == ("a", name)] for name in ("", "fra")}
    before = store.series("a", NOW - 2.8 * DAY, NOW - 2.8 * DAY + 3600, 20)
    store.maintain(NOW)
    vitals = store.vitals().archive
    assert vitals is not None
    assert (vitals.days, vitals.waiting, vitals.error) == (1, 0, "")
    assert vitals.bytes > 1000
    assert _first(store) == int(MIDNIGHT - 2 * DAY) * 10**6
    old = [one for one in mine[""] if one.at < MIDNIGHT - 2 * DAY]
    assert store.results("a", 0, MIDNIGHT - 2 * DAY, 5) == old[:-6:-1]
    for location, expected in mine.items():
        assert store.results("a", 0, NOW, 10_000, location) == expected[::-1]
    between = [one for one in mine[""] if MIDNIGHT - 2.5 * DAY <= one.at < MIDNIGHT - 1.5 * DAY]
    assert store.results("a", MIDNIGHT - 2.5 * DAY, MIDNIGHT - 1.5 * DAY) == between[::-1]
    assert store.results("a", 0, NOW, 5) == mine[""][::-1][:5]
    assert (
        store.results("a", 0, MIDNIGHT - 3 * DAY, 5) == [one for one in mine[""] if one.at < MIDNIGHT - 3 * DAY][:-6:-1]
    )
    assert store.series("a", NOW - 2.8 * DAY, NOW - 2.8 * DAY + 3600, 20) == before != []
    assert store.bars(["a"], 4, NOW)["a"][0].uptime.checks == 72
    store.maintain(NOW + 60)
    again = make(Archive(place, tmp_path / "elsewhere"))  # as after a restart, or from another node
    assert again.results("a", 0, NOW, 10_000) == mine[""][::-1]


def test_forgetting_and_retention_reach_the_archive(make: Make, place: str, tmp_path: Path) -> None:
    store = make(Archive(place, tmp_path / "work", days=3))
    for uid in ("a", "b", "c'c"):
        _fill(store, uid, MIDNIGHT - 5 * DAY, MIDNIGHT - 2 * DAY)
    store.maintain(NOW, steady=False)
    store.maintain(NOW, steady=False)
    assert store.vitals().archive.days == 3, "the clock was set lately: nothing is deleted by it"  # type: ignore[union-attr]
    store.maintain(NOW)
    assert store.vitals().archive.days == 1  # type: ignore[union-attr]
    assert min(one.at for one in store.results("a", 0, NOW)) == MIDNIGHT - 3 * DAY
    store.forget(["a", "c'c"])
    assert store.results("a", 0, NOW) == [] == store.results("c'c", 0, NOW)
    store.maintain(NOW)
    other = Archive(place, tmp_path / "elsewhere")
    files = [other._files.local(one.name) for one in other._files.days()]
    found = duckdb.sql(f"SELECT DISTINCT uid FROM read_parquet({[str(path) for path in files]})").fetchall()
    assert found == [("b",)]
    assert [name for name in other._files.sizes() if not name.endswith(".parquet")] == []
    assert len(store.results("b", 0, NOW)) == 72
    store.forget(["b"])
    store.maintain(NOW)
    assert Archive(place, tmp_path / "third")._files.sizes() == {}


@pytest.fixture
def simple(tmp_path: Path) -> Iterator[Callable[..., Results]]:
    """A store on DuckDB with a folder, opened again and again."""
    opened: list[Results] = []

    def opener(place: str = "", **more: Any) -> Results:
        archive = Archive(place or str(tmp_path / "archive"), tmp_path / "work", **more)
        opened.append(Results.embedded(tmp_path / "t.duckdb", days=KEPT, archive=lambda: archive))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


def test_whatever_step_fails_nothing_is_lost_or_doubled(
    simple: Callable[..., Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = simple()
    samples = _fill(store, "a", MIDNIGHT - 4 * DAY, MIDNIGHT - 2 * DAY)
    expected = [one for one in samples if not one.location][::-1]
    archive, engine = store.columns._archive, store.columns._engine
    assert archive is not None
    for where, name in ((engine, "export"), (archive, "_check"), (archive._files, "put"), (engine, "drop")):
        with monkeypatch.context() as broken:

            def fail(*_of: object, **_more: object) -> None:
                raise OSError(28, "No space left on device")

            broken.setattr(where, name, fail)
            store.maintain(NOW)
        assert "No space left" in archive.error, name
        assert store.vitals().archive.waiting >= 1  # type: ignore[union-attr]
        assert store.results("a", 0, NOW) == expected, name
    store.maintain(NOW)
    assert store.results("a", 0, NOW) == expected
    assert (archive.error, store.vitals().archive.days) == ("", 2)  # type: ignore[union-attr]
    assert _first(store) is None


def test_what_comes_while_a_day_is_archived_stays_and_follows(
    simple: Callable[..., Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = simple()
    _fill(store, "a", MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY)
    export = store.columns._engine.export

    def slow(table: Table, part: Part, target: Path) -> None:
        export(table, part, target)
        _fill(store, "late", MIDNIGHT - 3 * DAY, MIDNIGHT - 3 * DAY + 1200)

    monkeypatch.setattr(store.columns._engine, "export", slow)
    store.maintain(NOW)
    monkeypatch.undo()
    assert len(store.results("late", 0, NOW)) == 1
    store.maintain(NOW)
    assert _first(store) is None
    assert len(store.results("late", 0, NOW)) == 1
    assert len(store.results("a", 0, NOW)) == 72
    store.maintain(NOW)
    assert [one.name.split("-")[4] for one in store.columns._archive._files.days()] == ["146"]  # type: ignore[union-attr]
    assert len(store.results("a", 0, NOW)) == 72


def test_a_day_of_many_results_is_several_files_of_some_monitors_each(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstay.store.columns.columns._ROWS_OF_A_FILE", 20)
    archive = Archive(str(tmp_path / "archive"), tmp_path / "work")
    store = make(archive)
    uids = [f"u{number}" for number in range(12)]
    for uid in uids:
        _fill(store, uid, MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY, every=DAY / 8)
    store.maintain(NOW)
    files = archive._files.days()
    assert len(files) == 5  # 96 rows
    for uid in uids:
        assert len(store.results(uid, 0, NOW)) == 4
        assert sum(one.part.has(uid) for one in files) == 1
    store.forget(["u3"])
    store.maintain(NOW)
    assert store.results("u3", 0, NOW) == []
    assert all(len(store.results(uid, 0, NOW)) == 4 for uid in uids if uid != "u3")
    assert len(set(archive._files.days()) - set(files)) <= 1


def test_a_forgetting_that_was_cut_short_goes_on(simple: Callable[..., Results]) -> None:
    store = simple()
    for uid in "ab":
        _fill(store, uid, MIDNIGHT - 5 * DAY, MIDNIGHT - 2 * DAY)
    store.maintain(NOW)
    archive = store.columns._archive
    assert archive is not None
    archive.erase(SAMPLE, ["a"])
    assert archive._rewrite_erased({"results": SAMPLE}, 0.0) is False  # no time at all
    store.close()
    again = simple()
    assert again.results("a", 0, NOW) == []
    again.maintain(NOW)
    assert len(again.results("b", 0, NOW)) == 216
    (name,) = {one.name.split("-")[4] for one in again.columns._archive._files.days()}  # type: ignore[union-attr]
    assert name == "144"


def test_a_place_that_does_not_answer_stops_nothing_else(
    simple: Callable[..., Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = simple()
    _fill(store, "a", MIDNIGHT - 4 * DAY, NOW)

    def away() -> dict[str, int]:
        raise Unavailable("s3://b did not answer as it should")

    monkeypatch.setattr(store.columns._archive._files._place, "sizes", away)  # type: ignore[union-attr]
    store.maintain(NOW)
    assert "did not answer" in store.vitals().archive.error  # type: ignore[union-attr]
    assert store.vitals().archive.waiting == 2  # type: ignore[union-attr]
    assert store.bars(["a"], 3, NOW)["a"][0].uptime.checks == 72
    assert len(store.results("a", NOW - DAY, NOW)) == 72


def test_one_question_reads_a_month_at_most(simple: Callable[..., Results], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.store.columns.archive._DAYS_AT_ONCE", 3)
    store = simple()
    _fill(store, "a", MIDNIGHT - 7 * DAY, MIDNIGHT - 2 * DAY, every=DAY / 2)
    for _ in range(2):
        store.maintain(NOW)
    with pytest.raises(TooLarge, match="3 archived days"):
        store.results("a", 0, NOW)
    assert len(store.results("a", MIDNIGHT - 5 * DAY, NOW)) == 3
    assert len(store.results("a", 0, NOW, limit=2)) == 2


def test_what_is_kept_of_a_bucket_here_is_bounded(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simple: Callable[..., Results]
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("bounded")
    store = simple("s3://bounded/here")
    _fill(store, "a", MIDNIGHT - 8 * DAY, MIDNIGHT - 2 * DAY)
    for _ in range(2):
        store.maintain(NOW)
    monkeypatch.setattr("mainstay.store.columns.archive_files._CACHE", 40_000)
    assert len(store.results("a", 0, NOW)) == 432
    assert 0 < sum(path.stat().st_size for path in (tmp_path / "work").glob("*.parquet")) <= 40_000
