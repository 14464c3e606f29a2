"""Declared tables in DuckDB, and its words for questions to them; the archive's Parquet files are read with these too.

Roll-ups keep exact quantiles of their bucket, because each is computed from raw rows, which are kept for longer than
the longest bucket needs to be complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mainstay.store.columns.sql import Dialect
from mainstay.store.columns.table import AT, Column, Table

DUCKDB = Dialect(
    # Times are integers, which compress to a few bits a row here.
    types={
        "name": "VARCHAR", "time": "BIGINT", "word": "VARCHAR", "text": "VARCHAR", "real": "FLOAT", "whole": "BIGINT",
        "labels": "MAP(VARCHAR, VARCHAR)",
    },
    measured={"count": "UINTEGER", "total": "DOUBLE", "mean": "FLOAT", "quantile": "FLOAT", "largest": "FLOAT"},
    text="${n}",
    texts="(SELECT unnest(${n}::VARCHAR[]))",
    bucket=f"{AT} // {{width}} * {{width}}",
    aggregates={
        "count": "count(*){filter}",
        "total": "coalesce(sum({of}){filter}, 0)",
        "mean": "avg({of}){filter}",
        "largest": "max({of}){filter}",
        "quantile": "(quantile_cont({of}, {ranks}){filter})[{place}]",  # one list of values for all quantiles of them
    },
    has="contains({column}, {text})",
    number="md5_number_lower({text})",
    hashed="count(*), coalesce(bit_xor(hash({columns})), 0)",
    newest=f"QUALIFY row_number() OVER (PARTITION BY {{of}} ORDER BY {AT} DESC) <= {{limit}} ORDER BY {AT} DESC",
)  # fmt: skip

PROGRESS = "SELECT grain, until_us FROM progress"
ADVANCE = (
    "INSERT INTO progress VALUES (?, ?) ON CONFLICT DO UPDATE SET until_us = greatest(until_us, excluded.until_us)"
)


def schema(tables: Iterable[Table]) -> list[str]:
    """Statements that make what is not there, and add the columns that files of before do not have."""
    statements = [
        "CREATE TABLE IF NOT EXISTS progress (grain VARCHAR PRIMARY KEY, until_us BIGINT)",
        "CREATE TABLE IF NOT EXISTS late (mark VARCHAR, at_us BIGINT)",
    ]
    for table in tables:
        columns = {column.name: _column(column) for column in table.columns}
        statements.append(_made(table.name, columns.values()))
        measures = {one.name: f"{one.name} {DUCKDB.measured[one.how]}" for one in table.measures}
        rolled = [measures.get(name) or columns[name] for name in table.rolled]
        statements += [_made(rollup.table, rolled) for rollup in table.rollups]
        for column in (column for column in table.columns if column.added):
            held = [table.name, *(one.table for one in table.rollups if column.name in table.rolled)]
            statements += [f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {columns[column.name]}" for name in held]
    return statements


def _column(column: Column) -> str:
    return f"{column.name} {DUCKDB.types[column.kind]}" + (" DEFAULT ''" if column.added else "")


def _made(name: str, columns: Iterable[str]) -> str:
    return f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)})"


def to_parquet(query: str, target: Path) -> str:
    """Write the results of a query as the archive keeps them."""
    return f"COPY ({query}) TO {quoted(target)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)"


def quoted(text: str | Path) -> str:
    return "'" + str(text).replace("'", "''") + "'"
