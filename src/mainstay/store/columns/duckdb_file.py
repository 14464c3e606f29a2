"""The one DuckDB file: opened, handed out as a connection for each thread, and opened again when DuckDB gave it up.

A checkpoint that fails (a full disk) makes DuckDB refuse everything until every connection of this process on
the file is closed and it is opened anew; what was committed is in the file and its log then.

Damage is mended without deleting anything: a log that is torn is cut where it is torn, a file that cannot be opened
is set aside whole, and of a file whose blocks are damaged everything that can be read is carried over to a new one.
A file that asks for more memory than the limit is opened with more, once, and then works within the limit.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import duckdb
import structlog

from mainstay.kernel.capability import load
from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.store.columns.duckdb_salvage import carry_over
from mainstay.store.columns.duckdb_sql import schema
from mainstay.store.columns.table import Table, Upgrade

log = structlog.get_logger("telemetry")

# Reasons for which a sound file cannot be opened at this moment; DuckDB has no classes for them. Whatever else is said
# is the file's own fault: words like `lock` are in many a message (`could not read block`), and in paths.
_NOT_ITS_FAULT = re.compile(
    r"Could not set lock on file"
    r'|": (No space left on device|Permission denied|Too many open files|Read-only file system)',
    re.IGNORECASE,
)
_WIDER = ("512MB", "2GB")  # limits of memory that are tried where the usual one is too little to open the file
_TORN_LOG = re.compile(r"Corrupt WAL file: entry at byte position (\d+)")
_LAST_MOMENT = 2.0  # seconds in which interrupted queries of other threads must have ended

# After these the file must be opened anew: given up by DuckDB, or closed because it could not be opened last time.
GIVEN_UP = (duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException)

# Reasons for which a sound question has no answer now.
_NO_ANSWER = (duckdb.OperationalError, duckdb.InterruptException, *GIVEN_UP)

P = ParamSpec("P")
T = TypeVar("T")


def answering(read: Callable[P, T]) -> Callable[P, T]:
    """For reads: StoreBusy, which every door knows how to tell, while the file does not answer."""

    @wraps(read)
    def reading(*values: P.args, **named: P.kwargs) -> T:
        try:
            return read(*values, **named)
        except duckdb.Error as error:
            if not isinstance(error, _NO_ANSWER) and not is_damage(error):
                raise
            raise StoreBusy(f"the results cannot be read: {str(error)[:200]}", hint="try again in a minute") from error

    return reading


def is_damage(error: Exception) -> bool:
    """Whether a block of the file is not what was written there."""
    return "Corrupt database file" in str(error)


class DuckFile:
    """Thread-safe. `notices` tell what was mended."""

    def __init__(self, path: Path, memory: str, tables: Sequence[Table]) -> None:
        self._path, self._memory, self._tables = path, memory, tables
        self._turn = threading.Lock()
        self._local = threading.local()
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        self._openings = 0
        self.notices: list[str] = []
        self.set_aside = 0  # files
        self.damaged = False  # a block was found that is not what was written; `mend` when there is time
        self._connection = self._open()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own connection; duckdb.Error if the file cannot be opened."""
        opening, cursor = getattr(self._local, "cursor", (0, None))
        if cursor is None or opening != self._openings:
            with self._turn:
                cursor = self._connection.cursor()
                self._cursors.append(cursor)
                self._local.cursor = (self._openings, cursor)
        return cursor

    def reopen(self) -> None:
        """After a fatal error: whoever is reading gets a duckdb.Error once, and everybody a new connection."""
        with self._turn:
            self._openings += 1
            self._close()
            self._connection = self._connect()
        log.warning("telemetry file opened again")

    def close(self) -> None:
        with self._turn:
            self._close()

    def _close(self) -> None:
        """Queries of other threads are interrupted; DuckDB refuses to close a connection before its query has ended."""
        for cursor in self._cursors:
            with contextlib.suppress(duckdb.Error):  # closed already
                cursor.interrupt()
        latest = time.monotonic() + _LAST_MOMENT
        for cursor in (*self._cursors, self._connection):
            _close_by(latest, cursor)
        self._cursors.clear()

    def mend(self) -> None:
        """Set the file aside and carry what can be read of it over to a new one; results that come meanwhile wait."""
        with self._turn:
            self._openings += 1
            self._close()
            aside = self._set_aside()
            self._connection = self._connect()
            lost = carry_over(self._connection, aside, self._tables)
            self.damaged = False
        words = f"what cannot be read: {', '.join(lost)}" if lost else "all of it could be read"
        self._tell(
            "the telemetry file was damaged: its contents were copied to a new file, and it was kept as "
            f"{aside.name}; {words}"
        )

    def _open(self) -> duckdb.DuckDBPyConnection:
        """UserError if nothing can be opened here now."""
        try:
            try:
                return self._connect()
            except duckdb.Error as error:
                torn = _TORN_LOG.search(str(error))
                if torn is None:
                    return self._begin_anew(error)
                self._cut_log(int(torn[1]))
            try:
                return self._connect()
            except duckdb.Error as error:
                return self._begin_anew(error)
        except (duckdb.Error, OSError) as error:
            raise UserError(f"the telemetry file cannot be opened: {str(error)[:300]}") from error

    def _begin_anew(self, error: duckdb.Error) -> duckdb.DuckDBPyConnection:
        """Unless the file is sound, and cannot be opened for a reason outside of it."""
        if _NOT_ITS_FAULT.search(str(error)):
            raise error
        aside = self._set_aside()
        self._tell(f"the telemetry file could not be opened and was set aside as {aside.name}: {str(error)[:150]}")
        return self._connect()

    def _set_aside(self) -> Path:
        """A damaged file is kept beside the new one, with its log: somebody may still want to read it."""
        aside = self._aside(self._path)
        self._path.rename(aside)
        if self._log.exists():
            self._log.rename(aside.with_name(f"{aside.name}.wal"))
        return aside

    def _cut_log(self, position: int) -> None:
        """End the log before the entry that is torn; all of it is kept beside."""
        aside = self._aside(self._log)
        shutil.copyfile(self._log, aside)
        with self._log.open("r+b") as handle:
            handle.truncate(position)
        self._tell(
            f"the write-ahead log of the telemetry file was truncated; it was read up to there and kept as {aside.name}"
        )

    @property
    def _log(self) -> Path:
        return self._path.with_name(f"{self._path.name}.wal")

    def _aside(self, path: Path) -> Path:
        self.set_aside += 1
        moment = int(time.time())
        while (aside := path.with_name(f"{path.name}.broken-{moment}")).exists():
            moment += 1
        return aside

    def _tell(self, words: str) -> None:
        self.notices.append(words)
        log.error("telemetry file repaired", what=words)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            return self._connected(self._memory)
        except duckdb.OutOfMemoryException as error:
            refused = error
        for memory in _WIDER:
            with contextlib.suppress(duckdb.OutOfMemoryException):
                connection = self._connected(memory)
                self._tell(f"the telemetry file asked for more memory than {self._memory}; it was opened with {memory}")
                return connection
        raise refused

    def _connected(self, memory: str) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(self._path), config={"memory_limit": memory, "threads": "2"})
        with contextlib.ExitStack() as undone:
            undone.callback(connection.close)  # or this process would hold a file that is set aside
            for statement in schema(self._tables):
                connection.execute(statement)
            for table in self._tables:
                for upgrade in table.upgrades:
                    self._upgrade(connection, upgrade)
            if memory != self._memory:
                connection.execute("CHECKPOINT")  # what asked for so much is in the file's log, mostly
            connection.execute(f"SET memory_limit = '{self._memory}'")
            undone.pop_all()
        return connection

    def _upgrade(self, connection: duckdb.DuckDBPyConnection, upgrade: Upgrade) -> None:
        """Once for each file; a mark in `progress` tells that it was done."""
        if connection.execute("SELECT 1 FROM progress WHERE grain = ?", [upgrade.mark]).fetchall():
            return
        connection.execute(f"SET memory_limit = '{_WIDER[-1]}'")
        changed = load(upgrade.run)(connection, self._path.parent)
        connection.execute("INSERT INTO progress VALUES (?, ?)", [upgrade.mark, time.time_ns() // 1000])
        if changed:
            connection.execute("CHECKPOINT")  # else the log holds all of it once more


def _close_by(latest: float, connection: duckdb.DuckDBPyConnection) -> None:
    """Try until monotonic `latest`; a connection that is busy even then ends with its thread."""
    while True:
        try:
            connection.close()
        except duckdb.Error as error:
            if time.monotonic() > latest:
                log.warning("a connection to the telemetry file stayed busy until shutdown", error=str(error)[:150])
                return
            time.sleep(0.01)
        else:
            return
