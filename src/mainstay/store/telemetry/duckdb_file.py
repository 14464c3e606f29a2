"""The one DuckDB file: opened, handed out as a connection for each thread, and opened again when DuckDB gave it up.

A checkpoint that fails (a full disk) makes DuckDB refuse everything until every connection of this process on
the file is closed and it is opened anew; what was committed is in the file and its log then.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import duckdb
import structlog

from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.store.telemetry.sql import SCHEMA

log = structlog.get_logger("telemetry")

# Reasons for which a sound file cannot be opened at this moment; DuckDB has no classes for them.
_NOT_ITS_FAULT = ("lock", "no space left", "permission denied", "too many open files", "read-only file system")
_LAST_MOMENT = 0.3  # seconds in which interrupted queries of other threads end, before their connections are closed

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
        except _NO_ANSWER as error:
            raise StoreBusy(f"the results cannot be read: {str(error)[:200]}", hint="try again in a minute") from error

    return reading


class DuckFile:
    """Thread-safe. `notices` tell of files that were set aside."""

    def __init__(self, path: Path, memory: str) -> None:
        self._path, self._memory = path, memory
        self._turn = threading.Lock()
        self._local = threading.local()
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        self._openings = 0
        self.notices: list[str] = []
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
            for cursor in self._cursors:
                with contextlib.suppress(duckdb.Error):  # closed already
                    cursor.interrupt()
            time.sleep(_LAST_MOMENT)
            self._close()
            self._connection = self._connect()
        log.warning("telemetry file opened again")

    def close(self) -> None:
        with self._turn:
            self._close()

    def _close(self) -> None:
        for cursor in self._cursors:
            cursor.close()
        self._cursors.clear()
        self._connection.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            return self._connect()
        except duckdb.Error as error:
            text = str(error).lower()
            if any(reason in text for reason in _NOT_ITS_FAULT):
                raise UserError(f"the telemetry file cannot be opened: {str(error)[:300]}") from error
            self._set_aside(error)
        return self._connect()

    def _set_aside(self, error: Exception) -> None:
        """A torn file is kept beside the new one, with its log: somebody may still want to read it."""
        aside = self._path.with_name(f"{self._path.name}.broken-{int(time.time())}")
        self._path.rename(aside)
        write_ahead = self._path.with_name(f"{self._path.name}.wal")
        if write_ahead.exists():
            write_ahead.rename(aside.with_name(f"{aside.name}.wal"))
        self.notices.append(f"the telemetry file could not be opened and was set aside as {aside.name}")
        log.error("telemetry file set aside", file=aside.name, error=str(error)[:300])

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(self._path), config={"memory_limit": self._memory, "threads": "2"})
        for statement in SCHEMA:
            connection.execute(statement)
        return connection
