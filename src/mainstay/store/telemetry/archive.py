"""Raw results that are past their hot time: Parquet files by the day, read by the same questions.

A day is deleted from the store only after its file is whole and was counted. Forgetting a monitor first leaves a
note in the archive, from which moment nothing of it is read; then the files are rewritten one after the other, and
a crash only means that the rest is done later.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import structlog

from mainstay.kernel.errors import Broken, TooLarge
from mainstay.store.telemetry import sql
from mainstay.store.telemetry.archive_files import ArchiveFiles, DayFile, name_of
from mainstay.store.telemetry.engine import Content, Part, Span, Whose
from mainstay.store.telemetry.port import ArchiveVitals
from mainstay.store.telemetry.rows import DAY, Row, micro
from mainstay.store.telemetry.spans import kept_from

log = structlog.get_logger("telemetry")

_DAYS_AT_ONCE = 31  # days that one question may read
_TURN = 10.0  # seconds of rewriting in one turn of the upkeep
_NOTE = "forget-"


class Archive:
    """Thread-safe: one question or change at a time, so that memory stays bounded."""

    def __init__(self, address: str, work: Path, *, days: int = 365, memory: str = "96MB") -> None:
        """`days` that files are kept, 0: for ever. UserError for an address that is no folder and no bucket."""
        self._files = ArchiveFiles(address, work)
        self._days, self._memory = days, memory
        self._turn = threading.RLock()
        self._looked_at: dict[str, set[str]] = {}  # note -> files that have nothing of it
        self.error = ""

    # writing

    @contextmanager
    def adding(self, part: Part, content: Content) -> Iterator[Path | None]:
        """Where to write the part's Parquet file; it is in the archive after the block. None: it is there already."""
        name = name_of(part, content)
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
        with self._database() as ask:
            found = ask(f"SELECT count(*) FROM {_parquet(path)}", [])[0][0]
        if found != rows:
            raise Broken(f"the file for the archive has {found} results instead of {rows}")

    def forget(self, uids: Sequence[str]) -> None:
        with self._turn:
            if uids and self._files.days():
                self._files.put_text(f"{_NOTE}{uuid.uuid4().hex}.json", json.dumps(sorted(uids)))

    # reading

    def samples(self, whose: Whose, span: Span, limit: int) -> list[Row]:
        """SAMPLE_COLUMNS, newest first. TooLarge if more than a month of files would have to be read."""
        rows: list[Row] = []
        with self._turn:
            if whose[0] in self._forgotten():
                return []
            days = self._by_day(whose[0], span)
            for number, day in enumerate(sorted(days, reverse=True)):
                if number == _DAYS_AT_ONCE:
                    raise TooLarge(
                        f"more than {_DAYS_AT_ONCE} archived days would have to be read", hint="ask for a shorter time"
                    )
                rows += self._ask(days[day], sql.samples, [*whose, *span, limit - len(rows)])
                if len(rows) >= limit:
                    break
        return rows

    def points(self, whose: Whose, span: Span, width: int) -> list[Row]:
        with self._turn:
            files = [one for day in self._by_day(whose[0], span).values() for one in day]
            if not files or whose[0] in self._forgotten():
                return []
            return self._ask(files, lambda source: sql.points(source, width, raw=True), [*whose, *span])

    def _by_day(self, uid: str, span: Span) -> dict[int, list[DayFile]]:
        found: dict[int, list[DayFile]] = {}
        for one in self._files.days():
            if one.day < span[1] and one.day + micro(DAY) > span[0] and one.part.has(uid):
                found.setdefault(one.day, []).append(one)
        return found

    def _ask(self, files: Sequence[DayFile], statement: Callable[[str], str], values: list[Any]) -> list[Row]:
        paths = [path for one in files if (path := self._files.local(one.name)) is not None]
        if not paths:
            return []
        source = _parquet(*paths)
        if len(paths) > len({one.day for one in files}):  # a day in two files until they are merged
            source = f"(SELECT DISTINCT * FROM {source})"
        with self._database() as ask:
            return ask(statement(source), values)

    def _forgotten(self) -> set[str]:
        return {uid for note in self._notes() for uid in json.loads(self._files.text(note) or "[]")}

    def _notes(self) -> list[str]:
        return [name for name in self._files.sizes() if name.startswith(_NOTE)]

    @contextmanager
    def _database(self) -> Iterator[Callable[[str, Sequence[Any]], list[Row]]]:
        settings: dict[str, Any] = {
            "memory_limit": self._memory,
            "threads": "1",
            "temp_directory": str(self._files.work / "spill"),
        }
        with duckdb.connect(":memory:", config=settings) as connection:

            def ask(statement: str, values: Sequence[Any]) -> list[Row]:
                try:
                    return connection.execute(statement, list(values)).fetchall()
                except duckdb.Error as error:
                    raise Broken(f"the archive cannot be read: {str(error)[:200]}") from error

            yield ask

    # upkeep

    def maintain(self, now: float, *, steady: bool = True) -> None:
        """Delete what is past its time, then rewrite for as long as a turn may take."""
        with self._turn:
            if self._days and steady:
                before = kept_from(now, self._days)
                for one in self._files.days():
                    if one.day < before:
                        self._files.delete(one.name)
                        log.info("archived results deleted", file=one.name)
            end = time.monotonic() + _TURN
            if self._rewrite_forgotten(end):
                self._merge(end)

    def _rewrite_forgotten(self, end: float) -> bool:
        """Whether nothing is left to be forgotten."""
        for note in self._notes():
            uids = json.loads(self._files.text(note) or "[]")
            looked_at = self._looked_at.setdefault(note, set())
            for one in self._files.days():
                if one.name in looked_at:
                    continue
                if time.monotonic() > end:
                    return False
                looked_at.add(self._without(one, uids))
            self._files.delete(note)
            del self._looked_at[note]
        return True

    def _without(self, one: DayFile, uids: Sequence[str]) -> str:
        """Rewrite a file without these; the name of the file that has nothing of them."""
        path = self._files.local(one.name)
        if path is None:
            return one.name
        with self._database() as ask:
            chosen = f"FROM {_parquet(path)} WHERE uid IN (SELECT unnest($1::VARCHAR[]))"
            if not ask(f"SELECT 1 {chosen} LIMIT 1", [list(uids)]):
                return one.name
            listed = ", ".join("'" + uid.replace("'", "''") + "'" for uid in uids)
            return self._replace([one], f"SELECT * FROM {_parquet(path)} WHERE uid NOT IN ({listed})", ask)

    def _merge(self, end: float) -> None:
        """Make one file of a day's files: what came late, or was written on two nodes. Large days stay as they are."""
        days: dict[int, list[DayFile]] = {}
        for one in self._files.days():
            if one.part.shares == 1:
                days.setdefault(one.day, []).append(one)
        for files in days.values():
            paths = [path for one in files if (path := self._files.local(one.name)) is not None] if files[1:] else []
            if len(paths) < 2 or time.monotonic() > end:
                continue
            with self._database() as ask:
                self._replace(files, f"SELECT DISTINCT * FROM {_parquet(*paths)}", ask)

    def _replace(self, files: Sequence[DayFile], query: str, ask: Callable[[str, Sequence[Any]], list[Row]]) -> str:
        """Write the results of a query in place of these files; the new name. The old ones go last."""
        with self._making() as target:
            ask(sql.to_parquet(query, target), [])
            day, part = files[0].day, files[0].part
            content = Content(*ask(sql.content(_parquet(target)), [day - micro(DAY), day + 2 * micro(DAY)])[0])
            name = name_of(part, content)
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


def _parquet(*paths: Path) -> str:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}], union_by_name = true)"
