"""Telemetry in a snapshot: each table of the embedded store as Parquet, up to the moment of the state's copy.

Parquet, because it is read by any version of DuckDB and by much else; the store's own file is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.kernel.wording import counted
from mainstay.store.columns.duckdb_sql import quoted, schema
from mainstay.store.columns.opening import FILE
from mainstay.store.columns.table import AT, declared
from mainstay.store.snapshots.archive import Progress
from mainstay.store.snapshots.sealing import Damaged

FOLDER = "telemetry"
_MICRO = 1_000_000


def _selections(until: float) -> dict[str, str]:
    """Table -> what of it was known at `until`: no bucket that ended later, no row that came later."""
    moment = int(until * _MICRO)
    chosen: dict[str, str] = {}
    ends: dict[str, int] = {}
    for table in declared():
        chosen[table.name] = f"SELECT * FROM {table.name} WHERE {AT} <= {moment}"
        ends[table.mark("forgotten")] = moment  # a wish that came later is not in the state
        for rollup in table.rollups:
            width = rollup.seconds * _MICRO
            ends[table.mark(rollup.mark)] = end = moment // width * width
            chosen[rollup.table] = f"SELECT * FROM {rollup.table} WHERE {AT} < {end}"
    limits = " ".join(f"WHEN '{mark}' THEN {end}" for mark, end in ends.items())
    chosen["progress"] = f"SELECT grain, least(until_us, CASE grain {limits} END) AS until_us FROM progress"
    return chosen


def export(connection: duckdb.DuckDBPyConnection, folder: Path, until: float, progress: Progress) -> dict[str, int]:
    """Write <table>.parquet for each table, all as of one moment; rows by table. `folder` must exist."""
    counts: dict[str, int] = {}
    chosen = _selections(until)
    connection.execute("BEGIN")
    try:
        for number, (table, query) in enumerate(chosen.items()):
            progress("copying the telemetry", number, len(chosen))
            target = quoted(folder / f"{table}.parquet")
            rows = connection.execute(f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd)").fetchall()
            counts[table] = int(rows[0][0])
    finally:
        connection.execute("ROLLBACK")
    progress("copying the telemetry", len(chosen), len(chosen))
    return counts


@contextmanager
def _opened(path: Path, memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        connection = duckdb.connect(str(path), config={"memory_limit": memory, "threads": "2"})
    except duckdb.Error as error:
        if "lock" in str(error).lower():
            raise StoreBusy("the telemetry is open in another program", hint="end that program first") from None
        raise UserError(
            f"the telemetry cannot be opened: {str(error)[:200]}",
            hint="`mainstay up` sets a damaged file aside; or leave it out with --without-telemetry",
        ) from None
    try:
        yield connection
    finally:
        connection.close()


def export_file(data: Path, folder: Path, until: float, memory: str, progress: Progress) -> dict[str, int]:
    """As `export`, from the file of a server that does not run."""
    if not (data / FILE).exists():
        return {}
    with _opened(data / FILE, memory) as connection:
        for statement in schema(declared()):
            connection.execute(statement)
        return export(connection, folder, until, progress)


def restore(source: Path, data: Path, known: dict[str, int], memory: str, progress: Progress) -> None:
    """Make the store's file from the Parquet files; Damaged if their rows are not those that were counted."""
    with _opened(data / FILE, memory) as connection:
        for statement in schema(declared()):
            connection.execute(statement)
        for number, (table, count) in enumerate(known.items()):
            progress("restoring the telemetry", number, len(known))
            if f"{table}" not in _selections(0):
                raise Damaged(f"the snapshot has telemetry of an unknown kind: {table[:40]}")
            origin = quoted(source / f"{table}.parquet")
            _load(connection, f"INSERT INTO {table} BY NAME SELECT * FROM read_parquet({origin})")
            found: Any = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            if int(found[0]) != count:
                raise Damaged(
                    f"the telemetry table {table} has {counted(found[0], 'row')}, and the snapshot says {count}"
                )
    progress("restoring the telemetry", len(known), len(known))


def _load(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        raise Damaged(f"the telemetry in the snapshot cannot be read: {str(error)[:200]}") from None
