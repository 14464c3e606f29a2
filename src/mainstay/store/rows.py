"""Many rows in one statement. On PostgreSQL they go as one JSON document: as parameters, or a statement each, most of
the time goes into binding and parsing them, with the turn to write held.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import connection

Row = tuple[Any, ...]


def insert_rows(table: str, columns: Sequence[str], rows: Sequence[Row], then: str = "") -> None:
    """In the order of `columns`; lists and mappings are JSON; `then` is what follows: `ON CONFLICT ...`."""
    if not rows:
        return
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            document = msgspec.json.encode([dict(zip(columns, row, strict=True)) for row in rows]).decode()
            typed = f"SELECT {names} FROM json_populate_recordset(NULL::{table}, %s)"  # noqa: S608  names of the code
            cursor.execute(f"INSERT INTO {table} ({names}) {typed} {then}", [document])
        else:
            marks = ", ".join(["%s"] * len(columns))
            values = [tuple(map(_plain, row)) for row in rows]
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks}) {then}", values)  # noqa: S608  as above


def update_rows(table: str, key: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Rows that are there, each as its key and then the values of `columns`; lists and mappings are JSON."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            names = (key, *columns)
            document = msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows]).decode()
            sets = ", ".join(f'"{name}" = new."{name}"' for name in columns)
            typed = f"json_populate_recordset(NULL::{table}, %s) AS new"
            cursor.execute(f'UPDATE {table} SET {sets} FROM {typed} WHERE {table}."{key}" = new."{key}"', [document])  # noqa: S608  as above
        else:
            sets = ", ".join(f'"{name}" = %s' for name in columns)
            values = [(*(_plain(value) for value in row[1:]), row[0]) for row in rows]
            cursor.executemany(f'UPDATE {table} SET {sets} WHERE "{key}" = %s', values)  # noqa: S608  as above


def _plain(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
