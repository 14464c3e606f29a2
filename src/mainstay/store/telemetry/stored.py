"""Telemetry over an engine: what is asked is cut into the engine's small steps, the same for every engine.

Results wait in a buffer for at most a second, and that is what a crash may lose. Roll-ups are made anew from raw
results, so that making one twice, or on two nodes at once, changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from mainstay.kernel.errors import MainstayError, StoreBusy
from mainstay.store.telemetry.archive import Archive
from mainstay.store.telemetry.buffer import Batch, Buffer
from mainstay.store.telemetry.engine import Engine, Part, Span
from mainstay.store.telemetry.pictures import Pictures
from mainstay.store.telemetry.port import Bar, Point, Sample, TelemetryVitals, Uptime
from mainstay.store.telemetry.rows import DAY, GRAINS, Row, micro, point_of, sample_of, uptime_of
from mainstay.store.telemetry.spans import chart_grain, kept_from, uptime_spans

log = structlog.get_logger("telemetry")

DAYS = {"raw": 7, "minute": 14, "hour": 100, "day": 1100}
_SETTLE = 90.0  # a bucket is rolled up this long after its end, when late results have arrived
_STRIDE = {"minute": 3600, "hour": DAY, "day": DAY}  # seconds that are rolled up in one statement
_ARCHIVED_AT_ONCE = 3  # days
_LOOKS = (6 * 3600, 8 * DAY, 1 << 40)  # seconds back in which the newest results are looked for
_ROWS_OF_A_FILE = 500_000  # of the archive: what is sorted within the default limit of memory
_FORGOTTEN = "forgotten"  # beside the grains in the engine's progress
_FRESH = 5.0  # seconds that progress is known without asking
_NOTHING = Uptime()
_FAR = 1 << 62


class StoredTelemetry:
    """See store/telemetry/port.py for what the methods promise."""

    def __init__(
        self,
        engine: Engine,
        days: Mapping[str, int] | None = None,
        archive: Archive | None = None,
        pictures: Path | None = None,
    ) -> None:
        """pictures: the folder where pictures of results are kept; None: they are dropped."""
        self._engine, self._archive, self._pictures = engine, archive, Pictures(pictures)
        self._days = dict(days or DAYS)
        self._rolled_to = 0  # minutes are rolled up until here, as far as this process knows
        self._expired: dict[str, int] = {}
        self._waiting_days = 0
        self._trouble = ""
        self._looked_up: tuple[float, dict[str, int]] = (float("-inf"), {})
        self._upkeep = threading.Lock()
        self._buffer = Buffer(self._write)

    # writing

    def append(self, samples: Sequence[Sample]) -> None:
        self._buffer.append(self._pictures.take(samples))

    def flush(self) -> None:
        self._buffer.flush()

    def _write(self, batch: Batch) -> None:
        self._pictures.write()
        self._engine.write(batch, self._rolled_to)

    def import_days(self, rows: Sequence[Sequence[Any]]) -> None:
        self._engine.add_days([(*row, "") for row in rows])
        self._engine.advance("day", max(row[1] for row in rows) + micro(DAY))
        self._looked_up = (float("-inf"), {})

    # upkeep

    def maintain(self, now: float, *, steady: bool = True) -> None:
        with self._upkeep:
            try:
                self._maintain(now, steady=steady)
                self._looked_up = (float("-inf"), {})
            except StoreBusy as error:
                self._trouble = error.message
                raise
            self._trouble = ""

    def _maintain(self, now: float, *, steady: bool) -> None:
        self._engine.mend()
        self._roll_up(now)
        gone = kept_from(now, self._days["raw"])
        if self._archive is not None:
            self._move_to_archive(self._archive, gone, now, steady=steady)
        elif steady:
            self._expire("raw", "sample", gone)
        for grain in GRAINS if steady else ():
            self._expire(grain, f"by_{grain}", kept_from(now, self._days[grain]))
        self._engine.measure()

    def _roll_up(self, now: float) -> None:
        progress, late = self._engine.progress(), self._engine.late()
        first = None if len(progress.keys() & GRAINS.keys()) == len(GRAINS) else self._engine.first()
        for grain, seconds in GRAINS.items():
            width = micro(seconds)
            end = micro(now - _SETTLE) // width * width
            start = progress.get(grain, _FAR if first is None else first // width * width)
            if late is not None:
                start = min(start, late.since // width * width)
            self._roll(grain, max(start, progress.get("raw", 0)), end)
            if grain == "minute":
                self._rolled_to = max(end, progress.get(grain, 0))
        if late is not None:
            self._engine.heed(late)

    def _roll(self, grain: str, start: int, end: int) -> None:
        stride = micro(_STRIDE[grain])
        while start < end:
            stop = min(end, (start // stride + 1) * stride)
            self._engine.roll_up(grain, (start, stop))
            start = stop

    def _expire(self, name: str, table: str, before: int) -> None:
        if self._expired.get(name, -1) >= before:
            return
        if name == "raw":
            self._engine.advance("raw", before)  # before it is gone: what is gone must not be rolled up
        self._engine.expire(table, before)
        self._expired[name] = before

    def _move_to_archive(self, archive: Archive, gone: int, now: float, *, steady: bool) -> None:
        """Write days that are past their hot time to the archive, and only then delete them here."""
        days = self._engine.raw_days(gone)
        self._waiting_days = len(days)
        try:
            for day in days[:_ARCHIVED_AT_ONCE]:
                self._archive_day(archive, day)
                self._waiting_days -= 1
            archive.maintain(now, steady=steady)
            archive.error = ""
        except StoreBusy:
            raise
        except (MainstayError, OSError) as error:  # the archive's; all else of the upkeep goes on
            archive.error = str(error)[:300]
            log.error("results cannot be archived", error=archive.error)

    def _archive_day(self, archive: Archive, day: int) -> None:
        content = self._engine.content(Part(day))
        shares = -(-content.rows // _ROWS_OF_A_FILE)
        for number in range(shares):
            self._copy(archive, Part(day, number, shares))
        self._engine.advance("raw", day + micro(DAY))
        if self._engine.drop(day, content):
            log.info("results archived", day=day // micro(DAY), rows=content.rows)

    def _copy(self, archive: Archive, part: Part) -> None:
        content = self._engine.content(part)
        if not content.rows:
            return
        with archive.adding(part, content) as target:
            if target is not None:
                self._engine.export(part, target)

    def forget(self, uids: Sequence[str], wished_at: float = 0.0) -> None:
        self.flush()
        with self._upkeep:
            if self._archive is not None:
                self._archive.forget(uids)
            self._engine.forget(uids)
            self._pictures.forget(uids)
            if wished_at:
                self._engine.advance(_FORGOTTEN, round(wished_at * 1e6))  # exactly, or it would be carried out again

    def forgotten(self) -> float:
        return self._engine.progress().get(_FORGOTTEN, 0) / 1e6

    # reading

    def latest(self, uid: str, limit: int = 50, location: str = "") -> list[Sample]:
        rows: list[Row] = []
        end = _FAR
        for back in _LOOKS:  # the newest are nearly always of these hours, and all of a table is much to look through
            start = max(0, micro(time.time() - back))
            rows += self._engine.samples((uid, location), (start, end), limit - len(rows))
            if len(rows) >= limit:
                break
            end = start
        return [sample_of(row) for row in rows]

    def results(self, uid: str, since: float, until: float, limit: int = 1000, location: str = "") -> list[Sample]:
        whose, span = (uid, location), (micro(since), micro(until))
        rows = self._engine.samples(whose, span, limit)
        if self._archive is not None and len(rows) < limit and self._reaches_back(span):
            # A day that is on its way may be in both.
            by_time = {row[1]: row for row in (*self._archive.samples(whose, span, limit), *rows)}
            rows = [by_time[at] for at in sorted(by_time, reverse=True)][:limit]
        return [sample_of(row) for row in rows]

    def _progress(self) -> dict[str, int]:
        """As of some seconds ago: what was rolled up since is read from raw results, which gives the same."""
        at, known = self._looked_up
        if time.monotonic() - at > _FRESH:
            known = self._engine.progress()
            self._looked_up = (time.monotonic(), known)
        return known

    def _reaches_back(self, span: Span) -> bool:
        """Whether some of a time may be in the archive, which may be slow, or away."""
        return span[0] < self._engine.progress().get("raw", 0)

    def recent(self, uids: Sequence[str], since: float, limit: int = 20) -> dict[str, list[Sample]]:
        found: dict[str, list[Sample]] = {uid: [] for uid in uids}
        for row in self._engine.newest_of(uids, micro(since), limit):
            found[row[0]].append(sample_of(row))
        return found

    def hours(self, uid: str, starts: Sequence[float]) -> list[Point]:
        return [point_of(row) for row in self._engine.hours(uid, [micro(start) for start in starts])]

    def locations(self, uid: str, since: float, until: float) -> list[str]:
        grain = "minute" if until - since <= self._days["minute"] * DAY else "hour"
        start, end, rolled = micro(since), micro(until), self._progress().get(grain, 0)
        found = {*self._engine.locations(f"by_{grain}", uid, (start, end))}
        found.update(self._engine.locations("sample", uid, (max(start, rolled), end)))
        return sorted(found - {""})

    def series(self, uid: str, since: float, until: float, buckets: int = 200, location: str = "") -> list[Point]:
        grain, width = chart_grain(since, until, buckets, self._days)
        whose, step, start, end = (uid, location), micro(width), micro(since), micro(until)
        points: dict[int, Point] = {}
        edge = start
        if grain != "raw":
            # Roll-ups up to a bucket's edge, raw results from there on, so that no bucket is made of two halves.
            edge = max(start, self._progress().get(grain, 0) // step * step)
            for row in self._engine.points(f"by_{grain}", whose, (start, min(edge, end)), step):
                points[row[0]] = point_of(row)
        for row in self._raw_points(whose, (edge, end), step):
            points[row[0]] = point_of(row)
        return [points[at] for at in sorted(points)]

    def _raw_points(self, whose: tuple[str, str], span: Span, step: int) -> list[Any]:
        rows = self._engine.points("sample", whose, span, step)
        if self._archive is not None and len(rows) * step < span[1] - span[0] and self._reaches_back(span):
            present = {row[0] for row in rows}
            rows += [row for row in self._archive.points(whose, span, step) if row[0] not in present]
        return rows

    def uptimes(self, uids: Sequence[str], since: float, until: float) -> dict[str, Uptime]:
        """Whole hours: `since` is taken down to its hour. Days come from day roll-ups and so on, finest last."""
        if not uids:
            return {}
        pieces = uptime_spans(since, until, self._progress(), self._days["hour"])
        found = {row[0]: uptime_of(row[1:]) for row in self._engine.charged(pieces, uids)} if pieces else {}
        return {uid: found.get(uid, _NOTHING) for uid in uids}

    def bars(self, uids: Sequence[str], days: int, until: float) -> dict[str, list[Bar]]:
        today = micro(until) // micro(DAY) * DAY
        first = today - (days - 1) * DAY
        rows = self._engine.days(uids, (micro(first), micro(today))) if uids else []
        known = {(row[0], row[1] // 1_000_000): uptime_of(row[2:]) for row in rows}
        rolled = self._progress().get("day", 0) // 1_000_000
        recent = range(max(first, min(rolled, today)), today + 1, DAY)  # not rolled up yet: today, at least
        for start in recent:
            for uid, uptime in self.uptimes(uids, float(start), min(float(start + DAY) - 1e-6, until)).items():
                known[uid, start] = uptime
        return {
            uid: [Bar(float(at), known.get((uid, at), _NOTHING)) for at in range(first, today + 1, DAY)] for uid in uids
        }

    def imported_days(self, uids: Sequence[str]) -> set[tuple[str, int]]:
        return {(row[0], row[1]) for row in self._engine.days(uids, (0, _FAR))}

    def vitals(self) -> TelemetryVitals:
        buffer, engine = self._buffer, self._engine.vitals()
        archive = self._archive.vitals(self._waiting_days) if self._archive is not None else None
        return TelemetryVitals(
            buffered=len(buffer),
            written=buffer.written,
            lost=buffer.lost,
            bytes_on_disk=engine.bytes_on_disk,
            last_error=buffer.error or self._trouble,
            engine=self._engine.name,
            failures=buffer.failures,
            damaged=engine.damaged,
            notices=engine.notices,
            archive=archive,
        )

    def close(self) -> None:
        self._buffer.close()
        self._engine.close()
