"""Declared tables on a ClickHouse server, and its words for questions to them.

Raw rows are a MergeTree by the day: its log of deduplication knows the token of each insert, so that a batch that is
sent twice is there once. Roll-ups are made anew from raw rows into a ReplacingMergeTree, where the row of the later
start wins: made twice, or by two nodes at once, they are the same. Times are integers as in DuckDB, and partitions are
whole numbers of days, so that what is past its time is dropped as a partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mainstay.store.columns.sql import Dialect
from mainstay.store.columns.table import AT, DAY, Table, micro

CRASHED = 180  # seconds after which a node that noted late rows and said no more is taken for dead
_GRANULE = 1024  # rows of a roll-up that are read at once: one series has hundreds of them in a partition
_KNOWN_INSERTS = 10_000  # tokens that a table remembers: hours of a few nodes

CLICKHOUSE = Dialect(
    types={
        "name": "String CODEC(ZSTD(1))", "time": "Int64 CODEC(Delta, ZSTD(1))", "word": "LowCardinality(String)",
        "text": "String CODEC(ZSTD(3))", "real": "Float32 CODEC(ZSTD(1))", "whole": "Int64 CODEC(T64, ZSTD(1))",
        "labels": "Map(LowCardinality(String), String) CODEC(ZSTD(1))",
    },
    measured={
        "count": "UInt32 CODEC(T64, ZSTD(1))",
        "total": "Float64 CODEC(ZSTD(1))",
        **dict.fromkeys(("mean", "quantile", "largest"), "Nullable(Float32) CODEC(ZSTD(1))"),
    },
    text="{{p{n}:String}}",
    texts="{{p{n}:Array(String)}}",
    bucket=f"intDiv({AT}, {{width}}) * {{width}}",
    # As in DuckDB: exact quantiles, interpolated; NULL where nothing was measured.
    aggregates={
        "count": "toUInt32(count(){filter})",
        "total": "toFloat64(sum({of}){filter})",
        "mean": "avgOrNull({of}){filter}",
        "largest": "maxOrNull({of}){filter}",
        "quantile": "quantileExactInclusiveOrNull({rank})({of}){filter}",
    },
    has="position({column}, {text}) > 0",
    number="reinterpretAsUInt64(substring(MD5({text}), 9, 8))",
    hashed="toInt64(count()), groupBitXor(sipHash64({columns}))",
    newest=f"ORDER BY {AT} DESC LIMIT {{limit}} BY {{of}}",
    final=" FINAL",
)  # fmt: skip

PROGRESS = "SELECT grain, toInt64(max(until_us)) FROM progress GROUP BY grain"
LATE = f"""SELECT mark, min(at_us) FROM late GROUP BY mark
    HAVING max(stage) = 2 OR (max(stage) = 1 AND max(noted) < now() - {CRASHED})"""
PARTITIONS = """SELECT DISTINCT toInt64OrZero(partition_id) FROM system.parts
    WHERE database = currentDatabase() AND table = {table:String} AND active ORDER BY 1"""
SIZE = "SELECT toInt64(sum(bytes_on_disk)) FROM system.parts WHERE database = currentDatabase() AND active"


def schema(tables: Iterable[Table]) -> list[str]:
    """Statements that make what is not there, and add the columns that tables of before do not have."""
    statements = [
        """CREATE TABLE IF NOT EXISTS progress (grain String, until_us UInt64)
        ENGINE = ReplacingMergeTree(until_us) ORDER BY grain""",
        # Which rows came late: stage 1 is about to be written, 2 is written, 3 is rolled up.
        """CREATE TABLE IF NOT EXISTS late (mark String, at_us Int64, stage UInt8, noted DateTime('UTC') DEFAULT now())
        ENGINE = ReplacingMergeTree(stage) ORDER BY mark TTL noted + INTERVAL 30 DAY""",
    ]
    for table in tables:
        columns = {column.name: CLICKHOUSE.types[column.kind] for column in table.columns}
        known = f"non_replicated_deduplication_window = {_KNOWN_INSERTS}"
        lies = _lies("MergeTree", 1, table.order, known)
        statements.append(_made(table.name, columns, lies))
        kinds = columns | {one.name: CLICKHOUSE.measured[one.how] for one in table.measures}
        held = {name: kinds[name] for name in table.rolled} | {"version": "UInt64 CODEC(Delta, ZSTD(1))"}
        for rollup in table.rollups:
            lies = _lies(
                "ReplacingMergeTree(version)", rollup.partition, table.series, f"index_granularity = {_GRANULE}"
            )
            statements.append(_made(rollup.table, held, lies))
        statements += [
            f"ALTER TABLE {table.name} ADD COLUMN IF NOT EXISTS {column.name} {columns[column.name]}"
            for column in table.columns
            if column.added and column.name not in table.order  # those are as old as the table
        ]
    return statements


def _made(name: str, columns: Mapping[str, str], lies: str) -> str:
    declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {name} ({declared}) {lies}"


def _lies(engine: str, days: int, order: Iterable[str], settings: str) -> str:
    ordered = ", ".join((*order, AT))
    return f"ENGINE = {engine} PARTITION BY intDiv({AT}, {micro(days * DAY)}) ORDER BY ({ordered}) SETTINGS {settings}"
