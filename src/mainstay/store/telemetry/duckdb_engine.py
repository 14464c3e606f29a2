"""The embedded engine: one DuckDB file, one writing thread, readers on cursors of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import structlog

from mainstay.store.telemetry import sql
from mainstay.store.telemetry.buffer import Batch, NotWritten
from mainstay.store.telemetry.duckdb_file import GIVEN_UP, DuckFile, answering, is_damage
from mainstay.store.telemetry.engine import Content, EngineVitals, Late, Part, Piece, Span, Whose
from mainstay.store.telemetry.rows import DAY, TABLES, Row, micro

log = structlog.get_logger("telemetry")

# Raw results of one statement: within the default limit of memory, beside readers. Minutes have a bucket for each.
_ROWS_AT_ONCE = {"minute": 50_000, "hour": 1_000_000, "day": 1_500_000}


class DuckEngine:
    """See store/telemetry/engine.py for what the methods promise."""

    name = "duckdb"

    def __init__(self, path: Path, memory: str) -> None:
        self._path = path
        self._file = DuckFile(path, memory)

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

    # writing

    def write(self, batch: Batch, rolled_to: int) -> None:
        late = micro(batch.oldest) < rolled_to
        try:
            with self._transaction() as cursor:
                if late:
                    cursor.execute("INSERT INTO late VALUES (?, ?)", [batch.token, micro(batch.oldest)])
                with cursor.appender("sample") as appender:
                    appender.append_rows(batch.rows)
        except duckdb.Error as error:
            if isinstance(error, GIVEN_UP) and self._is_there_after_all(batch):
                return
            raise NotWritten(f"results cannot be written: {str(error)[:200]}") from error

    def _is_there_after_all(self, batch: Batch) -> bool:
        """Open the file anew; a batch whose commit was followed by a failed checkpoint is in it."""
        try:
            self._file.reopen()
            uid, at_us = batch.rows[-1][:2]
            return bool(self._rows("SELECT 1 FROM sample WHERE uid = ? AND at_us = ? LIMIT 1", [uid, at_us]))
        except duckdb.Error as error:
            log.error("telemetry file cannot be opened again", error=str(error)[:200])
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
        return dict(self._rows("SELECT grain, until_us FROM progress"))

    @answering
    def advance(self, grain: str, until: int) -> None:
        self._rows(sql.ADVANCE, [grain, until])

    @answering
    def late(self) -> Late | None:
        rows = self._rows("SELECT mark, at_us FROM late")
        return Late(min(row[1] for row in rows), tuple(row[0] for row in rows)) if rows else None

    @answering
    def heed(self, late: Late) -> None:
        self._rows("DELETE FROM late WHERE mark IN (SELECT unnest(?::VARCHAR[]))", [list(late.marks)])

    @answering
    def first(self) -> int | None:
        found: int | None = self._rows("SELECT min(at_us) FROM sample")[0][0]
        return found

    @answering
    def roll_up(self, grain: str, span: Span) -> None:
        """In shares of the monitors, because percentiles need all durations of a bucket in memory at once."""
        with self._transaction() as cursor:
            cursor.execute(f"DELETE FROM by_{grain} WHERE at_us >= ? AND at_us < ?", list(span))
            rows = cursor.execute("SELECT count(*) FROM sample WHERE at_us >= ? AND at_us < ?", list(span)).fetchall()
            shares = -(-int(rows[0][0]) // _ROWS_AT_ONCE[grain])
            for share in range(shares):
                cursor.execute(sql.roll_up(grain, share, shares), list(span))
            cursor.execute(sql.ADVANCE, [grain, span[1]])

    @answering
    def expire(self, table: str, before: int) -> None:
        self._rows(f"DELETE FROM {table} WHERE at_us < ?", [before])

    @answering
    def forget(self, uids: Sequence[str]) -> None:
        with self._transaction() as cursor:
            for table in TABLES:
                cursor.execute(f"DELETE FROM {table} WHERE uid IN (SELECT unnest(?::VARCHAR[]))", [list(uids)])

    def add_days(self, rows: Sequence[Row]) -> None:
        with self._file.cursor().appender("by_day") as appender:
            appender.append_rows(rows)

    # the way into the archive

    @answering
    def raw_days(self, before: int) -> list[int]:
        return [row[0] for row in self._rows(sql.RAW_DAYS, [before])]

    @answering
    def content(self, part: Part) -> Content:
        return Content(*self._rows(sql.content("sample", part), [part.day, part.day + micro(DAY)])[0])

    @answering
    def export(self, part: Part, target: Path) -> None:
        self._rows(sql.to_parquet(sql.part_of(part), target))

    @answering
    def drop(self, day: int, content: Content) -> bool:
        span = [day, day + micro(DAY)]
        with self._transaction() as cursor:
            found = cursor.execute(sql.content("sample"), span).fetchall()[0]
            same = Content(*found) == content
            if same:  # what comes meanwhile is not seen by this transaction, and stays
                cursor.execute("DELETE FROM sample WHERE at_us >= ? AND at_us < ?", span)
        return same

    # reading

    @answering
    def samples(self, whose: Whose, span: Span, limit: int) -> list[Row]:
        return self._rows(sql.samples(), [*whose, *span, limit])

    @answering
    def newest_of(self, uids: Sequence[str], since: int, limit: int) -> list[Row]:
        return self._rows(sql.NEWEST_OF, [since, list(uids), limit])

    @answering
    def locations(self, table: str, uid: str, span: Span) -> list[str]:
        return [row[0] for row in self._rows(sql.LOCATIONS.format(table=table), [uid, *span])]

    @answering
    def hours(self, uid: str, starts: Sequence[int]) -> list[Row]:
        return self._rows(sql.HOURS, [uid, list(starts)])

    @answering
    def points(self, table: str, whose: Whose, span: Span, width: int) -> list[Row]:
        return self._rows(sql.points(table, width, raw=table == "sample"), [*whose, *span])

    @answering
    def charged(self, pieces: Sequence[Piece], uids: Sequence[str]) -> list[Row]:
        return self._rows(sql.charged_seconds(pieces), [list(uids)])

    @answering
    def days(self, uids: Sequence[str], span: Span) -> list[Row]:
        return self._rows(sql.DAYS, [*span, list(uids)])

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
