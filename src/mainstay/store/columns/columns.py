"""The store of declared tables over an engine: what is asked is cut into the engine's small steps.

Rows wait in a buffer for at most a second, and that is what a crash may lose. Roll-ups are made anew from raw rows, so
that making one twice, or on two nodes at once, changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb
import structlog

from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.errors import MainstayError, StoreBusy
from mainstay.store.columns import sql
from mainstay.store.columns.archive import Archive, ArchiveVitals
from mainstay.store.columns.buffer import Batch, Buffer
from mainstay.store.columns.duckdb_engine import DuckEngine
from mainstay.store.columns.engine import Engine
from mainstay.store.columns.sql import Part, Piece, Where
from mainstay.store.columns.table import DAY, Rollup, Row, Span, Table, kept_from, micro

log = structlog.get_logger("telemetry")

_SETTLE = 90.0  # a bucket is rolled up this long after its end, when late rows have arrived
_ARCHIVED_AT_ONCE = 3  # days of a table
_ROWS_OF_A_FILE = 500_000  # of the archive: what is sorted within the default limit of memory
_FRESH = 5.0  # seconds that progress is known without asking
_FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class ColumnsVitals:
    """For the health page: what is buffered, written, lost (counted, never silent) and stored."""

    buffered: int
    written: int
    lost: int
    bytes_on_disk: int
    last_error: str = ""
    engine: str = "duckdb"
    failures: int = 0  # attempts to write that failed
    damaged: int = 0  # files that were set aside
    notices: tuple[str, ...] = ()  # what was repaired, for a person to read
    archive: ArchiveVitals | None = None  # None: nothing is archived


class Columns:
    """Thread-safe. `append` never blocks on the disk. Reads raise StoreBusy while the store does not answer."""

    def __init__(
        self,
        engine: Engine,
        tables: Sequence[Table],
        days: Mapping[str, int] | None = None,
        archive: Callable[[], Archive | None] = lambda: None,
    ) -> None:
        """days: for how many days is kept what is `kept` by a setting of that name; those left out by their default.
        Both are asked each time: settings change while the store is open."""
        self._engine, self._archive_now, self.tables = engine, archive, tuple(tables)
        self._days = days or {}
        self._rolled_to: dict[
            str, int
        ] = {}  # by table: until where its finest roll-up is made, as far as is known here
        self._expired: dict[str, int] = {}
        self._waiting_days = 0
        self._trouble = ""
        self._looked_up: tuple[float, dict[str, int]] = (float("-inf"), {})
        self._upkeep = threading.Lock()
        self._buffers = {table.name: Buffer(table, partial(self._write, table)) for table in self.tables}

    @property
    def _archive(self) -> Archive | None:
        return self._archive_now()

    def days(self, setting: str) -> int:
        """For how many days is kept what is `kept` by this setting."""
        return self._days[setting] if setting in self._days else int(CAPABILITIES.settings[setting].default)

    # writing

    def feed(self, table: Table, row: Callable[[Any], Row], before: Callable[[], None]) -> Buffer:
        """The table's buffer from now on: `row` makes a row of what is appended, `before` is called before each batch
        is written; both on the thread that writes."""

        def write(batch: Batch) -> None:
            before()
            self._write(table, batch)

        self._buffers[table.name] = buffer = Buffer(table, write, row)
        return buffer

    def append(self, table: Table, rows: Sequence[Any]) -> None:
        """Rows in the order of the table's columns. StoreBusy if the buffer is full and the table refuses then."""
        self._buffers[table.name].append(rows)

    def flush(self) -> None:
        """Return once everything appended so far is written (tests, shutdown)."""
        for buffer in self._buffers.values():
            buffer.flush()

    def reading(self) -> duckdb.DuckDBPyConnection:
        """This thread's connection to the embedded file, on which everything that was appended until now can be read.
        Not to be closed. StoreBusy where the store is a server's."""
        if not isinstance(self._engine, DuckEngine):
            raise StoreBusy("the results are on a server of their own", hint="query that server for them")
        self.flush()
        return self._engine.cursor()

    def _write(self, table: Table, batch: Batch) -> None:
        self._engine.write(table, batch, self._rolled_to.get(table.name, 0))

    def add(self, table: Table, mark: str, rows: Sequence[Row]) -> None:
        """Buckets of a roll-up as they are: history of another tool, or of a benchmark.

        A row: Table.rolled. What is rolled up already stays so, even if what is added ends before it.
        """
        rollup = table.rollup(mark)
        self._engine.add(rollup, table.rolled, rows)
        self._engine.advance(table.mark(mark), max(row[1] for row in rows) + micro(rollup.seconds))
        self._looked_up = (float("-inf"), {})

    # upkeep

    def maintain(self, now: float, *, steady: bool = True) -> None:
        """Roll up what is complete, archive and delete what is past its retention; called every minute or so.

        Retention is by whole days in UTC: what is deleted is older than asked, by less than a day. StoreBusy while
        the store does not answer; all of it is repeated next time. `steady`: `now` can be trusted to tell what is old;
        nothing is deleted otherwise.
        """
        with self._upkeep:
            try:
                self._maintain(now, steady=steady)
                self._looked_up = (float("-inf"), {})
            except StoreBusy as error:
                self._trouble = error.message
                raise
            self._trouble = ""

    def _maintain(self, now: float, *, steady: bool) -> None:
        self._engine.mend()
        for table in self.tables:
            if table.rollups:
                self._roll_up(table, now)
            if steady and not (self._archive and table.archived_as):
                self._expire(table, table.name, kept_from(now, self.days(table.kept)))
            for rollup in table.rollups if steady else ():
                self._expire(table, rollup.table, kept_from(now, self.days(rollup.kept)))
        if self._archive is not None:
            self._move_to_archive(self._archive, now, steady=steady)
        self._engine.measure()

    def _roll_up(self, table: Table, now: float) -> None:
        progress, late = self._engine.progress(), self._engine.late(table)
        known = all(table.mark(rollup.mark) in progress for rollup in table.rollups)
        first = None if known else self._engine.ask(sql.first(table))[0][0]
        gone = progress.get(table.mark("raw"), 0)
        for number, rollup in enumerate(table.rollups):
            width, done = micro(rollup.seconds), progress.get(table.mark(rollup.mark))
            end = micro(now - _SETTLE) // width * width
            start = done if done is not None else _FAR if first is None else first // width * width
            if late is not None:
                start = min(start, late.since // width * width)
            self._roll(table, rollup, max(start, gone), end)
            if number == 0:
                self._rolled_to[table.name] = max(end, done or 0)
        if late is not None:
            self._engine.heed(late)

    def _roll(self, table: Table, rollup: Rollup, start: int, end: int) -> None:
        stride = micro(rollup.stride)
        while start < end:
            stop = min(end, (start // stride + 1) * stride)
            self._engine.roll_up(table, rollup, (start, stop))
            start = stop

    def _expire(self, table: Table, name: str, before: int) -> None:
        if self._expired.get(name, -1) >= before:
            return
        if name == table.name:
            self._engine.advance(table.mark("raw"), before)  # before it is gone: what is gone must not be rolled up
        self._engine.expire(name, before)
        self._expired[name] = before

    def _move_to_archive(self, archive: Archive, now: float, *, steady: bool) -> None:
        """Write days that are past their hot time to the archive, and only then delete them here."""
        archived = [table for table in self.tables if table.archived_as]
        days = {table: self._engine.raw_days(table, kept_from(now, self.days(table.kept))) for table in archived}
        self._waiting_days = sum(len(found) for found in days.values())
        try:
            for table, found in days.items():
                for day in found[:_ARCHIVED_AT_ONCE]:
                    self._archive_day(archive, table, day)
                    self._waiting_days -= 1
            archive.maintain(archived, now, steady=steady)
            archive.error = ""
        except StoreBusy:
            raise
        except (MainstayError, OSError) as error:  # the archive's; all else of the upkeep goes on
            archive.error = str(error)[:300]
            log.error("results cannot be archived", error=archive.error)

    def _archive_day(self, archive: Archive, table: Table, day: int) -> None:
        content = self._engine.content(table, Part(day))
        shares = -(-content.rows // _ROWS_OF_A_FILE)
        for number in range(shares):
            self._copy(archive, table, Part(day, number, shares))
        self._engine.advance(table.mark("raw"), day + micro(DAY))
        if self._engine.drop(table, day, content):
            log.info("results archived", table=table.name, day=day // micro(DAY), rows=content.rows)

    def _copy(self, archive: Archive, table: Table, part: Part) -> None:
        content = self._engine.content(table, part)
        if not content.rows:
            return
        with archive.adding(table, part, content) as target:
            if target is not None:
                self._engine.export(table, part, target)

    def erase(self, table: Table, values: Sequence[str], wished_at: float = 0.0) -> None:
        """Delete everything about these values of `erased_by`; archived rows are read no more from now on, and
        rewritten in turn. wished_at: when somebody asked for it, for `erased`."""
        self._buffers[table.name].flush()
        with self._upkeep:
            if self._archive is not None and table.archived_as:
                self._archive.erase(table, values)
            self._engine.erase(table, values)
            if wished_at:  # exactly, or it would be carried out again
                self._engine.advance(table.mark("forgotten"), round(wished_at * 1e6))

    def erased(self, table: Table) -> float:
        """When the last wish was made that was carried out; 0 for none."""
        return self._engine.progress().get(table.mark("forgotten"), 0) / 1e6

    # reading

    def rows(self, table: Table, where: Where, span: Span, limit: int, *, archived: bool = True) -> list[Row]:
        """The newest, newest first; from the archive too, unless `archived` is False."""
        rows = self._engine.ask(sql.rows(table, where, span, limit))
        if archived and self._archive is not None and len(rows) < limit and self._reaches_back(table, span):
            known = {_frozen(row) for row in rows}  # a day that is on its way may be in both
            found = self._archive.rows(table, where, span, limit)
            rows += [row for row in found if _frozen(row) not in known]
            at = table.time
            rows.sort(key=lambda row: int(row[at]), reverse=True)
        return rows[:limit]

    def _reaches_back(self, table: Table, span: Span) -> bool:
        """Whether some of a time may be in the archive, which may be slow, or away."""
        return bool(table.archived_as) and span[0] < self._engine.progress().get(table.mark("raw"), 0)

    def newest(self, table: Table, where: Where, since: int, limit: int) -> list[Row]:
        """The newest `limit` of each value of the first column of order, newest first, in one read."""
        return self._engine.ask(sql.newest(table, where, since, limit))

    def distinct(self, name: str, column: str, where: Where, span: Span) -> set[str]:
        """Values of a column of a table, raw or rolled up."""
        return {str(row[0]) for row in self._engine.ask(sql.distinct(name, column, where, span))}

    def progress(self, table: Table, mark: str) -> int:
        """Until when a roll-up is made, as of some seconds ago: what was made since is read from raw rows, which gives
        the same."""
        at, known = self._looked_up
        if time.monotonic() - at > _FRESH:
            known = self._engine.progress()
            self._looked_up = (time.monotonic(), known)
        return known.get(table.mark(mark), 0)

    def rolled(
        self, table: Table, mark: str, names: Sequence[str], where: Where, span: Span | None = None
    ) -> list[Row]:
        """Columns, or SQL over them, of the buckets of a roll-up."""
        return self._engine.ask(sql.rolled(table.rollup(mark), names, where, span))

    def buckets(
        self, table: Table, names: Sequence[str], where: Where, span: Span, *, width: int, mark: str = ""
    ) -> list[Row]:
        """Start and the measures `names` of buckets of `width`, in the order of time: from a roll-up as far as it
        reaches, from raw rows for the rest; `mark` empty: from raw rows alone."""
        found: dict[int, Row] = {}
        start, end = span
        edge = start
        if mark:
            # Roll-ups up to a bucket's edge, raw rows from there on, so that no bucket is made of two halves.
            edge = max(start, self.progress(table, mark) // width * width)
            rolled = (start, min(edge, end))
            source = table.rollup(mark).table
            for row in self._engine.ask(sql.buckets(table, names, where, rolled, width=width, source=source)):
                found[row[0]] = row
        for row in self._raw_buckets(table, names, where, (edge, end), width):
            found[row[0]] = row
        return [found[at] for at in sorted(found)]

    def _raw_buckets(self, table: Table, names: Sequence[str], where: Where, span: Span, width: int) -> list[Row]:
        rows = self._engine.ask(sql.buckets(table, names, where, span, width=width, source=table.name))
        if self._archive is not None and len(rows) * width < span[1] - span[0] and self._reaches_back(table, span):
            present = {row[0] for row in rows}
            found = self._archive.buckets(table, names, where, span, width=width)
            rows += [row for row in found if row[0] not in present]
        return rows

    def totals(self, table: Table, names: Sequence[str], pieces: Sequence[Piece], where: Where) -> list[Row]:
        """The first column of order and sums, of all pieces together in one reading; of a mean its total and how many
        values that is of."""
        return self._engine.ask(sql.totals(table, names, pieces, where)) if pieces else []

    def vitals(self) -> ColumnsVitals:
        buffers, engine = self._buffers.values(), self._engine.vitals()
        archive = self._archive.vitals(self._waiting_days) if self._archive is not None else None
        return ColumnsVitals(
            buffered=sum(len(buffer) for buffer in buffers),
            written=sum(buffer.written for buffer in buffers),
            lost=sum(buffer.lost for buffer in buffers),
            bytes_on_disk=engine.bytes_on_disk,
            last_error=next((buffer.error for buffer in buffers if buffer.error), self._trouble),
            engine=self._engine.name,
            failures=sum(buffer.failures for buffer in buffers),
            damaged=engine.damaged,
            notices=engine.notices,
            archive=archive,
        )

    def close(self) -> None:
        for buffer in self._buffers.values():
            buffer.close()
        self._engine.close()


def _frozen(row: Row) -> Row:
    """The same row as something that can be in a set."""
    return tuple(tuple(sorted(value.items())) if isinstance(value, dict) else value for value in row)
