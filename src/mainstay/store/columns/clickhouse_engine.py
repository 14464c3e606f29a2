"""Declared tables on a ClickHouse server, which several nodes may share.

Nothing here needs to be done by one node alone: inserts carry a token, roll-ups are made anew from raw rows, and
dropping a partition twice is dropping it once. Rows that come late leave a note before and after they are
written, so that a node that dies in between is found out.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mainstay.kernel.errors import StoreBusy
from mainstay.store.columns import sql
from mainstay.store.columns.buffer import Batch, NotWritten
from mainstay.store.columns.clickhouse_link import Link
from mainstay.store.columns.clickhouse_sql import CLICKHOUSE, LATE, PARTITIONS, PROGRESS, SIZE
from mainstay.store.columns.engine import Content, EngineVitals, Late
from mainstay.store.columns.sql import Part, Question, answer
from mainstay.store.columns.table import AT, DAY, Rollup, Row, Span, Table, micro

# Older than this may be rolled up already, by a node that this one knows nothing of: 90 s less a slow insert.
_MAY_BE_ROLLED = 45.0
_PARQUET = {
    "output_format_parquet_compression_method": "zstd",
    "output_format_parquet_row_group_size": 50_000,
    "output_format_parquet_string_as_string": 1,
}
_LATE = ("mark", AT, "stage")
_VERSION = {"version": "toUnixTimestamp64Micro(now64(6))"}  # the moment at which a roll-up began to read


class ClickHouseEngine:
    """See store/columns/engine.py for what the methods promise."""

    name = "clickhouse"

    def __init__(self, link: Link, tables: Sequence[Table]) -> None:
        self._link = link
        self._days = {rollup.table: rollup.partition for table in tables for rollup in table.rollups}
        self._bytes = 0

    def ask(self, question: Question) -> list[Row]:
        asked = answer(CLICKHOUSE, question)
        return self._link.query(asked.sql, {f"p{number}": value for number, value in enumerate(asked.values, 1)})

    # writing

    def write(self, table: Table, batch: Batch, rolled_to: int) -> None:
        late = bool(table.rollups) and batch.oldest < max(rolled_to, micro(time.time() - _MAY_BE_ROLLED))
        mark = table.mark(uuid.uuid4().hex)  # another one each time: the last attempt's may be heeded already
        try:
            if late:
                self._link.insert("late", _LATE, [(mark, batch.oldest, 1)])
            self._link.insert(table.name, table.names, batch.rows, batch.token)
            if late:
                self._link.insert("late", _LATE, [(mark, batch.oldest, 2)])
        except StoreBusy as error:
            raise NotWritten(f"results cannot be written: {error.message}") from error

    # upkeep

    def progress(self) -> dict[str, int]:
        return {str(grain): int(until) for grain, until in self._link.query(PROGRESS)}

    def advance(self, mark: str, until: int) -> None:
        self._link.insert("progress", ("grain", "until_us"), [(mark, max(0, until))])

    def late(self, table: Table) -> Late | None:
        rows = [row for row in self._link.query(LATE) if table.owns(row[0])]
        return Late(min(row[1] for row in rows), tuple(row[0] for row in rows)) if rows else None

    def heed(self, late: Late) -> None:
        self._link.insert("late", _LATE, [(mark, late.since, 3) for mark in late.marks])

    def roll_up(self, table: Table, rollup: Rollup, span: Span) -> None:
        self._link.command(answer(CLICKHOUSE, sql.roll_up(table, rollup, span, extra=_VERSION)).sql)
        self.advance(table.mark(rollup.mark), span[1])

    def expire(self, name: str, before: int) -> None:
        width = micro(self._days.get(name, 1) * DAY)
        for number in self._partitions(name):
            if (number + 1) * width <= before:
                self._link.command(f"ALTER TABLE {name} DROP PARTITION ID '{number}'")
            elif number * width < before:
                self._delete(name, f"IN PARTITION ID '{number}' WHERE {AT} < {before}")

    def _delete(self, name: str, chosen: str, values: Mapping[str, Any] | None = None) -> None:
        self._link.command(f"DELETE FROM {name} {chosen}", values, {"lightweight_deletes_sync": 2})

    def _partitions(self, name: str) -> list[int]:
        return [int(row[0]) for row in self._link.query(PARTITIONS, {"table": name})]

    def erase(self, table: Table, values: Sequence[str]) -> None:
        for name in table.tables():
            self._delete(name, f"WHERE {table.erased_by} IN {{values:Array(String)}}", {"values": list(values)})

    def add(self, rollup: Rollup, names: Sequence[str], rows: Sequence[Row]) -> None:
        self._link.insert(rollup.table, (*names, "version"), [(*row, 1) for row in rows])

    def mend(self) -> None:
        """Nothing: that is the server's."""

    def measure(self) -> None:
        self._bytes = int(self._link.query(SIZE)[0][0])

    # the way into the archive

    def raw_days(self, table: Table, before: int) -> list[int]:
        return [day for number in self._partitions(table.name) if (day := number * micro(DAY)) < before]

    def content(self, table: Table, part: Part) -> Content:
        rows, checksum = self.ask(sql.content(table, part))[0]
        return Content(int(rows), int(checksum))

    def export(self, table: Table, part: Part, target: Path) -> None:
        self._link.download(answer(CLICKHOUSE, sql.part_of(table, part)).sql, target, _PARQUET)

    def drop(self, table: Table, day: int, content: Content) -> bool:
        if self.content(table, Part(day)) != content:
            return False
        self._link.command(f"ALTER TABLE {table.name} DROP PARTITION ID '{day // micro(DAY)}'")
        return True

    def vitals(self) -> EngineVitals:
        return EngineVitals(self._bytes)

    def close(self) -> None:
        self._link.close()
