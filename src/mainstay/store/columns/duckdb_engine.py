"""The embedded engine: one DuckDB file, one writing thread, readers on cursors of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import structlog

from mainstay.store.columns import sql
from mainstay.store.columns.buffer import Batch, NotWritten
from mainstay.store.columns.duckdb_file import GIVEN_UP, DuckFile, answering, is_damage
from mainstay.store.columns.duckdb_sql import ADVANCE, DUCKDB, PROGRESS, to_parquet
from mainstay.store.columns.engine import Content, EngineVitals, Late
from mainstay.store.columns.sql import Part, Question, Statement, answer
from mainstay.store.columns.table import AT, DAY, Rollup, Row, Span, Table, micro

log = structlog.get_logger("telemetry")

_COMPARED = ("name", "time", "word", "text", "whole")  # kinds of which a value is read as it was written


class DuckEngine:
    """See store/columns/engine.py for what the methods promise."""

    name = "duckdb"

    def __init__(self, path: Path, memory: str, tables: Sequence[Table]) -> None:
        """A damaged file is set aside and told. UserError if a sound one cannot be opened now."""
        self._path = path
        self._file = DuckFile(path, memory, tables)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's connection. Not to be closed."""
        return self._file.cursor()

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._file.cursor().execute(statement, list(values)).fetchall()
        except duckdb.Error as error:
            self._look_at(error)
            raise

    def _look_at(self, error: duckdb.Error) -> None:
        self._file.damaged = self._file.damaged or is_damage(error)

    @answering
    def ask(self, question: Question) -> list[Row]:
        asked = answer(DUCKDB, question)
        return self._rows(asked.sql, asked.values)

    # writing

    def write(self, table: Table, batch: Batch, rolled_to: int) -> None:
        late = bool(table.rollups) and batch.oldest < rolled_to
        try:
            with self._transaction() as cursor:
                if late:
                    cursor.execute("INSERT INTO late VALUES (?, ?)", [table.mark(batch.token), batch.oldest])
                with cursor.appender(table.name) as appender:
                    appender.append_rows(batch.rows)
        except duckdb.Error as error:
            if isinstance(error, GIVEN_UP) and self._is_there_after_all(table, batch):
                return
            raise NotWritten(f"results cannot be written: {str(error)[:500]}") from error

    def _is_there_after_all(self, table: Table, batch: Batch) -> bool:
        """Open the file anew; a batch whose commit was followed by a failed checkpoint is in it."""
        try:
            self._file.reopen()
            known = [(one.name, value) for one, value in zip(table.columns, batch.rows[-1], strict=True)
                     if one.kind in _COMPARED]  # fmt: skip
            chosen = " AND ".join(f"{name} = ?" for name, _ in known)
            return bool(self._rows(f"SELECT 1 FROM {table.name} WHERE {chosen} LIMIT 1", [value for _, value in known]))
        except duckdb.Error as error:
            log.error("the file of columns cannot be opened again", error=str(error)[:200])
            return False

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._file.cursor()
        cursor.execute("BEGIN")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except duckdb.Error as error:
            self._look_at(error)
            with contextlib.suppress(duckdb.Error):  # the transaction or the whole file may be given up already
                cursor.execute("ROLLBACK")
            raise

    # upkeep

    @answering
    def progress(self) -> dict[str, int]:
        return dict(self._rows(PROGRESS))

    @answering
    def advance(self, mark: str, until: int) -> None:
        self._rows(ADVANCE, [mark, until])

    @answering
    def late(self, table: Table) -> Late | None:
        rows = [row for row in self._rows("SELECT mark, at_us FROM late") if table.owns(row[0])]
        return Late(min(row[1] for row in rows), tuple(row[0] for row in rows)) if rows else None

    @answering
    def heed(self, late: Late) -> None:
        self._rows("DELETE FROM late WHERE mark IN (SELECT unnest(?::VARCHAR[]))", [list(late.marks)])

    @answering
    def roll_up(self, table: Table, rollup: Rollup, span: Span) -> None:
        """In shares of the series, because quantiles need all values of a bucket in memory at once."""
        chosen = f"WHERE {AT} >= {span[0]} AND {AT} < {span[1]}"
        with self._transaction() as cursor:
            cursor.execute(f"DELETE FROM {rollup.table} {chosen}")
            rows = cursor.execute(f"SELECT count(*) FROM {table.name} {chosen}").fetchall()
            shares = -(-int(rows[0][0]) // rollup.at_once)
            for share in range(shares):
                more = f" AND hash({table.series[0]}) % {shares} = {share}"
                cursor.execute(answer(DUCKDB, sql.roll_up(table, rollup, span, more)).sql)
            cursor.execute(ADVANCE, [table.mark(rollup.mark), span[1]])

    @answering
    def expire(self, name: str, before: int) -> None:
        self._rows(f"DELETE FROM {name} WHERE {AT} < {before}")

    @answering
    def erase(self, table: Table, values: Sequence[str]) -> None:
        with self._transaction() as cursor:
            for name in table.tables():
                chosen = f"{table.erased_by} IN (SELECT unnest(?::VARCHAR[]))"
                cursor.execute(f"DELETE FROM {name} WHERE {chosen}", [list(values)])

    def add(self, rollup: Rollup, names: Sequence[str], rows: Sequence[Row]) -> None:
        with self._file.cursor().appender(rollup.table, columns=list(names)) as appender:
            appender.append_rows(rows)

    # the way into the archive

    @answering
    def raw_days(self, table: Table, before: int) -> list[int]:
        day = f"{AT} // {micro(DAY)} * {micro(DAY)}"
        return [
            row[0] for row in self._rows(f"SELECT DISTINCT {day} FROM {table.name} WHERE {AT} < {before} ORDER BY 1")
        ]

    def content(self, table: Table, part: Part) -> Content:
        return Content(*self.ask(sql.content(table, part))[0])

    @answering
    def export(self, table: Table, part: Part, target: Path) -> None:
        self._rows(to_parquet(sql.part_of(table, part)(Statement(DUCKDB)), target))

    @answering
    def drop(self, table: Table, day: int, content: Content) -> bool:
        asked = answer(DUCKDB, sql.content(table, Part(day)))
        with self._transaction() as cursor:
            same = Content(*cursor.execute(asked.sql).fetchall()[0]) == content
            if same:  # what comes meanwhile is not seen by this transaction, and stays
                begin, end = Part(day).span
                cursor.execute(f"DELETE FROM {table.name} WHERE {AT} >= {begin} AND {AT} < {end}")
        return same

    def mend(self) -> None:
        if self._file.damaged:
            self._file.mend()

    def measure(self) -> None:
        """Nothing: the file's size is at hand."""

    def vitals(self) -> EngineVitals:
        size = sum(path.stat().st_size for path in self._path.parent.glob(f"{self._path.name}*") if path.is_file())
        return EngineVitals(size, self._file.set_aside, tuple(self._file.notices))

    def close(self) -> None:
        self._file.close()
