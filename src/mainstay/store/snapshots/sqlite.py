"""The SQLite file of the state, read as it lies: a consistent copy while others write, and its rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mainstay.kernel.errors import UserError
from mainstay.store.snapshots.archive import Progress
from mainstay.store.snapshots.sealing import Damaged

_PAGES = 4000  # copied between two reports
MIGRATIONS = "django_migrations"


@contextmanager
def opened(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """UserError if there is no such file."""
    if not path.exists():
        raise UserError(f"there is no {path}", hint="start Mainstay once with `mainstay up`")
    mode = "rw" if write else "ro"
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=30, isolation_level=None)
    with closing(connection):
        yield connection


def copy(path: Path, target: Path, progress: Progress) -> float:
    """Copy the database as it is at one moment, which is returned (epoch seconds). Writers go on meanwhile."""
    with opened(path) as source, closing(sqlite3.connect(target)) as copied:
        # An open read keeps this moment: without it, the backup starts anew whenever somebody writes.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        moment = time.time()

        def report(_status: int, remaining: int, total: int) -> None:
            progress("copying the state", total - remaining, total)

        source.backup(copied, pages=_PAGES, progress=report, sleep=0)
        source.execute("ROLLBACK")
        copied.execute("PRAGMA journal_mode=DELETE")  # one file
    return moment


def check(path: Path) -> None:
    """Damaged unless the file is a whole database."""
    try:
        with opened(path) as database:
            (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer != "ok":
        raise Damaged(f"the state in the snapshot is damaged: {answer}")


class SqliteTables:
    """Rows of an open database, in the order in which they lie there."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query, values).fetchall()

    def names(self) -> list[str]:
        """Every table with data of Mainstay."""
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        return [name for (name,) in self._rows(query) if name != MIGRATIONS]

    def columns(self, table: str) -> list[str]:
        return [str(row[1]) for row in self._rows(f"PRAGMA table_info({quoted(table)})")]

    def count(self, table: str) -> int:
        return int(self._rows(f"SELECT count(*) FROM {quoted(table)}")[0][0])

    def counts(self) -> dict[str, int]:
        return {table: self.count(table) for table in self.names()}

    def after(self, table: str, columns: Sequence[str], rowid: int, limit: int) -> list[tuple[Any, ...]]:
        """The next rows, each with its rowid before its values."""
        names = ", ".join(quoted(column) for column in columns)
        return self._rows(
            f"SELECT rowid, {names} FROM {quoted(table)} WHERE rowid > ? ORDER BY rowid LIMIT ?", rowid, limit
        )

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        names = ", ".join(quoted(column) for column in columns)
        yield from self._connection.execute(f"SELECT {names} FROM {quoted(table)}")

    def sequences(self) -> dict[str, int]:
        """Table -> the highest number that was ever given out, also to rows that are gone."""
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"):
            return {}
        return {str(name): int(number) for name, number in self._rows("SELECT name, seq FROM sqlite_sequence")}

    def migrations(self) -> list[tuple[str, str]]:
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", MIGRATIONS):
            return []
        return [(str(app), str(name)) for app, name in self._rows("SELECT app, name FROM django_migrations")]

    def journal(self) -> tuple[int, str, str]:
        """Number and hash of the newest entry, and the name of the install."""
        head = self._rows("SELECT seq, hash FROM journal_head") or [(0, "0" * 64)]
        first = self._rows("SELECT hash FROM journal WHERE seq = 1") or self._sealed_install() or [("0" * 8,)]
        return int(head[0][0]), str(head[0][1]), str(first[0][0])[:8]

    def _sealed_install(self) -> list[tuple[str]]:
        """As the oldest seal names it: the first entry may have left the database."""
        if "journal_seal" not in self.names():
            return []
        found = self._rows("SELECT document FROM journal_seal ORDER BY first LIMIT 1")
        return [(json.loads(document)["install"],) for (document,) in found]


def quoted(name: str) -> str:
    """An identifier of SQL; both databases quote alike."""
    return '"' + name.replace('"', '""') + '"'
