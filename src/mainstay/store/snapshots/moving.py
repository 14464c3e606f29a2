"""Moving the state from SQLite to an empty PostgreSQL: everything, resumable, proven equal at the end.

The source is held for writing all the while, so nobody changes it, and is only read. Each table remembers how far
it came in the transaction of its rows. At the end the content of every table is compared; what a change between
two attempts has made different is copied again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Broken, Conflict, StoreBusy, UserError
from mainstay.kernel.settings import Settings
from mainstay.kernel.wording import counted
from mainstay.store.events import StoreMigrated
from mainstay.store.seals.proving import verify
from mainstay.store.snapshots import control, filling, sqlite, versions
from mainstay.store.snapshots.archive import Progress, silent
from mainstay.store.snapshots.manifest import STATE_FILE
from mainstay.store.snapshots.postgres import MARK, PostgresTables, connected, fitting
from mainstay.store.snapshots.rows import Sum
from mainstay.store.snapshots.sqlite import SqliteTables, quoted
from mainstay.store.work import unit_of_work

_ROWS = 500
# People sign in again after a move, unless they asked for more.
SESSIONS = ("django_session", "usersessions_usersession")


@dataclass(frozen=True, slots=True)
class Moved:
    """Rows by table, and the journal's end, which both stores had when they were compared."""

    counts: dict[str, int]
    journal_seq: int
    journal_hash: str


def move(actor: Actor, settings: Settings, *, sessions: bool = False, progress: Progress = silent) -> Moved:
    """Django runs on `settings`: their `database` is the target, their `data` holds the source."""
    actor.require("snapshots:write")
    with control.alone(settings.data) as alone:
        if not alone:
            raise Conflict(f"a server uses the data folder {settings.data}", hint="stop it first")
        with _held(settings.data / STATE_FILE) as database, connected(settings.database) as connection:
            source, target = SqliteTables(database), PostgresTables(connection)
            _check_version(source)
            seq, head, install = source.journal()
            mark = filling.Mark(target)
            mark.open("move", install)
            _make_tables(source, target, mark)
            tables = _tables(source, target, () if sessions else SESSIONS)
            for table in tables:
                _copy(source, target, mark, table, progress)
            counts = _prove(source, target, tables, progress)
            target.set_sequences(source.sequences())
            _compare_journals(settings, source, target)
            _tell(actor, settings, sum(counts.values()))
    return Moved(counts, seq, head)


@contextmanager
def _held(path: Path) -> Iterator[sqlite3.Connection]:
    """The source, with every other writer held off until the end."""
    with sqlite.opened(path, write=True) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise StoreBusy(f"the source is in use: {error}", hint="wait for other commands to end") from None
        try:
            yield database
        finally:
            database.execute("ROLLBACK")


def _check_version(source: SqliteTables) -> None:
    from django.db.migrations.loader import MigrationLoader

    applied = set(source.migrations())
    versions.check_migrations(applied, "the source", "of unknown version")
    expected = set(MigrationLoader(None).graph.nodes)
    if expected - applied:
        raise UserError(
            f"the source is of an older version: {counted(len(expected - applied), 'migration')} to run",
            hint="start this version once with `mainstay up`, stop it, and move then",
        )


def _make_tables(source: SqliteTables, target: PostgresTables, mark: filling.Mark) -> None:
    if not mark.note("tables"):
        filling.make_tables(source.migrations())
        target.empty()  # of what migrations put there
        mark.write("tables", True)


def _tables(source: SqliteTables, target: PostgresTables, left_out: tuple[str, ...]) -> list[str]:
    names = [name for name in target.names() if name not in left_out]
    strange = [name for name in set(source.names()) - set(target.names()) if source.count(name)]
    if strange:
        raise Broken(f"the source has tables that this program does not know: {', '.join(sorted(strange))}")
    return [name for name in names if name in source.names()]


def _copy(source: SqliteTables, target: PostgresTables, mark: filling.Mark, table: str, progress: Progress) -> None:
    """Copy from where the last attempt came to."""
    note = f"table {table}"
    position, done = mark.note(note) or (0, 0)
    columns, total = source.columns(table), source.count(table)
    while portion := source.after(table, columns, position, _ROWS):
        position, done = int(portion[-1][0]), done + len(portion)
        with target.transaction():
            target.insert(table, columns, (row[1:] for row in portion))
            mark.write(note, [position, done])
        progress(f"moving {table}", done, total)


def _prove(source: SqliteTables, target: PostgresTables, tables: list[str], progress: Progress) -> dict[str, int]:
    """Compare the content of every table; copy again, all together, what differs; compare that."""
    known = {table: _sum(source, target, table, progress) for table in tables}
    different = [table for table in tables if not _same(known[table], target.summed(table))]
    if different:
        with target.transaction():
            target.do("SET CONSTRAINTS ALL DEFERRED")
            for table in different:
                target.do(f"DELETE FROM {quoted(table)}")
            for table in different:
                progress(f"copying {table} again", 0, 0)
                columns = source.columns(table)
                target.insert(table, columns, source.rows(table, columns))
        wrong = [table for table in different if not _same(known[table], target.summed(table))]
        if wrong:
            raise Broken(f"these tables are not equal after the move: {', '.join(wrong)}")
    return {table: total.count for table, total in known.items()}


def _sum(source: SqliteTables, target: PostgresTables, table: str, progress: Progress) -> Sum:
    kinds, columns = target.columns(table), source.columns(table)
    ordered = [name for name in kinds if name in columns]
    if len(ordered) != len(kinds) or len(columns) != len(kinds):
        raise Broken(f"the table {table} has other columns in the source than in the target")
    total = Sum(list(kinds.values()))
    for row in source.rows(table, ordered):
        total.add([fitting(value, kind) for value, kind in zip(row, kinds.values(), strict=True)])
    progress(f"comparing {table}", total.count, total.count)
    return total


def _same(one: Sum, other: Sum) -> bool:
    return (one.count, one.hash) == (other.count, other.hash)


def _compare_journals(settings: Settings, source: SqliteTables, target: PostgresTables) -> None:
    if source.journal() != target.journal():
        raise Broken("the journal of the target does not end where that of the source ends")
    if (found := verify(settings, everything=True, files=False)).broken_at is not None:
        raise Broken(f"the journal is broken at entry {found.broken_at}: {found.reason}")


def _tell(actor: Actor, settings: Settings, rows: int) -> None:
    """The mark goes in the transaction that tells of the move: either both are seen or none."""
    from django.db import connection

    versions.record(actor, settings)
    with unit_of_work(actor) as work:
        work.record(StoreMigrated("mainstay", from_="sqlite", to="postgresql", rows=rows))
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {MARK}")
