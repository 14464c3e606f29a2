"""Embedded telemetry on DuckDB: one file, one writing thread, readers on cursors of their own.

Results are buffered in memory for at most a second; that is what a crash may lose. A full buffer drops
its oldest results and counts them. A file that cannot be opened is set aside and counted, never deleted.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import structlog

from mainstay.store.telemetry.duckdb_file import GIVEN_UP, DuckFile, answering
from mainstay.store.telemetry.port import Bar, Point, Sample, TelemetryVitals, Uptime
from mainstay.store.telemetry.sql import (
    CHARGES,
    GRAINS,
    PHASES,
    ROLLED_COLUMNS,
    aggregate,
    charged_seconds,
    roll_up,
)

log = structlog.get_logger("telemetry")

_BUFFER = 300_000  # samples; about half an hour of 10,000 monitors a minute while the disk is full
_BATCH = 2_000
_LONGEST_PAUSE = 10.0  # seconds between attempts while the disk says no; each may read the whole log again
_SETTLE = 90.0  # a bucket is rolled up this long after its end, when late results have arrived
_DAY = 86_400
_COLUMNS = (
    "uid",
    "at_us",
    "verdict",
    "duration",
    "charge",
    "charged",
    "lag",
    *PHASES,
    "code",
    "message",
    "evidence",
    "location",
)


def micro(seconds: float) -> int:
    return int(seconds * 1_000_000)


class DuckTelemetry:
    """See store/telemetry/port.py for what the methods promise."""

    def __init__(self, path: Path, *, memory: str = "96MB", days: dict[str, int] | None = None) -> None:
        self._path = path
        self._days = days or {"raw": 7, "minute": 14, "hour": 100, "day": 1100}
        self._buffer: deque[Sample] = deque()
        self._pending = threading.Condition()
        self._written = self._lost = 0
        self._rolled_to = 0.0  # minutes are rolled up until here
        self._late_from: float | None = None  # oldest result that came after its bucket was rolled up
        self._closing = False
        self._upkeep = threading.Lock()
        self._file = DuckFile(path, memory)
        self._last_error = self._file.notice
        self._writer = threading.Thread(target=self._write_loop, name="telemetry", daemon=True)
        self._writer.start()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        return self._file.cursor()

    def reading(self) -> duckdb.DuckDBPyConnection:
        """This thread's connection, on which everything that was appended until now can be read. Not to be closed."""
        self.flush()
        return self._cursor()

    # writing

    def append(self, samples: Sequence[Sample]) -> None:
        with self._pending:
            self._buffer.extend(samples)
            surplus = len(self._buffer) - _BUFFER
            for _ in range(surplus):
                self._buffer.popleft()
            self._lost += max(0, surplus)
            if len(self._buffer) >= _BATCH:
                self._pending.notify_all()

    def flush(self) -> None:
        with self._pending:
            target = self._written + self._lost + len(self._buffer)
            self._pending.notify_all()
            self._pending.wait_for(lambda: self._written + self._lost >= target or self._closing, timeout=30)

    def _write_loop(self) -> None:
        pause = 1.0
        while True:
            with self._pending:
                self._pending.wait(timeout=1.0)
                batch = list(self._buffer)
            if batch and not self._write(batch):
                with self._pending:
                    self._pending.wait_for(lambda: self._closing, timeout=pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = 1.0
            if self._closing and (not self._buffer or self._last_error):
                return

    def _write(self, batch: list[Sample]) -> bool:
        """Write a batch and only then take it off the buffer; False if the disk said no."""
        try:
            with self._cursor().appender("sample") as appender:
                appender.append_rows([_row(sample) for sample in batch])
        except duckdb.Error as error:
            if self._last_error != (text := f"results cannot be written: {str(error)[:200]}"):
                log.error("telemetry write failed", error=text)
            self._last_error = text
            if not isinstance(error, GIVEN_UP) or not self._was_written_after_all(batch[-1]):
                return False
        self._take_off(batch)
        return True

    def _was_written_after_all(self, last: Sample) -> bool:
        """Open the file anew; a batch whose commit was followed by a failed checkpoint is in it."""
        try:
            self._file.reopen()
            query = "SELECT 1 FROM sample WHERE uid = ? AND at_us = ? LIMIT 1"
            return bool(self._cursor().execute(query, [last.uid, micro(last.at)]).fetchall())
        except duckdb.Error as error:
            log.error("telemetry file cannot be opened again", error=str(error)[:200])
            return False

    def _take_off(self, batch: list[Sample]) -> None:
        with self._pending:
            self._written += len(batch)
            # Appending may have dropped some of these meanwhile; then they are written and not lost.
            dropped = 0
            for sample in batch:
                if self._buffer and self._buffer[0] is sample:
                    self._buffer.popleft()
                else:
                    dropped += 1
            self._lost -= dropped
            self._last_error = ""
            self._pending.notify_all()
        oldest = min(sample.at for sample in batch)
        if oldest < self._rolled_to:
            self._late_from = oldest if self._late_from is None else min(oldest, self._late_from)

    # upkeep

    def maintain(self, now: float) -> None:
        with self._upkeep:
            cursor = self._cursor()
            late, self._late_from = self._late_from, None
            for grain, seconds in GRAINS.items():
                end = (micro(now - _SETTLE) // micro(seconds)) * micro(seconds)
                row = cursor.execute("SELECT until_us FROM progress WHERE grain = ?", [grain]).fetchone()
                start = row[0] if row else self._first_bucket(cursor, seconds)
                if late is not None:
                    start = min(start, micro(late) // micro(seconds) * micro(seconds))
                if start is not None and start < end:
                    self._roll(cursor, grain, start, end)
                if grain == "minute":
                    self._rolled_to = end / 1e6
            self._expire(cursor, now)

    def _first_bucket(self, cursor: duckdb.DuckDBPyConnection, seconds: int) -> int:
        (first,) = cursor.execute("SELECT min(at_us) FROM sample").fetchone() or (None,)
        return (first if first is not None else 1 << 62) // micro(seconds) * micro(seconds)

    def _roll(self, cursor: duckdb.DuckDBPyConnection, grain: str, start: int, end: int) -> None:
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"DELETE FROM by_{grain} WHERE at_us >= ? AND at_us < ?", [start, end])
            cursor.execute(roll_up(grain), [start, end])
            cursor.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", [grain, end])
            cursor.execute("COMMIT")
        except duckdb.Error:
            with contextlib.suppress(duckdb.Error):  # the transaction or the whole file may be given up already
                cursor.execute("ROLLBACK")
            raise

    def _expire(self, cursor: duckdb.DuckDBPyConnection, now: float) -> None:
        for name, table in (("raw", "sample"), *((grain, f"by_{grain}") for grain in GRAINS)):
            cursor.execute(f"DELETE FROM {table} WHERE at_us < ?", [micro(now - self._days[name] * _DAY)])

    def forget(self, uids: Sequence[str]) -> None:
        for table in ("sample", *(f"by_{grain}" for grain in GRAINS)):
            self._cursor().execute(f"DELETE FROM {table} WHERE uid IN (SELECT unnest(?::VARCHAR[]))", [list(uids)])

    def import_days(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows of the day table as they are: history of another tool, or of a benchmark.

        Days that are rolled up already stay so, even if what is added ends before them.
        """
        cursor = self._cursor()
        with cursor.appender("by_day") as appender:
            appender.append_rows([(*row, "") for row in rows])
        newest = max(row[1] for row in rows)
        cursor.execute(
            "INSERT INTO progress VALUES ('day', ?) ON CONFLICT DO UPDATE SET until_us = "
            "greatest(until_us, excluded.until_us)",
            [newest + micro(_DAY)],
        )

    def imported_days(self, uids: Sequence[str]) -> set[tuple[str, int]]:
        """(uid, midnight in microseconds) of every day that is rolled up or was added."""
        query = "SELECT uid, at_us FROM by_day WHERE location = '' AND uid IN (SELECT unnest(?::VARCHAR[]))"
        return {(row[0], row[1]) for row in self._cursor().execute(query, [list(uids)]).fetchall()}

    # reading

    @answering
    def latest(self, uid: str, limit: int = 50, location: str = "") -> list[Sample]:
        chosen = f"SELECT {', '.join(_COLUMNS)} FROM sample WHERE uid = ? AND location = ?"
        rows = self._cursor().execute(f"{chosen} ORDER BY at_us DESC LIMIT ?", [uid, location, limit]).fetchall()
        return [_sample(row) for row in rows]

    @answering
    def recent(self, uids: Sequence[str], since: float, limit: int = 20) -> dict[str, list[Sample]]:
        rows = (
            self._cursor()
            .execute(
                f"SELECT {', '.join(_COLUMNS)} FROM sample WHERE at_us >= ? AND location = '' "
                "AND uid IN (SELECT unnest(?::VARCHAR[])) "
                "QUALIFY row_number() OVER (PARTITION BY uid ORDER BY at_us DESC) <= ? ORDER BY at_us DESC",
                [micro(since), list(uids), limit],
            )
            .fetchall()
        )
        found: dict[str, list[Sample]] = {uid: [] for uid in uids}
        for row in rows:
            found[row[0]].append(_sample(row))
        return found

    @answering
    def hours(self, uid: str, starts: Sequence[float]) -> list[Point]:
        columns = ", ".join(("checks", "failures", "mean", "p50", "p95", "maximum", *PHASES))
        chosen = "uid = ? AND location = '' AND at_us IN (SELECT unnest(?::BIGINT[]))"
        statement = f"SELECT at_us, {columns} FROM by_hour WHERE {chosen} ORDER BY at_us"
        return [_point(row) for row in self._cursor().execute(statement, [uid, list(map(micro, starts))]).fetchall()]

    @answering
    def locations(self, uid: str, since: float, until: float) -> list[str]:
        grain = "by_minute" if self._reaches("minute", since, until) else "by_hour"
        found: set[str] = set()
        for table in (grain, "sample"):
            query = f"SELECT DISTINCT location FROM {table} WHERE uid = ? AND at_us >= ? AND at_us < ?"
            found.update(row[0] for row in self._cursor().execute(query, [uid, micro(since), micro(until)]).fetchall())
        return sorted(found - {""})

    @answering
    def series(self, uid: str, since: float, until: float, buckets: int = 200, location: str = "") -> list[Point]:
        step = max(1.0, (until - since) / buckets)
        grain = "raw" if step < 60 else "minute" if step < 3600 and self._reaches("minute", since, until) else "hour"
        if grain == "hour" and not self._reaches("hour", since, until):
            grain = "day"
        width = step if grain == "raw" else max(GRAINS[grain], step // GRAINS[grain] * GRAINS[grain])
        # Roll-ups up to a bucket's edge, raw results from there on, so that no bucket is made of two halves.
        edge = since if grain == "raw" else max(since, self._rolled_until(grain) // width * width)
        points = {} if grain == "raw" else self._rolled(grain, (uid, location), (since, min(edge, until)), width)
        for point in self._raw_points((uid, location), (edge, until), width):
            points[point.at] = point
        return [points[at] for at in sorted(points)]

    def _reaches(self, grain: str, since: float, until: float) -> bool:
        return until - since <= self._days[grain] * _DAY

    def _rolled_until(self, grain: str) -> float:
        row = self._cursor().execute("SELECT until_us FROM progress WHERE grain = ?", [grain]).fetchone()
        return float(row[0]) / 1e6 if row else 0.0

    def _rolled(
        self, grain: str, whose: tuple[str, str], span: tuple[float, float], width: float
    ) -> dict[float, Point]:
        weight = "sum(checks - failures)"
        means = ", ".join(f"sum({name} * (checks - failures)) / nullif({weight}, 0)" for name in ("mean", "p50"))
        phases = ", ".join(f"avg({phase})" for phase in PHASES)
        rows = (
            self._cursor()
            .execute(
                f"""SELECT at_us // {micro(width)} * {micro(width)} AS b, sum(checks), sum(failures), {means},
                max(p95), max(maximum), {phases} FROM by_{grain}
                WHERE uid = ? AND location = ? AND at_us >= ? AND at_us < ? GROUP BY b""",
                [*whose, *map(micro, span)],
            )
            .fetchall()
        )
        return {row[0] / 1e6: _point(row) for row in rows}

    def _raw_points(self, whose: tuple[str, str], span: tuple[float, float], width: float) -> list[Point]:
        query = aggregate(f"at_us // {micro(width)} * {micro(width)}", "AND uid = $3 AND location = $4")
        rows = self._cursor().execute(query, [*map(micro, span), *whose]).fetchall()
        skip = 4 + len(CHARGES)
        return [_point((*row[1:4], *row[skip:-1])) for row in rows]

    @answering
    def uptimes(self, uids: Sequence[str], since: float, until: float) -> dict[str, Uptime]:
        """Whole hours: `since` is taken down to its hour. Days come from day roll-ups and so on, finest last."""
        if not uids:
            return {}
        sums: dict[str, list[float]] = {}
        for table, start, end in self._spans(since, until):
            rows = (
                self._cursor()
                .execute(charged_seconds(table, raw=table == "sample"), [start, end, list(uids)])
                .fetchall()
            )
            for uid, *values in rows:
                known = sums.setdefault(uid, [0.0] * len(values))
                for index, value in enumerate(values):
                    known[index] += value
        return {uid: _uptime(sums[uid]) if uid in sums else Uptime() for uid in uids}

    def _spans(self, since: float, until: float) -> list[tuple[str, int, int]]:
        """Cut [since, until) into (table, start, end) so that each part is read from its coarsest roll-up."""
        hour, day = micro(3600), micro(_DAY)
        position, end = micro(since) // hour * hour, micro(until)
        done = {grain: micro(self._rolled_until(grain)) for grain in GRAINS}
        spans: list[tuple[str, int, int]] = []
        next_midnight = -(-position // day) * day
        hours_end = min(next_midnight, done["hour"], end)
        if micro(until - since) > micro(self._days["hour"] * _DAY):
            position = next_midnight  # too old for hours
        elif hours_end > position:
            spans.append(("by_hour", position, hours_end))
            position = hours_end
        for table, until_us in (
            ("by_day", done["day"]),
            ("by_hour", done["hour"]),
            ("by_minute", done["minute"]),
            ("sample", end + 1),
        ):
            stop = min(until_us, end + 1)
            if stop > position and (table != "by_day" or position % day == 0):
                spans.append((table, position, stop))
                position = stop
        return spans

    @answering
    def bars(self, uids: Sequence[str], days: int, until: float) -> dict[str, list[Bar]]:
        today = micro(until) // micro(_DAY) * _DAY
        first = today - (days - 1) * _DAY
        names = ", ".join(f"s_{name}" for name in CHARGES)
        rows = (
            self._cursor()
            .execute(
                f"SELECT uid, at_us, checks, failures, {names} FROM by_day "
                "WHERE at_us >= ? AND at_us < ? AND location = '' AND uid IN (SELECT unnest(?::VARCHAR[]))",
                [micro(first), micro(today), list(uids)],
            )
            .fetchall()
        )
        known = {(row[0], row[1] // 1_000_000): _uptime(row[2:]) for row in rows}
        rolled = self._rolled_until("day")
        recent = range(int(max(first, min(rolled, today))), today + 1, _DAY)  # not rolled up yet: today, at least
        for start in recent:
            for uid, uptime in self.uptimes(uids, float(start), min(float(start + _DAY) - 1e-6, until)).items():
                known[uid, start] = uptime
        nothing = Uptime()
        return {
            uid: [Bar(float(at), known.get((uid, at), nothing)) for at in range(first, today + 1, _DAY)] for uid in uids
        }

    def vitals(self) -> TelemetryVitals:
        size = sum(path.stat().st_size for path in self._path.parent.glob(f"{self._path.name}*") if path.is_file())
        return TelemetryVitals(len(self._buffer), self._written, self._lost, size, self._last_error)

    def close(self) -> None:
        self._closing = True
        with self._pending:
            self._pending.notify_all()
        self._writer.join(timeout=8)
        self._file.close()


def _row(sample: Sample) -> tuple[Any, ...]:
    phase = sample.phases.get
    evidence = json.dumps(sample.evidence, ensure_ascii=False) if sample.evidence else ""
    return (
        sample.uid,
        int(sample.at * 1_000_000),
        sample.verdict,
        sample.duration,
        sample.charge,
        sample.charged,
        sample.lag,
        *(phase(name, 0.0) for name in PHASES),
        sample.code,
        sample.message,
        evidence,
        sample.location,
    )


def _sample(row: Sequence[Any]) -> Sample:
    uid, at_us, verdict, duration, charge, charged, lag, *rest = row
    phases = {name: value for name, value in zip(PHASES, rest, strict=False) if value}
    code, message, evidence, location = rest[len(PHASES) :]
    return Sample(
        uid=uid,
        at=at_us / 1e6,
        verdict=verdict,
        duration=duration,
        charge=charge,
        charged=charged,
        lag=lag,
        phases=phases,
        code=code,
        message=message,
        evidence=json.loads(evidence) if evidence else {},
        location=location,
    )


def _point(row: Sequence[Any]) -> Point:
    """row: bucket start in microseconds, checks, failures, mean, p50, p95, maximum, the phases."""
    at, checks, failures, mean, p50, p95, maximum, *phases = row
    measured = {name: value for name, value in zip(PHASES, phases, strict=True) if value}
    return Point(at / 1e6, int(checks), int(failures), mean, p50, p95, maximum, measured)


def _uptime(row: Sequence[float]) -> Uptime:
    """row: checks, failures, then seconds per state in the order of CHARGES."""
    checks, failures, *seconds = row
    charged = {name: float(value) for name, value in zip(CHARGES, seconds, strict=True) if value}
    return Uptime(charged, int(checks), int(failures))


__all__ = ["ROLLED_COLUMNS", "DuckTelemetry"]
