"""Telemetry on a ClickHouse server, which several nodes may share.

Nothing here needs to be done by one node alone: inserts carry a token, roll-ups are made anew from raw results, and
dropping a partition twice is dropping it once. Results that come late leave a note before and after they are
written, so that a node that dies in between is found out.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from mainstay.kernel.errors import StoreBusy
from mainstay.store.telemetry import clickhouse_sql as sql
from mainstay.store.telemetry.buffer import Batch, NotWritten
from mainstay.store.telemetry.clickhouse_link import Link
from mainstay.store.telemetry.engine import Content, EngineVitals, Late, Part, Piece, Span, Whose
from mainstay.store.telemetry.rows import DAY, ROLLED_COLUMNS, SAMPLE_COLUMNS, TABLES, Row, micro

# Older than this may be rolled up already, by a node that this one knows nothing of: 90 s less a slow insert.
_MAY_BE_ROLLED = 45.0
_PARQUET = {
    "output_format_parquet_compression_method": "zstd",
    "output_format_parquet_row_group_size": 50_000,
    "output_format_parquet_string_as_string": 1,
}
_LATE = ("mark", "at_us", "stage")


class ClickHouseEngine:
    """See store/telemetry/engine.py for what the methods promise."""

    name = "clickhouse"

    def __init__(self, link: Link) -> None:
        self._link = link
        self._bytes = 0

    # writing

    def write(self, batch: Batch, rolled_to: int) -> None:
        oldest = micro(batch.oldest)
        late = oldest < max(rolled_to, micro(time.time() - _MAY_BE_ROLLED))
        mark = uuid.uuid4().hex  # another one each time: the last attempt's may be heeded already
        try:
            if late:
                self._link.insert("late", _LATE, [(mark, oldest, 1)])
            self._link.insert("sample", SAMPLE_COLUMNS, batch.rows, batch.token)
            if late:
                self._link.insert("late", _LATE, [(mark, oldest, 2)])
        except StoreBusy as error:
            raise NotWritten(f"results cannot be written: {error.message}") from error

    # upkeep

    def progress(self) -> dict[str, int]:
        return {str(grain): int(until) for grain, until in self._link.query(sql.PROGRESS)}

    def advance(self, grain: str, until: int) -> None:
        self._link.insert("progress", ("grain", "until_us"), [(grain, max(0, until))])

    def late(self) -> Late | None:
        rows = self._link.query(sql.LATE)
        return Late(min(row[1] for row in rows), tuple(row[0] for row in rows)) if rows else None

    def heed(self, late: Late) -> None:
        self._link.insert("late", _LATE, [(mark, late.since, 3) for mark in late.marks])

    def first(self) -> int | None:
        found: int | None = self._link.query(sql.FIRST)[0][0]
        return found

    def roll_up(self, grain: str, span: Span) -> None:
        self._link.command(sql.roll_up(grain), _between(span))
        self.advance(grain, span[1])

    def expire(self, table: str, before: int) -> None:
        width = micro(sql.PARTITION_DAYS[table] * DAY)
        for number in self._partitions(table):
            if (number + 1) * width <= before:
                self._link.command(f"ALTER TABLE {table} DROP PARTITION ID '{number}'")
            elif number * width < before:
                self._delete(table, f"IN PARTITION ID '{number}' WHERE at_us < {before}")

    def _delete(self, table: str, chosen: str) -> None:
        self._link.command(f"DELETE FROM {table} {chosen}", settings={"lightweight_deletes_sync": 2})

    def _partitions(self, table: str) -> list[int]:
        return [int(row[0]) for row in self._link.query(sql.PARTITIONS, {"table": table})]

    def forget(self, uids: Sequence[str]) -> None:
        for table in TABLES:
            self._link.command(
                f"DELETE FROM {table} WHERE uid IN {{uids:Array(String)}}",
                {"uids": list(uids)},
                {"lightweight_deletes_sync": 2},
            )

    def add_days(self, rows: Sequence[Row]) -> None:
        columns = ("uid", "at_us", *ROLLED_COLUMNS, "location", "version")
        self._link.insert("by_day", columns, [(*row, 1) for row in rows])

    def mend(self) -> None:
        """Nothing: that is the server's."""

    def measure(self) -> None:
        self._bytes = int(self._link.query(sql.SIZE)[0][0])

    # the way into the archive

    def raw_days(self, before: int) -> list[int]:
        return [day for number in self._partitions("sample") if (day := number * micro(DAY)) < before]

    def content(self, part: Part) -> Content:
        rows, checksum = self._link.query(sql.content(part), _of_day(part.day))[0]
        return Content(int(rows), int(checksum))

    def export(self, part: Part, target: Path) -> None:
        self._link.download(sql.export(part), _of_day(part.day), target, _PARQUET)

    def drop(self, day: int, content: Content) -> bool:
        if self.content(Part(day)) != content:
            return False
        self._link.command(f"ALTER TABLE sample DROP PARTITION ID '{day // micro(DAY)}'")
        return True

    # reading

    def samples(self, whose: Whose, span: Span, limit: int) -> list[Row]:
        return self._link.query(sql.SAMPLES, {**_of(whose, span), "most": limit})

    def newest_of(self, uids: Sequence[str], since: int, limit: int) -> list[Row]:
        return self._link.query(sql.NEWEST_OF, {"uids": list(uids), "start": since, "most": limit})

    def locations(self, table: str, uid: str, span: Span) -> list[str]:
        return [str(row[0]) for row in self._link.query(sql.locations(table), {"uid": uid, **_between(span)})]

    def hours(self, uid: str, starts: Sequence[int]) -> list[Row]:
        return self._link.query(sql.HOURS, {"uid": uid, "starts": list(starts)})

    def points(self, table: str, whose: Whose, span: Span, width: int) -> list[Row]:
        return self._link.query(sql.points(table, width), _of(whose, span))

    def charged(self, pieces: Sequence[Piece], uids: Sequence[str]) -> list[Row]:
        return self._link.query(sql.charged_seconds(pieces), {"uids": list(uids)})

    def days(self, uids: Sequence[str], span: Span) -> list[Row]:
        return self._link.query(sql.DAYS, {"uids": list(uids), **_between(span)})

    def vitals(self) -> EngineVitals:
        return EngineVitals(self._bytes)

    def close(self) -> None:
        self._link.close()


def _between(span: Span) -> dict[str, int]:
    return {"start": span[0], "end": span[1]}


def _of_day(day: int) -> dict[str, int]:
    return _between((day, day + micro(DAY)))


def _of(whose: Whose, span: Span) -> dict[str, str | int]:
    return {"uid": whose[0], "location": whose[1], **_between(span)}
