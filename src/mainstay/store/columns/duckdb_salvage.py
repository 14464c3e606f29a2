"""Carrying what can be read of a damaged DuckDB file over to a new one.

A damaged block makes every read fail that touches it, so a table that cannot be read whole is read by the day, and
a day that cannot be read is lost and told.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import structlog

from mainstay.kernel.wording import counted
from mainstay.store.columns.duckdb_sql import quoted
from mainstay.store.columns.table import AT, DAY, Table, micro

log = structlog.get_logger("telemetry")

_DAYS = 4000  # how far back days are looked for
_AHEAD = 2


def carry_over(connection: duckdb.DuckDBPyConnection, damaged: Path, tables: Iterable[Table]) -> list[str]:
    """Copy into the empty tables of `connection`; what was lost, in words.

    A new file has marks of its own in `progress`; those of the damaged one count, for it is its rows that come.
    """
    try:
        connection.execute(f"ATTACH {quoted(damaged)} AS damaged")
    except duckdb.Error as error:
        return [f"all of it ({str(error)[:100]})"]
    try:
        connection.execute("DELETE FROM progress")
        small = ("progress", "late")
        lost = [f"the table {table}" for table in small if not _copied(connection, _insert(table))]
        listed = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'damaged'"
        held = {row[0] for row in connection.execute(listed).fetchall()}  # it may be older than a declaration
        for name in (name for table in tables for name in table.tables() if name in held):
            lost += _table(connection, name)
        return lost
    finally:
        connection.execute("DETACH damaged")


def _insert(table: str) -> str:
    return f"INSERT INTO {table} BY NAME SELECT * FROM damaged.{table}"


def _table(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    insert = _insert(table)
    if _copied(connection, insert):
        return []
    today = int(connection.execute("SELECT epoch_us(now())").fetchall()[0][0]) // micro(DAY)
    begin, end = (today - _DAYS) * micro(DAY), (today + _AHEAD) * micro(DAY)
    lost = _span(connection, insert, begin, end)
    return [f"{counted(lost, 'day')} of {table}"]


def _span(connection: duckdb.DuckDBPyConnection, insert: str, begin: int, end: int) -> int:
    """Copy [begin, end) in as few pieces as can be read; the days that cannot."""
    if _copied(connection, f"{insert} WHERE {AT} >= {begin} AND {AT} < {end}"):
        return 0
    if end - begin <= micro(DAY):
        return 1
    middle = (begin + end) // 2 // micro(DAY) * micro(DAY)
    return _span(connection, insert, begin, middle) + _span(connection, insert, middle, end)


def _copied(connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        log.warning("a part of the damaged telemetry file cannot be read", error=str(error)[:200])
        return False
    return True
