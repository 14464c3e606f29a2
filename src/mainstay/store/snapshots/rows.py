"""Tables as plain rows, the same for both databases.

A row is a list of JSON values as SQLite would keep them: booleans, whole numbers, floats, text; times as UTC text
`YYYY-MM-DD HH:MM:SS[.ffffff]`; documents as their JSON text. What JSON lacks is an object with one key:
{"base64": ...} for bytes, {"float": "inf"} for numbers that are none.
"""

from __future__ import annotations

import base64
import decimal
import gzip
import hashlib
import ipaddress
import json
import math
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from mainstay.store.snapshots.sealing import Damaged

Row = Sequence[Any]
SUFFIX = ".rows.gz"
_LONGEST = 64 * 1024 * 1024  # bytes of one row; the largest hold a document or the body of a ping
_BATCH = 2000
_EXACT = decimal.Context(prec=20_000, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)


def plain(value: Any) -> Any:
    """A database driver's value as SQLite would keep it."""
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, datetime):
        return str(value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, uuid.UUID):
        return value.hex
    return str(value)  # dates, numbers, addresses


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"], validate=True) if "base64" in value else float(value["float"])
    return value


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Write a table as gzipped JSON lines, the first of which names its columns; the number of rows."""
    count, encode = 0, msgspec.json.Encoder().encode
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
        out.write(encode(list(columns)) + b"\n")
        for row in rows:
            out.write(encode([_to_json(plain(value)) for value in row]) + b"\n")
            count += 1
    return count


def read_rows(path: Path) -> tuple[list[str], Iterator[list[Any]]]:
    """Columns and rows of a written table; Damaged if it is none."""
    lines = gzip.open(path, "rb")  # noqa: SIM115  the iterator closes it

    def rows() -> Iterator[list[Any]]:
        with lines:
            while line := lines.readline(_LONGEST + 1):
                yield [_from_json(value) for value in _decoded(path, line)]

    return [str(name) for name in _decoded(path, lines.readline(_LONGEST + 1))], rows()


def _decoded(path: Path, line: bytes) -> list[Any]:
    if len(line) > _LONGEST:
        what = f"a row of it is longer than {_LONGEST // 1024 // 1024} MiB"
        raise Damaged(f"the table {path.name.removesuffix(SUFFIX)} cannot be read: {what}")
    try:
        return msgspec.json.decode(line, type=list[Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(f"the table {path.name.removesuffix(SUFFIX)} cannot be read: {error}") from None


def batches(rows: Iterable[Row], size: int = _BATCH) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


# Comparing --------------------------------------------------------------------------------------------------


def _number(value: str) -> decimal.Decimal:
    found = _EXACT.normalize(decimal.Decimal(value))
    return found or decimal.Decimal(0)


def _document(value: Any) -> str:
    """One text for all spellings of a JSON document: databases reorder keys and rewrite numbers."""
    parsed = json.loads(value, parse_int=_number, parse_float=_number)
    return json.dumps(parsed, sort_keys=True, default=str, ensure_ascii=False)


def _moment(value: Any) -> str:
    return str(plain(datetime.fromisoformat(str(value))))


# By the column's type in PostgreSQL: what a value of either database means.
_MEANINGS: dict[str, Callable[[Any], Any]] = {
    "boolean": bool,
    "jsonb": _document,
    "timestamp with time zone": _moment,
    "double precision": float,
    "real": float,
    "numeric": lambda value: str(_number(str(value))),
    "uuid": lambda value: uuid.UUID(str(value)).hex,
    "bytea": bytes,
    "inet": lambda value: str(ipaddress.ip_address(str(value))),
    "date": lambda value: date.fromisoformat(str(value)).isoformat(),
}


class Sum:
    """Count and content of a table, whatever the order of its rows: equal sums, equal tables."""

    def __init__(self, types: Sequence[str]) -> None:
        self._meanings = [_MEANINGS.get(kind) for kind in types]
        self._total, self.count = 0, 0

    def add(self, row: Row) -> None:
        values = [
            value if value is None or meaning is None else meaning(value)
            for value, meaning in zip(map(plain, row), self._meanings, strict=True)
        ]
        digest = hashlib.sha256(msgspec.msgpack.encode(values)).digest()
        self._total = (self._total + int.from_bytes(digest, "big")) % (1 << 256)
        self.count += 1

    @property
    def hash(self) -> str:
        return f"{self._total:064x}"
