"""What an engine does for telemetry: small steps in its own SQL; `stored.py` makes the port of them.

Times are microseconds since the Unix epoch, spans are [start, end), `whose` is (uid, location), and tables are those
of `rows.TABLES`. Reads raise StoreBusy while the engine does not answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mainstay.store.telemetry.buffer import Batch
from mainstay.store.telemetry.rows import Row

Whose = tuple[str, str]
Span = tuple[int, int]
Piece = tuple[str, int, int]  # a table, and the start and end of what is read of it


@dataclass(frozen=True, slots=True)
class Part:
    """A day of raw results (its midnight), or of some of the monitors: those of share `number` of `shares`.

    A monitor's share is the little-endian number of the last 8 bytes of its uid's MD5, modulo `shares`.
    """

    day: int
    number: int = 0
    shares: int = 1

    def has(self, uid: str) -> bool:
        digest = hashlib.md5(uid.encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[8:], "little") % self.shares == self.number


@dataclass(frozen=True, slots=True)
class Content:
    """What a day of raw results holds, in few words: two that are equal hold the same rows."""

    rows: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Late:
    """`since`: the oldest of them; `marks`: which notes of the engine say so."""

    since: int
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineVitals:
    """`notices` are for people: what was repaired, or is odd."""

    bytes_on_disk: int
    damaged: int = 0  # files that were set aside
    notices: tuple[str, ...] = ()


class Engine(Protocol):
    name: str

    def write(self, batch: Batch, rolled_to: int) -> None:
        """Add a batch once, however often it is tried; NotWritten.

        Results that are older than `rolled_to`, or older than what another node may have rolled up by now, are
        remembered until their buckets are rolled up again.
        """

    # upkeep

    def mend(self) -> None:
        """Repair what was found damaged, if anything was."""

    def progress(self) -> dict[str, int]:
        """Until when each grain is rolled up, if ever; as `raw`, before when raw results are gone; as `forgotten`, when
        the last wish to forget a monitor was made."""

    def advance(self, grain: str, until: int) -> None:
        """Progress, which never goes back."""

    def late(self) -> Late | None:
        """Results that came after their buckets were rolled up, and that it is time to care for."""

    def heed(self, late: Late) -> None:
        """Their buckets are rolled up again."""

    def first(self) -> int | None:
        """The oldest raw result."""

    def roll_up(self, grain: str, span: Span) -> None:
        """Make the buckets of a span from raw results, whole or not at all, in place of those that are there.

        Raw results of the span must be there: others are taken for none. Progress advances to its end.
        """

    def expire(self, table: str, before: int) -> None:
        """Delete what is older; `before` is a midnight."""

    def forget(self, uids: Sequence[str]) -> None: ...

    def add_days(self, rows: Sequence[Row]) -> None:
        """Rows of the day table as they are; days that are rolled up already stay so."""

    # the way of raw results into the archive

    def raw_days(self, before: int) -> list[int]:
        """Midnights of days before that one of which there are raw results, oldest first."""

    def content(self, part: Part) -> Content: ...

    def export(self, part: Part, target: Path) -> None:
        """Write raw results as Parquet, sorted by uid, location and time."""

    def drop(self, day: int, content: Content) -> bool:
        """Delete a day's raw results if they are still these; False if others came."""

    # reading

    def samples(self, whose: Whose, span: Span, limit: int) -> list[Row]:
        """SAMPLE_COLUMNS, newest first."""

    def newest_of(self, uids: Sequence[str], since: int, limit: int) -> list[Row]:
        """SAMPLE_COLUMNS of the newest of each, with no location, newest first."""

    def locations(self, table: str, uid: str, span: Span) -> list[str]: ...

    def hours(self, uid: str, starts: Sequence[int]) -> list[Row]:
        """Start and POINT_COLUMNS, oldest first."""

    def points(self, table: str, whose: Whose, span: Span, width: int) -> list[Row]:
        """Start and POINT_COLUMNS of buckets of `width`, from raw results or from a roll-up."""

    def charged(self, pieces: Sequence[Piece], uids: Sequence[str]) -> list[Row]:
        """uid and a row for `rows.uptime_of`, with no location, of all pieces together."""

    def days(self, uids: Sequence[str], span: Span) -> list[Row]:
        """uid, midnight, and then as `charged`."""

    def measure(self) -> None:
        """Look up what `vitals` tells, which itself asks nobody."""

    def vitals(self) -> EngineVitals: ...

    def close(self) -> None: ...
