"""A table that nobody knows, with texts and labels, on both engines: all that is done follows from its declaration."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.rigs.clickhouse_rig import ChdbServer, chdb_server

from mainstay.kernel.errors import StoreBusy
from mainstay.store.columns.archive import Archive
from mainstay.store.columns.clickhouse_engine import ClickHouseEngine
from mainstay.store.columns.clickhouse_link import Address, Link, connecting
from mainstay.store.columns.columns import Columns
from mainstay.store.columns.duckdb_engine import DuckEngine
from mainstay.store.columns.sql import Condition
from mainstay.store.columns.table import DAY, Column, Measure, Rollup, Row, Table, micro
from mainstay.store.snapshots import telemetry_copy
from mainstay.watch.results.results import Results
from mainstay.watch.results.tables import SAMPLE
from mainstay.watch.results.values import Sample

LOGS = Table(
    name="logs",
    columns=(
        Column("at_us", "time"),
        Column("service", "name"),
        Column("level", "word"),
        Column("severity", "whole"),
        Column("body", "text"),
        Column("labels", "labels"),
        Column("host", "word", added=True),
    ),
    order=("service",),
    kept="log_days",
    measures=(
        Measure("lines", "count"),
        Measure("severe", "count", where="severity >= 17"),
        Measure("worst", "largest", "severity"),
        Measure("usual", "mean", "severity", weight="lines"),
    ),
    rollups=(Rollup("logs_by_hour", "hour", 3600, DAY, kept="log_hours_days", at_once=1_000_000, partition=7),),
    rolled_by=("service", "level"),
    erased_by="service",
    archived_as="logs",
)
TABLES = (SAMPLE, LOGS)
MIDNIGHT = 1_799_971_200.0  # 2027-01-15T00:00Z
NOW = MIDNIGHT + 10 * 3600 + 30 * 60
KEPT = {"log_days": 2, "log_hours_days": 4, "raw_days": 2}
ALL = (0, micro(NOW + DAY))
SERVICE = Condition("service", "is", "api")

Make = Callable[..., Columns]


@pytest.fixture(scope="module")
def server() -> Iterator[ChdbServer]:
    with chdb_server() as running:
        yield running


@pytest.fixture(params=["duckdb", "clickhouse"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Opens the same store each time."""
    opened: list[Columns] = []
    database = f"t{uuid.uuid4().hex}"

    def opener(tables: Sequence[Table] = TABLES, archive: Archive | None = None) -> Columns:
        if request.param == "duckdb":
            engine: Any = DuckEngine(tmp_path / "telemetry.duckdb", "96MB", tables)
        else:
            address = Address.of(request.getfixturevalue("server").address(database), lambda source, name: "")
            engine = ClickHouseEngine(Link(connecting(address), database, address.password, tables), tables)
        opened.append(Columns(engine, tables, KEPT, lambda: archive))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


def line(at: float, service: str = "api", body: str = "ready", **labels: str) -> Row:
    level, severity = ("error", 17) if "cannot" in body else ("info", 9)
    return (micro(at), service, level, severity, body, labels, "h1")


def fill(store: Columns, *rows: Row) -> list[Row]:
    """The rows, newest first."""
    store.append(LOGS, rows)
    store.flush()
    return sorted(rows, key=lambda row: int(row[0]), reverse=True)


def hours(rows: Sequence[Row], service: str = "api") -> list[tuple[int, int]]:
    """Each hour with how many lines it has."""
    found: dict[int, int] = {}
    for row in rows:
        if row[1] == service:
            start = row[0] // micro(3600) * micro(3600)
            found[start] = found.get(start, 0) + 1
    return sorted(found.items())


def test_rows_are_found_by_time_label_text_and_number(make: Make) -> None:
    store = make()
    odd = 'cannot open "it\'s" \\ 雪 {a}'
    wanted = fill(
        store,
        line(NOW - 30, user="42", route="/"),
        line(NOW - 20, body=odd, user="4'2"),
        line(NOW - 20, "web", odd),
        line(NOW - 10, user="42"),
    )

    def found(*where: Condition, span: tuple[int, int] = ALL, limit: int = 10) -> list[Row]:
        return store.rows(LOGS, where, span, limit)

    assert found(SERVICE) == [wanted[0], *(row for row in wanted[1:3] if row[1] == "api"), wanted[3]]
    assert found(SERVICE, limit=1) == wanted[:1]
    assert found(SERVICE, span=(micro(NOW - 30), micro(NOW - 20))) == wanted[3:]
    assert found(Condition("labels", "label", "42", "user")) == [wanted[0], wanted[3]]
    assert found(Condition("labels", "label", "4'2", "user")) == found(SERVICE, Condition("severity", "least", 17))
    assert len(found(Condition("body", "has", 'open "it\'s" \\ 雪'))) == 2
    assert found(Condition("service", "none", ["api"])) == found(Condition("service", "among", ["web", "x"]))
    assert {row[1]: row[0] for row in store.newest(LOGS, [], 0, 1)} == {"api": micro(NOW - 10), "web": micro(NOW - 20)}
    assert store.distinct("logs", "level", [SERVICE], ALL) == {"info", "error"}


def test_roll_ups_are_made_of_raw_rows_late_ones_too_and_outlive_them(make: Make) -> None:
    store = make()
    begin = MIDNIGHT - 3 * DAY
    rows = fill(store, *(line(begin + n * 600, body="cannot" if n % 5 == 0 else "ok") for n in range(500)))
    names = ["lines", "severe", "worst", "usual"]

    def asked(mark: str) -> list[Row]:
        return store.buckets(LOGS, names, [SERVICE], (micro(begin), ALL[1]), width=micro(3600), mark=mark)

    before = asked("")
    assert [row[:2] for row in before] == hours(rows)
    store.maintain(NOW, steady=False)
    assert asked("hour") == [pytest.approx(row) for row in before]
    errors = [SERVICE, Condition("level", "is", "error")]
    assert sum(row[1] for row in store.rolled(LOGS, "hour", ["at_us", "lines"], errors)) in range(98, 101)
    rows += fill(store, line(begin + 7, body="cannot come in time"))
    store.maintain(NOW + 60, steady=False)
    assert asked("hour")[0][1] == before[0][1] + 1
    store.maintain(NOW + 120)  # and now days are over
    kept = store.rows(LOGS, [SERVICE], ALL, 1000)
    assert {row[0] for row in kept} == {row[0] for row in rows if row[0] >= micro(MIDNIGHT - 2 * DAY)}
    assert [row[:2] for row in asked("hour")] == hours(rows)
    total, worst = store.totals(LOGS, ["lines", "usual"], [("logs_by_hour", 0, ALL[1]), ("logs", ALL[1], ALL[1])], [])[
        0
    ][1:3]
    assert total == sum(count for start, count in hours(rows) if start < micro(NOW // 3600 * 3600))
    assert worst > 9 * total
    store.maintain(NOW + 5 * DAY)
    assert asked("hour") == []


def test_old_rows_go_to_the_archive_and_are_found_and_erased_there(make: Make, tmp_path: Path) -> None:
    archive = Archive(str(tmp_path / "archive"), tmp_path / "work")
    store = make(archive=archive)
    rows = [line(MIDNIGHT - 4 * DAY + n * 3600, ("api", "web")[n % 2], n=str(n)) for n in range(96)]
    wanted = fill(store, *rows)
    results = Results(store)
    results.append(
        [Sample(uid="a", at=NOW - 4 * DAY, verdict="up", duration=1, charge="up", charged=1, evidence={"a": 1})]
    )
    results.flush()
    store._engine.advance("minute", micro(NOW))  # which would take long
    store.maintain(NOW)
    assert store.vitals().archive is not None
    assert sorted({one.of for one in archive._files.days()}) == ["logs", "results"]
    assert len(archive._files.days("logs")) == 2
    for row in wanted[::7]:
        assert store.rows(LOGS, [Condition("labels", "label", row[5]["n"], "n")], ALL, 5) == [row]
    assert store.rows(LOGS, [SERVICE], ALL, 100) == [row for row in wanted if row[1] == "api"]
    assert [one.uid for one in results.results("a", 0, NOW)] == ["a"]
    store.erase(LOGS, ["api", "a"], NOW)
    assert store.erased(LOGS) == NOW
    assert results.forgotten() == 0, "a wish is about one table"
    assert store.rows(LOGS, [], ALL, 100) == [row for row in wanted if row[1] == "web"]
    assert store.distinct("logs_by_hour", "service", [], ALL) == {"web"}
    store.maintain(NOW + 60)
    again = Archive(str(tmp_path / "archive"), tmp_path / "elsewhere")
    assert again.rows(LOGS, [SERVICE], ALL, 100) == []
    assert [name for name in again._files.sizes() if not name.endswith(".parquet")] == []
    assert [one.uid for one in results.results("a", 0, NOW)] == ["a"], "of another table, though its value is the same"


def test_a_table_that_came_later_or_got_a_column_finds_its_place(make: Make) -> None:
    short = dataclasses.replace(LOGS, columns=LOGS.columns[:-1])
    first = make([SAMPLE])
    first.close()
    second = make([SAMPLE, short])
    second.append(short, [line(NOW - 60)[:-1]])
    second.flush()
    second.close()
    third = make()
    assert third.rows(LOGS, [], ALL, 5) == [(*line(NOW - 60)[:-1], "")]
    assert fill(third, line(NOW))[0] in third.rows(LOGS, [Condition("host", "is", "h1")], ALL, 5)


def test_a_full_buffer_refuses_what_is_new_and_keeps_what_it_took(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make()
    monkeypatch.setattr(store._buffers["logs"], "_limit", 3)
    with pytest.raises(StoreBusy, match="too many rows are waiting to be written to logs"):
        store.append(LOGS, [line(NOW)] * 4)
    store.append(LOGS, [line(NOW)] * 3)
    store.flush()
    assert (store.vitals().written, store.vitals().lost) == (3, 0)
    assert store.rows(LOGS, [], ALL, 10) == [line(NOW)] * 3


def test_a_snapshot_takes_every_declared_table_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry_copy, "declared", lambda: TABLES)
    store = Columns(DuckEngine(tmp_path / "telemetry.duckdb", "96MB", TABLES), TABLES, KEPT)
    rows = fill(store, *(line(NOW - n * 600, user=str(n)) for n in range(100)), line(NOW + 60))
    store.maintain(NOW + 7200)
    store.erase(LOGS, ["web"], NOW + 90)
    folder, other = tmp_path / "copy", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    counts = telemetry_copy.export(store.reading(), folder, NOW, lambda *_: None)
    store.close()
    telemetry_copy.restore(folder, other, counts, "96MB", lambda *_: None)
    restored = Columns(DuckEngine(other / "telemetry.duckdb", "96MB", TABLES), TABLES, KEPT)
    assert restored.rows(LOGS, [], ALL, 200) == rows[1:], "what came after that moment stays behind"
    assert restored.erased(LOGS) == NOW
    restored._looked_up = (float("-inf"), {})
    assert restored.progress(LOGS, "hour") == micro(NOW // 3600 * 3600)
    found = restored.buckets(LOGS, ["lines"], [], (0, ALL[1]), width=micro(3600), mark="hour")
    assert found == hours(rows[1:])
    restored.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "logs; DROP TABLE sample"},
        {"order": ()},
        {"order": ("nobody",)},
        {"erased_by": "nobody"},
        {"erased_by": "host"},  # roll-ups would keep what was erased
        {"columns": LOGS.columns[1:]},
    ],
)
def test_what_no_engine_could_make_is_refused_when_it_is_declared(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="not declared correctly"):
        dataclasses.replace(LOGS, **wrong)
