"""Declared tables: what a capability keeps in columns, said once. Engines make, fill, age, copy and erase them.

A row has a time, `at_us`, in microseconds since the Unix epoch, and columns that say of what it is. Roll-ups are tables
of their own, by buckets of time, made anew from raw rows and never added to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from mainstay.kernel.capability import CAPABILITIES, At, load

# name: tells what a row is of, one of many. word: one of few. text: any, long too. real: 32 bits. labels: text by name.
Kind = Literal["name", "time", "word", "text", "real", "whole", "labels"]

AT = "at_us"
DAY = 86_400
Row = tuple[Any, ...]
Span = tuple[int, int]
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")


def micro(seconds: float) -> int:
    return int(seconds * 1_000_000)


def kept_from(now: float, days: int) -> int:
    """The midnight before which what is kept for `days` days is deleted: whole days, so never too early."""
    return micro(now - days * DAY) // micro(DAY) * micro(DAY)


@dataclass(frozen=True, slots=True)
class Column:
    """`added`: a text column that came later, and stands last; tables that are there already get it, empty."""

    name: str
    kind: Kind
    added: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """A number about the raw rows of a bucket for which `where` is true: SQL that every engine reads.

    Buckets are put together by adding counts and totals up; a mean or a quantile with a `weight` (SQL over other
    measures) by weighing it; without one a quantile or a maximum by the largest, and a mean by the mean.
    """

    name: str
    how: Literal["count", "total", "mean", "quantile", "largest"]
    of: str = ""
    where: str = ""
    weight: str = ""
    rank: float = 0.0  # of a quantile, 0..1


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of buckets of so many seconds, and how it is made.

    stride: seconds that are made in one statement. at_once: raw rows of one statement on DuckDB, which holds all values
    of a bucket in memory for its quantiles. partition: days of a partition on ClickHouse. kept: the setting that says
    for how many days.
    """

    table: str
    mark: str  # in the progress
    seconds: int
    stride: int
    kept: str
    at_once: int
    partition: int


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is done once with an embedded file of before: `run(connection, folder)` says whether it changed anything."""

    mark: str  # in the progress
    run: At


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a capability declares.

    order: the columns that say of what a row is; rows lie in this order, then by time. Shares of a table, for what must
    fit into memory, are by the first of them.
    kept: the setting that says for how many days raw rows are kept.
    rollups: the finest first.
    rolled_by: columns that roll-ups tell apart; empty: those of `order`.
    erased_by: the column whose values a person may have deleted; empty: none.
    archived_as: how files in the archive are called; empty: old rows are deleted.
    full: what a full buffer does: `drop` the oldest rows, counted, or `refuse` new ones (StoreBusy).
    bare: its marks in the progress are without its name, for it had the store to itself once.
    """

    name: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    kept: str
    measures: tuple[Measure, ...] = ()
    rollups: tuple[Rollup, ...] = ()
    rolled_by: tuple[str, ...] = ()
    erased_by: str = ""
    archived_as: str = ""
    full: Literal["drop", "refuse"] = "refuse"
    bare: bool = False
    upgrades: tuple[Upgrade, ...] = ()

    def __post_init__(self) -> None:
        """AssertionError for what no engine could make."""
        named = [self.name, *self.names, *(one.name for one in self.measures), *(one.table for one in self.rollups)]
        wrong = [name for name in named if not _IDENTIFIER.fullmatch(name)]
        unknown = {AT, *self.order, *self.series, *filter(None, [self.erased_by])} - set(self.names)
        wrong += [name for name in self.tables() if name in ("progress", "late")]  # the store's own
        unerased = self.rollups and self.erased_by and self.erased_by not in self.series
        if wrong or unknown or unerased or not self.order:
            raise AssertionError(f"table {self.name} is not declared correctly: {wrong or unknown or self.erased_by}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def time(self) -> int:
        """Where the time stands in a row."""
        return self.names.index(AT)

    @property
    def series(self) -> tuple[str, ...]:
        return self.rolled_by or self.order

    @property
    def rolled(self) -> tuple[str, ...]:
        """The columns of its roll-ups."""
        first, *others = self.series
        return (first, AT, *(one.name for one in self.measures), *others)

    def measure(self, name: str) -> Measure:
        return next(one for one in self.measures if one.name == name)

    def rollup(self, mark: str) -> Rollup:
        return next(one for one in self.rollups if one.mark == mark)

    def mark(self, what: str) -> str:
        """How `what` is called in the progress: a roll-up, `raw` or `forgotten`."""
        return what if self.bare else f"{self.name}/{what}"

    def owns(self, mark: str) -> bool:
        return "/" not in mark if self.bare else mark.startswith(f"{self.name}/")

    def tables(self) -> tuple[str, ...]:
        return (self.name, *(one.table for one in self.rollups))


def declared() -> tuple[Table, ...]:
    """What the capabilities declare. AssertionError if two name a table alike."""
    tables = tuple(table for one in CAPABILITIES if one.tables for table in load(one.tables))
    names = [name for table in tables for name in table.tables()]
    if len(names) != len(set(names)):
        raise AssertionError(f"a table of the columnar store is declared twice: {sorted(names)}")
    return tables
