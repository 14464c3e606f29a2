"""The history of results over the columnar store: written, asked by monitor, time and location, erased on wish.

Times are epoch seconds, lengths are seconds, shares are 0..1; "no data" is None and never 0 or 1.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from mainstay.kernel.settings import Settings
from mainstay.store.columns import opening
from mainstay.store.columns.columns import Columns, ColumnsVitals
from mainstay.store.columns.duckdb_engine import DuckEngine
from mainstay.store.columns.sql import Condition, Where, summed
from mainstay.store.columns.table import AT, DAY, Row, micro
from mainstay.watch.results.evidence import Allowance
from mainstay.watch.results.pictures import FOLDER, Pictures
from mainstay.watch.results.rows import point_of, row_of, sample_of, uptime_of
from mainstay.watch.results.spans import chart_grain, uptime_spans
from mainstay.watch.results.tables import CHARGED, SAMPLE, TIMES
from mainstay.watch.results.values import Bar, Point, Sample, Uptime

_LOOKS = (6 * 3600, 8 * DAY, 1 << 40)  # seconds back in which the newest results are looked for
_NOTHING = Uptime()
_FAR = 1 << 62
_POINT = ("checks", "failures", *TIMES)
_TOTALS = (*CHARGED, "mean")
_DAY = ("uid", AT, *(part for name in _TOTALS for part in summed(SAMPLE.measure(name))))
_COUNTED = Condition("location", "is", "")  # what counts for the monitor


class Results:
    """Thread-safe. `append` never blocks on the disk; a full buffer drops the oldest and counts them.

    Reads raise StoreBusy while the store does not answer (a full disk).
    """

    def __init__(self, columns: Columns, pictures: Path | None = None) -> None:
        """pictures: the folder where pictures of results are kept; None: they are dropped."""
        self.columns, self._pictures, self._allowance = columns, Pictures(pictures), Allowance()
        self._days = {grain: columns.days(f"{grain}_days") for grain in ("minute", "hour")}
        self._buffer = columns.feed(SAMPLE, self._row, self._pictures.write)

    @classmethod
    def embedded(cls, path: Path, *, memory: str = "96MB", **more: Any) -> Results:
        """Over one DuckDB file that is nobody else's. A damaged file is set aside and told. UserError if a sound one
        cannot be opened now."""
        return cls(Columns(DuckEngine(path, memory, [SAMPLE]), [SAMPLE], **more), path.with_name(FOLDER))

    # writing

    def append(self, samples: Sequence[Sample]) -> None:
        self._buffer.append(self._pictures.take(samples))

    def _row(self, sample: Sample) -> Row:
        return row_of(sample, self._allowance.evidence(sample.uid, sample.at, sample.evidence))

    def flush(self) -> None:
        """Return once everything appended so far is written (tests, shutdown)."""
        self._buffer.flush()

    def import_days(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows of the day table as they are: history of another tool, or of a benchmark.

        A row: uid, midnight in microseconds, and the values of SAMPLE.measures. Days that are rolled up already stay
        so, even if what is added ends before them.
        """
        self.columns.add(SAMPLE, "day", [(*row, "") for row in rows])

    def imported_days(self, uids: Sequence[str]) -> set[tuple[str, int]]:
        """(uid, midnight in microseconds) of every day that is rolled up or was added."""
        return {(row[0], row[1]) for row in self._rolled_days(uids, 0, _FAR)}

    def maintain(self, now: float, *, steady: bool = True) -> None:
        """See Columns.maintain."""
        self.columns.maintain(now, steady=steady)

    def forget(self, uids: Sequence[str], wished_at: float = 0.0) -> None:
        """Delete everything about these; archived results are read no more from now on, and rewritten in turn.

        wished_at: when somebody asked for it, for `forgotten`.
        """
        self.columns.erase(SAMPLE, uids, wished_at)
        self._pictures.forget(uids)

    def forgotten(self) -> float:
        """When the last wish was made that was carried out; 0 for none."""
        return self.columns.erased(SAMPLE)

    # reading

    def latest(self, uid: str, limit: int = 50, location: str = "") -> list[Sample]:
        """Newest first."""
        rows: list[Row] = []
        where, end = _of(uid, location), _FAR
        for back in _LOOKS:  # the newest are nearly always of these hours, and all of a table is much to look through
            start = max(0, micro(time.time() - back))
            rows += self.columns.rows(SAMPLE, where, (start, end), limit - len(rows), archived=False)
            if len(rows) >= limit:
                break
            end = start
        return [sample_of(row) for row in rows]

    def results(self, uid: str, since: float, until: float, limit: int = 1000, location: str = "") -> list[Sample]:
        """The newest results of [since, until), newest first, from the archive too."""
        span = (micro(since), micro(until))
        return [sample_of(row) for row in self.columns.rows(SAMPLE, _of(uid, location), span, limit)]

    def recent(self, uids: Sequence[str], since: float, limit: int = 20) -> dict[str, list[Sample]]:
        """The newest results of each that are not older than `since`, newest first, in one read."""
        found: dict[str, list[Sample]] = {uid: [] for uid in uids}
        for row in self.columns.newest(SAMPLE, _all(uids), micro(since), limit):
            found[row[0]].append(sample_of(row))
        return found

    def hours(self, uid: str, starts: Sequence[float]) -> list[Point]:
        """The roll-ups of the hours that begin at these times, oldest first; hours without results are left out."""
        where = [*_of(uid, ""), Condition(AT, "at", [micro(start) for start in starts])]
        rows = self.columns.rolled(SAMPLE, "hour", (AT, *_POINT), where) if starts else []
        return [point_of(row) for row in sorted(rows, key=itemgetter(0))]

    def locations(self, uid: str, since: float, until: float) -> list[str]:
        """The locations with results of their own in this time, in order; give each to `series` for its line."""
        grain = "minute" if until - since <= self._days["minute"] * DAY else "hour"
        start, end, made = micro(since), micro(until), self.columns.progress(SAMPLE, grain)
        where = [Condition("uid", "is", uid)]
        found = self.columns.distinct(f"by_{grain}", "location", where, (start, end))
        found |= self.columns.distinct(SAMPLE.name, "location", where, (max(start, made), end))
        return sorted(found - {""})

    def series(self, uid: str, since: float, until: float, buckets: int = 200, location: str = "") -> list[Point]:
        grain, width = chart_grain(since, until, buckets, self._days)
        mark, span = "" if grain == "raw" else grain, (micro(since), micro(until))
        where = _of(uid, location)
        rows = self.columns.buckets(SAMPLE, _POINT, where, span, width=micro(width), mark=mark)
        return [point_of(row) for row in rows]

    def uptimes(self, uids: Sequence[str], since: float, until: float) -> dict[str, Uptime]:
        """Whole hours: `since` is taken down to its hour. Days come from day roll-ups and so on, finest last."""
        if not uids:
            return {}
        progress = {rollup.mark: self.columns.progress(SAMPLE, rollup.mark) for rollup in SAMPLE.rollups}
        pieces = uptime_spans(since, until, progress, self._days["hour"])
        rows = self.columns.totals(SAMPLE, _TOTALS, pieces, _all(uids))
        found = {row[0]: uptime_of(row[1:]) for row in rows}
        return {uid: found.get(uid, _NOTHING) for uid in uids}

    def bars(self, uids: Sequence[str], days: int, until: float) -> dict[str, list[Bar]]:
        """`days` bars per uid, oldest first, days in UTC; days without data have an empty Uptime."""
        today = micro(until) // micro(DAY) * DAY
        first = today - (days - 1) * DAY
        rows = self._rolled_days(uids, micro(first), micro(today)) if uids else []
        known = {(row[0], row[1] // 1_000_000): uptime_of(row[2:]) for row in rows}
        rolled = self.columns.progress(SAMPLE, "day") // 1_000_000
        recent = range(max(first, min(rolled, today)), today + 1, DAY)  # not rolled up yet: today, at least
        for start in recent:
            for uid, uptime in self.uptimes(uids, float(start), min(float(start + DAY) - 1e-6, until)).items():
                known[uid, start] = uptime
        return {
            uid: [Bar(float(at), known.get((uid, at), _NOTHING)) for at in range(first, today + 1, DAY)] for uid in uids
        }

    def _rolled_days(self, uids: Sequence[str], start: int, end: int) -> list[Row]:
        """uid, midnight, and a row for `uptime_of`."""
        return self.columns.rolled(SAMPLE, "day", _DAY, _all(uids), (start, end))

    def vitals(self) -> ColumnsVitals:
        return self.columns.vitals()

    def close(self) -> None:
        self.columns.close()


def opened(settings: Settings) -> Results:
    """UserError for an address that makes no sense; a server that does not answer is asked again later."""
    return Results(opening.opened(settings), settings.data / FOLDER)


def _of(uid: str, location: str) -> Where:
    return [Condition("uid", "is", uid), Condition("location", "is", location)]


def _all(uids: Sequence[str]) -> Where:
    return [_COUNTED, Condition("uid", "among", uids)]
