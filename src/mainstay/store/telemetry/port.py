"""The interface of telemetry: raw results in, roll-ups and pictures out.

`stored.py` keeps it over an engine: DuckDB, embedded, or a ClickHouse server. Both pass one contract suite
(tests/store/test_telemetry.py).
Times are epoch seconds, lengths are seconds, shares are 0..1; "no data" is None and never 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

# The states time is charged to. Only `down` lowers uptime; unknown, paused and maintenance count as no data.
Charge = Literal["up", "degraded", "down", "unknown", "paused", "maintenance"]


class Sample(msgspec.Struct, kw_only=True):
    """One result. `charged` seconds before `at` were spent in state `charge` (0 for the first result).

    `location` is empty for what counts for the monitor: its only result, or what several locations voted. A result
    of a single location carries the location's name, and is in no uptime, bar or series that does not name it.
    """

    uid: str
    at: float
    verdict: str
    duration: float
    charge: Charge
    charged: float
    lag: float = 0.0
    phases: Mapping[str, float] = msgspec.field(default_factory=dict)  # lookup connect tls wait transfer
    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = msgspec.field(default_factory=dict)
    location: str = ""


class Uptime(msgspec.Struct, frozen=True, gc=False):
    """Seconds charged per state over a period; `share` is (up + degraded) / (up + degraded + down).

    A page of history makes them by the ten thousand, which is why this is no dataclass.
    mean: seconds that a check took which was not a failure; None where none was measured.
    """

    seconds: Mapping[str, float] = msgspec.field(default_factory=dict)
    checks: int = 0
    failures: int = 0
    mean: float | None = None

    @property
    def share(self) -> float | None:
        good = self.seconds.get("up", 0.0) + self.seconds.get("degraded", 0.0)
        total = good + self.seconds.get("down", 0.0)
        return good / total if total > 0 else None


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One bucket of a history bar (a day, an hour): its start and what it was like."""

    at: float
    uptime: Uptime


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket of a latency chart. Phases are means; None where nothing was measured."""

    at: float
    checks: int
    failures: int
    mean: float | None
    p50: float | None
    p95: float | None
    maximum: float | None
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArchiveVitals:
    """Raw results that lie outside of the store: where, how many days and bytes, and days that wait to go there."""

    address: str
    days: int
    bytes: int
    waiting: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class TelemetryVitals:
    """For the health page: what is buffered, written, lost (counted, never silent) and stored."""

    buffered: int
    written: int
    lost: int
    bytes_on_disk: int
    last_error: str = ""
    engine: str = "duckdb"
    failures: int = 0  # attempts to write that failed
    damaged: int = 0  # files that were set aside
    notices: tuple[str, ...] = ()  # what was repaired, for a person to read
    archive: ArchiveVitals | None = None  # None: nothing is archived


class Telemetry(Protocol):
    """Thread-safe. `append` never blocks on the disk; a full buffer drops the oldest and counts them.

    Reads raise StoreBusy while the store does not answer (a full disk).
    """

    def append(self, samples: Sequence[Sample]) -> None: ...

    def flush(self) -> None:
        """Return once everything appended so far is written (tests, shutdown)."""

    def latest(self, uid: str, limit: int = 50, location: str = "") -> list[Sample]:
        """Newest first."""

    def results(self, uid: str, since: float, until: float, limit: int = 1000, location: str = "") -> list[Sample]:
        """The newest results of [since, until), newest first, from the archive too."""

    def recent(self, uids: Sequence[str], since: float, limit: int = 20) -> dict[str, list[Sample]]:
        """The newest results of each that are not older than `since`, newest first, in one read."""

    def series(self, uid: str, since: float, until: float, buckets: int = 200, location: str = "") -> list[Point]: ...

    def locations(self, uid: str, since: float, until: float) -> list[str]:
        """The locations with results of their own in this time, in order; give each to `series` for its line."""

    def hours(self, uid: str, starts: Sequence[float]) -> list[Point]:
        """The roll-ups of the hours that begin at these times, oldest first; hours without results are left out."""

    def uptimes(self, uids: Sequence[str], since: float, until: float) -> dict[str, Uptime]: ...

    def bars(self, uids: Sequence[str], days: int, until: float) -> dict[str, list[Bar]]:
        """`days` bars per uid, oldest first, days in UTC; days without data have an empty Uptime."""

    def maintain(self, now: float, *, steady: bool = True) -> None:
        """Roll up what is complete, archive and delete what is past its retention; called every minute or so.

        Retention is by whole days in UTC: what is deleted is older than asked, by less than a day. StoreBusy while
        the store does not answer; all of it is repeated next time. `steady`: `now` can be trusted to tell what is old;
        nothing is deleted otherwise.
        """

    def forget(self, uids: Sequence[str], wished_at: float = 0.0) -> None:
        """Delete everything about these; archived results are read no more from now on, and rewritten in turn.

        wished_at: when somebody asked for it, for `forgotten`.
        """

    def forgotten(self) -> float:
        """When the last wish was made that was carried out; 0 for none."""

    def import_days(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows of the day table as they are: history of another tool, or of a benchmark.

        A row: uid, midnight in microseconds, and the values of rows.ROLLED_COLUMNS. Days that are rolled up already
        stay so, even if what is added ends before them.
        """

    def imported_days(self, uids: Sequence[str]) -> set[tuple[str, int]]:
        """(uid, midnight in microseconds) of every day that is rolled up or was added."""

    def vitals(self) -> TelemetryVitals: ...

    def close(self) -> None: ...
