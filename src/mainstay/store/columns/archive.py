"""Raw rows that are past their hot time: Parquet files by the day, read by the same questions.

A day is deleted from the store only after its file is whole and was counted. Erasing first leaves a note in the
archive, from which moment nothing of it is read; then the files are rewritten one after the other, and a crash only
means that the rest is done later.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import structlog

from mainstay.kernel.errors import Broken, TooLarge
from mainstay.kernel.wording import counted
from mainstay.store.columns import sql
from mainstay.store.columns.archive_files import ArchiveFiles, DayFile, name_of
from mainstay.store.columns.duckdb_sql import DUCKDB, quoted, to_parquet
from mainstay.store.columns.engine import Content
from mainstay.store.columns.sql import Part, Question, Where, answer
from mainstay.store.columns.table import AT, DAY, Row, Span, Table, kept_from, micro

log = structlog.get_logger("telemetry")

_DAYS_AT_ONCE = 31  # days that one question may read
_TURN = 10.0  # seconds of rewriting in one turn of the upkeep
_NOTE = "forget-"
_FIRST = "results"  # which files notes without a name are about


@dataclass(frozen=True, slots=True)
class ArchiveVitals:
    """Raw rows that lie outside of the store: where, how many days and bytes, and days that wait to go there."""

    address: str
    days: int
    bytes: int
    waiting: int = 0
    error: str = ""


class Archive:
    """Thread-safe: one question or change at a time, so that memory stays bounded."""

    def __init__(self, address: str, work: Path, *, days: int = 365, memory: str = "96MB") -> None:
        """`days` that files are kept, 0: forever. UserError for an address that is no folder and no bucket."""
        self._files = ArchiveFiles(address, work)
        self._days, self._memory = days, memory
        self._turn = threading.RLock()
        self._looked_at: dict[str, set[str]] = {}  # note -> files that have nothing of it
        self.error = ""

    # writing

    @contextmanager
    def adding(self, table: Table, part: Part, content: Content) -> Iterator[Path | None]:
        """Where to write the part's Parquet file; it is in the archive after the block. None: it already exists."""
        name = name_of(table.archived_as, part, content)
        with self._turn:
            if name in self._files.sizes():
                yield None
                return
            with self._making() as target:
                yield target
                self._check(target, content.rows)
                self._files.put(name, target)

    @contextmanager
    def _making(self) -> Iterator[Path]:
        target = self._files.work / f"{uuid.uuid4().hex}.partial"
        try:
            yield target
        finally:
            target.unlink(missing_ok=True)

    def _check(self, path: Path, rows: int) -> None:
        with self._database() as database:
            found = database.rows(f"SELECT count(*) FROM {_parquet(path)}")[0][0]
        if found != rows:
            raise Broken(f"the file for the archive has {counted(found, 'row')} instead of {rows}")

    def erase(self, table: Table, values: Sequence[str]) -> None:
        with self._turn:
            if values and self._files.days(table.archived_as):
                note: object = sorted(values)
                if table.archived_as != _FIRST:
                    note = {"table": table.archived_as, "values": note}
                self._files.put_text(f"{_NOTE}{uuid.uuid4().hex}.json", json.dumps(note))

    # reading

    def rows(self, table: Table, where: Where, span: Span, limit: int) -> list[Row]:
        """Newest first. TooLarge if more than a month of files would have to be read."""
        rows: list[Row] = []
        with self._turn:
            where = [*where, *self._unerased(table)]
            days = self._by_day(table, where, span)
            for number, day in enumerate(sorted(days, reverse=True)):
                if number == _DAYS_AT_ONCE:
                    raise TooLarge(
                        f"more than {_DAYS_AT_ONCE} archived days would have to be read", hint="choose a shorter range"
                    )
                with self._source(days[day]) as (source, database):
                    if source:
                        rows += database.ask(sql.rows(table, where, span, limit - len(rows), source))
                if len(rows) >= limit:
                    break
        return rows

    def buckets(self, table: Table, names: Sequence[str], where: Where, span: Span, *, width: int) -> list[Row]:
        with self._turn:
            where = [*where, *self._unerased(table)]
            files = [one for day in self._by_day(table, where, span).values() for one in day]
            with self._source(files) as (source, database):
                if not source:
                    return []
                return database.ask(sql.buckets(table, names, where, span, width=width, source=source))

    def _by_day(self, table: Table, where: Where, span: Span) -> dict[int, list[DayFile]]:
        """Files that may hold what is asked for."""
        found: dict[int, list[DayFile]] = {}
        names = [one.value for one in where if (one.column, one.how) == (table.order[0], "is")]
        for one in self._files.days(table.archived_as):
            if one.day < span[1] and one.day + micro(DAY) > span[0] and all(one.part.has(name) for name in names):
                found.setdefault(one.day, []).append(one)
        return found

    @contextmanager
    def _source(self, files: Sequence[DayFile]) -> Iterator[tuple[str, _Database]]:
        """What to read in place of a table, empty if the files are gone, and where."""
        paths = [path for one in files if (path := self._files.local(one.name)) is not None]
        source = _parquet(*paths) if paths else ""
        if len(paths) > len({one.day for one in files}):  # a day in two files until they are merged
            source = f"(SELECT DISTINCT * FROM {source})"
        with self._database() as database:
            yield source, database

    def _unerased(self, table: Table) -> list[sql.Condition]:
        gone = [value for note in self._notes() for name, values in [self._noted(note)]
                if name == table.archived_as for value in values]  # fmt: skip
        return [sql.Condition(table.erased_by, "none", gone)] if gone else []

    def _notes(self) -> list[str]:
        return [name for name in self._files.sizes() if name.startswith(_NOTE)]

    def _noted(self, note: str) -> tuple[str, list[str]]:
        """Which files a note is about, and the values that are to be erased from them."""
        found = json.loads(self._files.text(note) or "[]")
        return (_FIRST, found) if isinstance(found, list) else (found["table"], found["values"])

    @contextmanager
    def _database(self) -> Iterator[_Database]:
        settings: dict[str, Any] = {
            "memory_limit": self._memory,
            "threads": "1",
            "temp_directory": str(self._files.work / "spill"),
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            yield _Database(connection)

    # upkeep

    def maintain(self, tables: Sequence[Table], now: float, *, steady: bool = True) -> None:
        """Delete what is past its time, then rewrite for as long as a turn may take."""
        with self._turn:
            before = kept_from(now, self._days)
            for one in self._files.days() if self._days and steady else ():
                if one.day < before:
                    self._files.delete(one.name)
                    log.info("archived rows deleted", file=one.name)
            end = time.monotonic() + _TURN
            archived = {table.archived_as: table for table in tables if table.archived_as}
            if self._rewrite_erased(archived, end):
                for table in archived.values():
                    self._merge(table, end)

    def _rewrite_erased(self, tables: Mapping[str, Table], end: float) -> bool:
        """Whether nothing is left to be erased."""
        for note in self._notes():
            name, values = self._noted(note)
            if name not in tables:
                continue  # of a later version
            looked_at = self._looked_at.setdefault(note, set())
            for one in self._files.days(name):
                if one.name in looked_at:
                    continue
                if time.monotonic() > end:
                    return False
                looked_at.add(self._without(tables[name], one, values))
            self._files.delete(note)
            del self._looked_at[note]
        return True

    def _without(self, table: Table, one: DayFile, values: Sequence[str]) -> str:
        """Rewrite a file without these; the name of the file that has nothing of them."""
        path = self._files.local(one.name)
        if path is None:
            return one.name
        with self._database() as database:
            these = f"{table.erased_by} IN ({', '.join(quoted(value) for value in values)})"
            if not database.rows(f"SELECT 1 FROM {_parquet(path)} WHERE {these} LIMIT 1"):
                return one.name
            return self._replace(table, [one], f"SELECT * FROM {_parquet(path)} WHERE NOT ({these})", database)

    def _merge(self, table: Table, end: float) -> None:
        """Make one file of a day's files: what came late, or was written on two nodes. Large days stay as they are."""
        days: dict[int, list[DayFile]] = {}
        for one in self._files.days(table.archived_as):
            if one.part.shares == 1:
                days.setdefault(one.day, []).append(one)
        for files in days.values():
            paths = [path for one in files if (path := self._files.local(one.name)) is not None] if files[1:] else []
            if len(paths) < 2 or time.monotonic() > end:
                continue
            with self._database() as database:
                self._replace(table, files, f"SELECT DISTINCT * FROM {_parquet(*paths)}", database)

    def _replace(self, table: Table, files: Sequence[DayFile], query: str, database: _Database) -> str:
        """Write the rows of a query in place of these files; the new name. The old ones go last."""
        with self._making() as target:
            ordered = f"SELECT {', '.join(table.names)} FROM ({query}) ORDER BY {', '.join((*table.order, AT))}"
            database.rows(to_parquet(ordered, target))
            part = files[0].part
            content = Content(*database.ask(sql.content(table, Part(part.day), _parquet(target)))[0])
            name = name_of(table.archived_as, part, content)
            if content.rows:
                self._files.put(name, target)
        for one in files:
            if one.name != name:
                self._files.delete(one.name)
        return name

    def look(self) -> tuple[int, int]:
        """Days and bytes in it. Unavailable if the place does not answer."""
        with self._turn:
            days = self._files.days()
        return len({one.day for one in days}), sum(one.bytes for one in days)

    def vitals(self, waiting: int) -> ArchiveVitals:
        """What is known without asking anybody."""
        days = self._files.known()
        return ArchiveVitals(
            self._files.address, len({one.day for one in days}), sum(one.bytes for one in days), waiting, self.error
        )


@dataclass(frozen=True, slots=True)
class _Database:
    connection: duckdb.DuckDBPyConnection

    def ask(self, question: Question) -> list[Row]:
        asked = answer(DUCKDB, question)
        return self.rows(asked.sql, asked.values)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self.connection.execute(statement, list(values)).fetchall()
        except duckdb.Error as error:
            raise Broken(f"the archive cannot be read: {str(error)[:200]}") from error


def _parquet(*paths: Path) -> str:
    return f"read_parquet([{', '.join(quoted(path) for path in paths)}], union_by_name = true)"
