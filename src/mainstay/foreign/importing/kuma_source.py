"""Uptime Kuma's backup (JSON, up to 1.23) and its database `kuma.db` (1.x and 2.x) as one shape.

    {"monitor": {id: fields}, "notification": {id: ...}, "proxy": ..., "tag": ..., and, of a database, status pages,
     maintenance and what joins them}

Field names are those of the source: `retryInterval` in a backup, `retry_interval` in a database; `field` finds both.
The database is opened read-only. Of tables with people and keys only the number of rows is read.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import quote

from mainstay.foreign.importing.source import Node, read_json, root
from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.kernel.errors import UserError
from mainstay.kernel.wording import counted

READ = (
    "monitor",
    "notification",
    "monitor_notification",
    "proxy",
    "tag",
    "monitor_tag",
    "docker_host",
    "status_page",
    "group",
    "monitor_group",
    "incident",
    "maintenance",
    "monitor_maintenance",
    "maintenance_status_page",
    "status_page_cname",
)
HISTORY = ("heartbeat", "stat_minutely", "stat_hourly", "stat_daily")
_JSON_COLUMNS = frozenset({"config", "headers", "accepted_statuscodes_json", "weekdays", "days_of_month", "conditions"})
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_LISTS = (("monitorList", "monitor"), ("notificationList", "notification"), ("proxyList", "proxy"))
_LIMIT_ROWS = 100_000


@lru_cache(maxsize=500)
def _written(name: str) -> tuple[str, str, str]:
    snake = _CAMEL.sub(lambda found: f"_{found[1].lower()}", name)
    return name, snake, f"{snake}_json"


def field(node: Node, name: str) -> Node | None:
    """A field by its name in backups, or the same in the words of the database."""
    found = node.get(*_written(name))
    return None if found is not None and found.value == "" else found


def text(node: Node, name: str) -> str:
    found = field(node, name)
    return "" if found is None else found.as_text().strip()


def rows(node: Node, table: str) -> list[Node]:
    found = node.mapping(table)
    return [row for row in found.fields() if isinstance(row.value, dict)] if found is not None else []


def row_of(node: Node, table: str, identity: str) -> Node | None:
    """A row by its id, as a number or as text of one."""
    found = node.mapping(table)
    return found.get(identity.removesuffix(".0")) if found is not None else None


def is_database(path: str) -> bool:
    try:
        with FilePath(path).open("rb") as handle:
            return handle.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def read_kuma(path: str) -> Node:
    return _read_database(path) if is_database(path) else _read_backup(path)


# the backup


def _read_backup(path: str) -> Node:
    """InvalidInput if it is no backup."""
    found = read_json("kuma", path)
    data = found.value
    if not isinstance(data, dict) or not isinstance(data.get("monitorList"), list):
        diagnostics = Diagnostics()
        hint = "export one under Settings, Backup, or use kuma.db instead"
        diagnostics.add("this is not a backup of Uptime Kuma: it has no `monitorList`", Place(path, 1, 1), hint=hint)
        diagnostics.raise_if_errors()
    _parse_texts(data)
    shape = dict(data)
    for theirs, ours in _LISTS:
        listed = shape.pop(theirs, [])
        shape[ours] = {_id(row, index): row for index, row in enumerate(listed if isinstance(listed, list) else [])}
    for row in shape["monitor"].values():
        if not isinstance(row, dict):
            found.mistake("an entry of `monitorList` must be a mapping")
    indexes = {
        ours: {_id(row, index): index for index, row in enumerate(data.get(theirs) or [])} for theirs, ours in _LISTS
    }
    lists = {ours: theirs for theirs, ours in _LISTS}

    def place(where: tuple[str | int, ...]) -> Place:
        if len(where) < 2 or where[0] not in lists:
            return found.report.place_of(where)
        table = str(where[0])
        return found.report.place_of((lists[table], indexes[table].get(str(where[1]), 0), *where[2:]))

    node = root("kuma", shape, place)
    node.report.diagnostics.extend(found.report.diagnostics)
    return node


def _id(row: Any, index: int) -> str:
    return str(row.get("id", f"#{index}")) if isinstance(row, dict) else f"#{index}"


def _parse_texts(value: Any) -> None:
    """JSON kept as text within the fields that hold it; in place, so that places stay known."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, str) and key in _JSON_COLUMNS:
            parsed = _parsed(inner)
            if isinstance(parsed, dict | list):
                value[key] = parsed
        elif isinstance(inner, dict | list):
            _parse_texts(inner)


def _parsed(written: str) -> Any:
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return None


# the database


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """The database, read-only; UserError if it is none, or is in use by a running Kuma that keeps it to itself."""
    address = f"file:{quote(str(FilePath(path).absolute()))}?mode=ro"
    try:
        with closing(_connected(address)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be read as a database: {error}", hint="stop Uptime Kuma and copy it") from None


def _connected(address: str) -> sqlite3.Connection:
    """A copy without its write-ahead log in a folder that cannot be written needs `immutable`."""
    connection = sqlite3.connect(address, uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def tables_of(connection: sqlite3.Connection) -> set[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {str(row[0]) for row in found}


def _read_database(path: str) -> Node:
    data: dict[str, Any] = {}
    with opened(path) as connection:
        tables = tables_of(connection)
        if "monitor" not in tables:
            raise UserError(f"{path} is not a database of Uptime Kuma: it has no table `monitor`")
        for table in READ:
            if table in tables:
                data[table] = _table(connection, table)
        others = sorted(tables - set(READ) - set(HISTORY))
        data["other tables"] = {table: counted(_count(connection, table), "row") for table in others}
    _parse_texts(data)
    return root("kuma", data, lambda _path: Place(path))


def _table(connection: sqlite3.Connection, table: str) -> dict[str, dict[str, Any]]:
    found = connection.execute(f'SELECT * FROM "{table}" LIMIT {_LIMIT_ROWS}')  # noqa: S608  names from READ only
    entries: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(found):
        fields = {name: _plain(row[name]) for name in row.keys() if row[name] is not None}  # noqa: SIM118  not a mapping
        entries[str(fields.get("id", f"#{number}"))] = fields
    return entries


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608  quoted
