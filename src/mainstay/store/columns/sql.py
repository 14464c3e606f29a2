"""Questions to declared tables as SQL of DuckDB and of ClickHouse, which differ in few words.

Numbers stand in the text; texts are values beside it. Names come from declarations, which hold identifiers only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mainstay.store.columns.table import AT, DAY, Kind, Measure, Rollup, Span, Table, micro

Piece = tuple[str, int, int]  # a table, raw or rolled up, and the start and end of what is read of it


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be true of a row's `column`: it `is` a text, is `among` some, is `none` of some, has a `label` of that
    `key`, `has` a text in it, is `at` one of some numbers, or is at `least` one."""

    column: str
    how: Literal["is", "among", "none", "label", "has", "at", "least"]
    value: Any
    key: str = ""


Where = Sequence[Condition]
_COMPARED = {"is": "=", "among": "IN", "none": "NOT IN"}


@dataclass(frozen=True, slots=True)
class Part:
    """A day of raw rows (its midnight), or of those whose first column of order is of share `number` of `shares`.

    A text's share is the little-endian number of the last 8 bytes of its MD5, modulo `shares`.
    """

    day: int
    number: int = 0
    shares: int = 1

    @property
    def span(self) -> Span:
        return self.day, self.day + micro(DAY)

    def has(self, name: str) -> bool:
        digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[8:], "little") % self.shares == self.number


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine says what they say differently: templates of str.format.

    types and measured: of columns and of measures. final: after a roll-up that is read. number: of a text, for shares.
    hashed: of rows. newest: the newest `limit` rows of each `of`, with their order.
    """

    types: dict[Kind, str]
    measured: dict[str, str]
    text: str
    texts: str
    bucket: str
    aggregates: dict[str, str]
    has: str
    number: str
    hashed: str
    newest: str
    final: str = ""


@dataclass(slots=True)
class Statement:
    """SQL and its values, which are told by their numbers, from 1."""

    dialect: Dialect
    values: list[Any] = field(default_factory=list)
    sql: str = ""

    def put(self, value: str | Sequence[str]) -> str:
        """What stands for a text, or for some after IN."""
        self.values.append(value if isinstance(value, str) else list(value))
        form = self.dialect.text if isinstance(value, str) else self.dialect.texts
        return form.format(n=len(self.values))

    def conditions(self, where: Where, span: Span | None = None) -> str:
        parts = [self._condition(one) for one in where]
        if span is not None:
            parts.append(f"{AT} >= {int(span[0])} AND {AT} < {int(span[1])}")
        return " AND ".join(parts) or "true"

    def _condition(self, one: Condition) -> str:
        match one.how:
            case "at":
                return f"{one.column} IN ({', '.join(str(int(number)) for number in one.value)})"
            case "least":
                return f"{one.column} >= {int(one.value)}"
            case "label":
                return f"{one.column}[{self.put(one.key)}] = {self.put(one.value)}"
            case "has":
                return self.dialect.has.format(column=one.column, text=self.put(one.value))
        return f"{one.column} {_COMPARED[one.how]} {self.put(one.value)}"


Question = Callable[[Statement], str]  # gives the SQL, and puts the values


# of raw rows


def rows(table: Table, where: Where, span: Span, limit: int, source: str = "") -> Question:
    """The newest `limit` rows, newest first. `source` is read in place of the table."""
    return lambda to: (
        f"SELECT {', '.join(table.names)} FROM {source or table.name} WHERE {to.conditions(where, span)} "
        f"ORDER BY {AT} DESC LIMIT {int(limit)}"
    )


def newest(table: Table, where: Where, since: int, limit: int) -> Question:
    """The newest `limit` rows of each value of the first column of order, newest first."""

    def ask(to: Statement) -> str:
        chosen = to.conditions(where)
        ending = to.dialect.newest.format(of=table.order[0], at=AT, limit=int(limit))
        return f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {AT} >= {int(since)} AND {chosen} {ending}"

    return ask


def distinct(source: str, column: str, where: Where, span: Span) -> Question:
    return lambda to: f"SELECT DISTINCT {column} FROM {source} WHERE {to.conditions(where, span)}"


def first(table: Table) -> Question:
    """The time of the oldest row; NULL without any."""
    return lambda _: f"SELECT CASE WHEN count(*) = 0 THEN NULL ELSE min({AT}) END FROM {table.name}"


def content(table: Table, part: Part, source: str = "") -> Question:
    """How many rows, and a checksum of them."""

    def ask(to: Statement) -> str:
        hashed = to.dialect.hashed.format(columns=", ".join(table.names))
        return f"SELECT {hashed} FROM {source or table.name} WHERE {_of_part(to, table, part)}"

    return ask


def part_of(table: Table, part: Part) -> Question:
    """The rows, sorted as they lie in the archive."""
    return lambda to: (
        f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {_of_part(to, table, part)} "
        f"ORDER BY {', '.join((*table.order, AT))}"
    )


def _of_part(to: Statement, table: Table, part: Part) -> str:
    chosen = to.conditions((), part.span)
    if part.shares > 1:
        number = to.dialect.number.format(text=table.order[0])
        chosen += f" AND {number} % {int(part.shares)} = {int(part.number)}"
    return chosen


# of roll-ups, and of both


def roll_up(table: Table, rollup: Rollup, span: Span, more: str = "", extra: dict[str, str] | None = None) -> Question:
    """Make buckets of raw rows. `more` is one more condition; `extra` are columns that an engine adds, with values."""

    def ask(to: Statement) -> str:
        bucket = to.dialect.bucket.format(width=micro(rollup.seconds))
        measures = [aggregate(to.dialect, table, one) for one in table.measures]
        first, *others = table.series
        columns = ", ".join((*table.rolled, *(extra or {})))
        values = ", ".join((first, f"{bucket} AS bucket_us", *measures, *others, *(extra or {}).values()))
        return (
            f"INSERT INTO {rollup.table} ({columns}) SELECT {values} FROM {table.name} "
            f"WHERE {to.conditions((), span)}{more} GROUP BY {', '.join((*table.series, 'bucket_us'))}"
        )

    return ask


def buckets(table: Table, names: Sequence[str], where: Where, span: Span, *, width: int, source: str) -> Question:
    """Start and the measures `names` of buckets of `width`, of raw rows or of a roll-up."""

    def ask(to: Statement) -> str:
        rolled = any(one.table == source for one in table.rollups)
        measures = [table.measure(name) for name in names]
        found = [merged(one) if rolled else aggregate(to.dialect, table, one) for one in measures]
        bucket = to.dialect.bucket.format(width=int(width))
        origin = source + to.dialect.final if rolled else source
        return (
            f"SELECT {bucket} AS bucket_us, {', '.join(found)} FROM {origin} "
            f"WHERE {to.conditions(where, span)} GROUP BY bucket_us"
        )

    return ask


def rolled(rollup: Rollup, columns: Sequence[str], where: Where, span: Span | None) -> Question:
    """Buckets as they are."""
    return lambda to: (
        f"SELECT {', '.join(columns)} FROM {rollup.table}{to.dialect.final} WHERE {to.conditions(where, span)}"
    )


def totals(table: Table, names: Sequence[str], pieces: Sequence[Piece], where: Where) -> Question:
    """The first column of order and the sums of `summed`, of all pieces together."""

    def ask(to: Statement) -> str:
        by, chosen = table.order[0], to.conditions(where)
        read = []
        for source, start, end in pieces:
            raw = source == table.name
            columns = [part for name in names for part in summed(table.measure(name), to.dialect if raw else None)]
            named = ", ".join(f"{column} AS t{number}" for number, column in enumerate(columns))
            origin, group = (source, f"GROUP BY {by}") if raw else (source + to.dialect.final, "")
            span = to.conditions((), (start, end))
            read.append(f"SELECT {by}, {named} FROM {origin} WHERE {span} AND {chosen} {group}")
        sums = ", ".join(f"sum(t{number})" for number in range(len(columns)))
        return f"SELECT {by}, {sums} FROM ({' UNION ALL '.join(read)}) GROUP BY {by}"

    return ask


def aggregate(dialect: Dialect, table: Table, one: Measure) -> str:
    """Of raw rows. Quantiles of the same values share one list of them, where an engine can."""
    same = (one.how, one.of, one.where)
    ranks = [other.rank for other in table.measures if (other.how, other.of, other.where) == same]
    return _aggregate(dialect, one.how, one, ranks)


def _aggregate(dialect: Dialect, how: str, one: Measure, ranks: Sequence[float] = (0.0,)) -> str:
    condition = f" FILTER (WHERE {one.where})" if one.where else ""
    place = ranks.index(one.rank) + 1
    return dialect.aggregates[how].format(of=one.of, filter=condition, rank=one.rank, ranks=list(ranks), place=place)


def merged(one: Measure) -> str:
    """Of several buckets of a roll-up."""
    if one.how in ("count", "total"):
        return f"sum({one.name})"
    if one.weight:
        return f"sum({one.name} * ({one.weight})) / nullif(sum({one.weight}), 0)"
    return f"avg({one.name})" if one.how == "mean" else f"max({one.name})"


def summed(one: Measure, raw: Dialect | None = None) -> list[str]:
    """What can be added up: itself, and of a mean its total and how many it is of. `raw`: of raw rows."""
    if raw:
        return [_aggregate(raw, how, one) for how in (("total", "count") if one.how == "mean" else (one.how,))]
    if one.how != "mean":
        return [one.name]
    total = f"coalesce({one.name} * ({one.weight}), 0)"
    return [total, f"CASE WHEN {one.name} IS NULL THEN 0 ELSE {one.weight} END"]


def answer(dialect: Dialect, question: Question) -> Statement:
    to = Statement(dialect)
    to.sql = question(to)
    return to
