"""Filling an empty database: the mark of what is unfinished, the tables of any known version, the rows.

PostgreSQL is filled in many transactions, so it carries a mark until it is whole; `mainstay up` refuses one that
has it. The mark also remembers how far each table came, in the transaction of its rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mainstay.kernel.errors import Conflict
from mainstay.store.snapshots import rows, sqlite
from mainstay.store.snapshots.archive import Progress
from mainstay.store.snapshots.manifest import ROWS_FOLDER, STATE_FILE, Manifest
from mainstay.store.snapshots.postgres import MARK, PostgresTables
from mainstay.store.snapshots.sealing import Damaged
from mainstay.store.snapshots.sqlite import MIGRATIONS, quoted

_ROWS = 500  # in one transaction; a ping may have 100 kB


class Mark:
    """Notes in the database that is being filled, as JSON by key."""

    def __init__(self, tables: PostgresTables) -> None:
        self._tables = tables

    def open(self, kind: str, source: str) -> None:
        """Mark an empty database. An unfinished one of the same kind and source goes on; else Conflict."""
        names = self._tables.all_names()
        if MARK not in names:
            if names:
                raise Conflict(
                    f"the database is not empty: it holds {', '.join(names[:5])}", hint="give a new, empty database"
                )
            self._tables.do(f"CREATE TABLE {MARK} (key text PRIMARY KEY, value text NOT NULL)")
        known = self.note("of")
        if known is None:
            self.write("of", [kind, source])
        elif known != [kind, source]:
            raise Conflict(
                f"the database holds a part of another {known[0]}, from {known[1]}", hint="give a new, empty database"
            )

    def note(self, key: str) -> Any:
        found = self._tables.rows_of(f"SELECT value FROM {MARK} WHERE key = %s", key)
        return json.loads(found[0][0]) if found else None

    def write(self, key: str, value: Any) -> None:
        self._tables.do(
            f"INSERT INTO {MARK} VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key,
            json.dumps(value),
        )


def make_tables(migrations: Iterable[tuple[str, str]]) -> None:
    """Bring Django's database from nothing, or from part of the way, to exactly these migrations."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    wanted = set(migrations)
    graph = executor.loader.graph
    leaves = [
        node
        for node in sorted(wanted & set(graph.nodes))
        if not any(child.key in wanted and child.key[0] == node[0] for child in graph.node_map[node].children)
    ]
    if plan := executor.migration_plan(leaves):
        executor.migrate(leaves, plan)


def fill_postgres(target: PostgresTables, manifest: Manifest, parts: Path, progress: Progress) -> None:
    """Insert the rows of a snapshot of either kind; the tables are there and empty."""
    for number, table in enumerate(order := target.names()):
        progress("restoring the state", number, len(order))
        if table not in manifest.counts:
            continue
        if manifest.state == "rows":
            columns, found = rows.read_rows(_part(parts, table))
            for batch in rows.batches(found, _ROWS):
                target.insert(table, columns, batch)
        else:
            with sqlite.opened(parts / STATE_FILE) as database:
                origin = sqlite.SqliteTables(database)
                columns = origin.columns(table)
                for portion in rows.batches(origin.rows(table, columns), _ROWS):
                    target.insert(table, columns, portion)
    target.set_sequences(manifest.sequences)


def fill_sqlite(path: Path, manifest: Manifest, parts: Path, progress: Progress) -> None:
    """Insert the rows of a snapshot of PostgreSQL; all in one transaction."""
    with sqlite.opened(path, write=True) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            tables = sqlite.SqliteTables(database)
            for name in tables.names():
                database.execute(f"DELETE FROM {quoted(name)}")
            for number, table in enumerate(manifest.counts):
                progress("restoring the state", number, len(manifest.counts))
                columns, found = rows.read_rows(_part(parts, table))
                names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
                database.executemany(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", found)
            database.execute("DELETE FROM sqlite_sequence WHERE name <> ?", [MIGRATIONS])
            database.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", manifest.sequences.items())
            if broken := database.execute("PRAGMA foreign_key_check").fetchone():
                raise Damaged(f"a row of {broken[0]} points to a row of {broken[2]} that is missing")
        except sqlite3.Error as error:
            raise Damaged(f"the rows of the snapshot do not match its own version: {error}") from error
        database.execute("COMMIT")


def _part(parts: Path, table: str) -> Path:
    path = parts / ROWS_FOLDER / f"{table}{rows.SUFFIX}"
    if not path.exists():
        raise Damaged(f"the snapshot has no rows of the table {table}")
    return path
