"""What an engine does for declared tables: small steps; `columns.py` makes the store of them.

Reads raise StoreBusy while the engine does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mainstay.store.columns.buffer import Batch
from mainstay.store.columns.sql import Part, Question
from mainstay.store.columns.table import Rollup, Row, Span, Table


@dataclass(frozen=True, slots=True)
class Content:
    """What a day of raw rows holds, in few words: two that are equal hold the same rows."""

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

    def ask(self, question: Question) -> list[Row]: ...

    def write(self, table: Table, batch: Batch, rolled_to: int) -> None:
        """Add a batch once, however often it is tried; NotWritten.

        Rows of a table with roll-ups that are older than `rolled_to`, or older than what another node may have rolled
        up by now, are remembered until their buckets are rolled up again.
        """

    # upkeep

    def mend(self) -> None:
        """Repair what was found damaged, if anything was."""

    def progress(self) -> dict[str, int]:
        """By Table.mark: until when each roll-up is made, if ever; as `raw`, before when raw rows are gone; as
        `forgotten`, when the last wish to erase was made."""

    def advance(self, mark: str, until: int) -> None:
        """Progress, which never goes back."""

    def late(self, table: Table) -> Late | None:
        """Rows that came after their buckets were rolled up, and that it is time to care for."""

    def heed(self, late: Late) -> None:
        """Their buckets are rolled up again."""

    def roll_up(self, table: Table, rollup: Rollup, span: Span) -> None:
        """Make the buckets of a span from raw rows, whole or not at all, in place of those that are there.

        Raw rows of the span must be there: others are taken for none. Progress advances to its end.
        """

    def expire(self, name: str, before: int) -> None:
        """Delete what is older of a table, raw or rolled up; `before` is a midnight."""

    def erase(self, table: Table, values: Sequence[str]) -> None:
        """Delete all rows and buckets of these values of `erased_by`."""

    def add(self, rollup: Rollup, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Buckets as they are, of the columns `names`."""

    # the way of raw rows into the archive

    def raw_days(self, table: Table, before: int) -> list[int]:
        """Midnights of days before that one of which there are raw rows, oldest first."""

    def content(self, table: Table, part: Part) -> Content: ...

    def export(self, table: Table, part: Part, target: Path) -> None:
        """Write raw rows as Parquet, in the table's order."""

    def drop(self, table: Table, day: int, content: Content) -> bool:
        """Delete a day's raw rows if they are still these; False if others came."""

    def measure(self) -> None:
        """Look up what `vitals` tells, which itself asks nobody."""

    def vitals(self) -> EngineVitals: ...

    def close(self) -> None: ...
