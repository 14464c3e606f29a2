"""Tables and statements of the embedded telemetry store, and of its Parquet files.

Roll-ups keep exact percentiles of their bucket, because each is computed from raw results, which are
kept for longer (7 days) than the longest bucket (a day) needs to be complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mainstay.store.telemetry.engine import Part, Piece
from mainstay.store.telemetry.rows import (
    CHARGES,
    GRAINS,
    PHASES,
    POINT_COLUMNS,
    ROLLED_COLUMNS,
    SAMPLE_COLUMNS,
    TABLES,
    micro,
)

_PHASE_COLUMNS = ", ".join(f"{phase} FLOAT" for phase in PHASES)
_CHARGE_COLUMNS = ", ".join(f"s_{charge} DOUBLE" for charge in CHARGES)

# Times are microseconds since the Unix epoch: integers compress to a few bits a row here.
SCHEMA = [
    f"""CREATE TABLE IF NOT EXISTS sample (
        uid VARCHAR, at_us BIGINT, verdict VARCHAR, duration FLOAT, charge VARCHAR, charged FLOAT, lag FLOAT,
        {_PHASE_COLUMNS}, code VARCHAR, message VARCHAR, evidence VARCHAR, location VARCHAR DEFAULT '')""",
    *(
        f"""CREATE TABLE IF NOT EXISTS by_{grain} (
        uid VARCHAR, at_us BIGINT, checks UINTEGER, failures UINTEGER, {_CHARGE_COLUMNS},
        mean FLOAT, p50 FLOAT, p95 FLOAT, maximum FLOAT, {_PHASE_COLUMNS}, location VARCHAR DEFAULT '')"""
        for grain in GRAINS
    ),
    "CREATE TABLE IF NOT EXISTS progress (grain VARCHAR PRIMARY KEY, until_us BIGINT)",
    "CREATE TABLE IF NOT EXISTS late (mark VARCHAR, at_us BIGINT)",
    # Files of before results had a location.
    *(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS location VARCHAR DEFAULT ''" for table in TABLES),
]

_AMONG = "uid IN (SELECT unnest($3::VARCHAR[]))"
_SAMPLE = ", ".join(SAMPLE_COLUMNS)
_CHARGED = ("checks", "failures", *(f"s_{name}" for name in CHARGES))
# Of roll-ups: seconds that checks took which were no failures, and how many those are.
_SPENT = (
    "coalesce(mean * (checks - failures), 0) AS spent, "
    "CASE WHEN mean IS NULL THEN 0 ELSE checks - failures END AS measured"
)
_TIMED = (
    "coalesce(sum(duration) FILTER (verdict IN ('up', 'degraded')), 0) AS spent, "
    "count(*) FILTER (verdict IN ('up', 'degraded')) AS measured"
)
_COUNTS = "count(*) AS checks, count(*) FILTER (verdict = 'down') AS failures"

ADVANCE = (
    "INSERT INTO progress VALUES (?, ?) ON CONFLICT DO UPDATE SET until_us = greatest(until_us, excluded.until_us)"
)
LOCATIONS = "SELECT DISTINCT location FROM {table} WHERE uid = ? AND at_us >= ? AND at_us < ?"
HOURS = (
    f"SELECT at_us, {', '.join(POINT_COLUMNS)} FROM by_hour "
    "WHERE uid = ? AND location = '' AND at_us IN (SELECT unnest(?::BIGINT[])) ORDER BY at_us"
)
DAYS = (
    f"SELECT uid, at_us, checks, failures, {', '.join(f's_{name}' for name in CHARGES)}, {_SPENT} FROM by_day "
    f"WHERE at_us >= $1 AND at_us < $2 AND location = '' AND {_AMONG}"
)
NEWEST_OF = (
    f"SELECT {_SAMPLE} FROM sample WHERE at_us >= ? AND location = '' AND uid IN (SELECT unnest(?::VARCHAR[])) "
    "QUALIFY row_number() OVER (PARTITION BY uid ORDER BY at_us DESC) <= ? ORDER BY at_us DESC"
)
RAW_DAYS = "SELECT DISTINCT at_us // {day} * {day} AS day FROM sample WHERE at_us < ? ORDER BY day".replace(
    "{day}", str(micro(86_400))
)


def to_parquet(query: str, target: Path) -> str:
    """Write the results of a query as the archive keeps them: sorted, so that one monitor's lie together."""
    quoted = str(target).replace("'", "''")
    return (
        f"COPY (SELECT {_SAMPLE} FROM ({query}) ORDER BY uid, location, at_us) TO '{quoted}' "
        "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)"
    )


def samples(source: str = "sample") -> str:
    """The newest $5 results of uid $1 and location $2 in [$3, $4) microseconds; `source` is a table or a function."""
    return (
        f"SELECT {_SAMPLE} FROM {source} WHERE uid = $1 AND location = $2 AND at_us >= $3 AND at_us < $4 "
        "ORDER BY at_us DESC LIMIT $5"
    )


def _share(part: Part) -> str:
    return f" AND md5_number_lower(uid) % {int(part.shares)} = {int(part.number)}" if part.shares > 1 else ""


def part_of(part: Part) -> str:
    end = part.day + micro(86_400)
    return f"SELECT * FROM sample WHERE at_us >= {int(part.day)} AND at_us < {int(end)}{_share(part)}"


def content(source: str, part: Part | None = None) -> str:
    """Rows and a checksum of them; none of [$1, $2) gives 0, 0."""
    chosen = f"at_us >= $1 AND at_us < $2{_share(part) if part else ''}"
    return f"SELECT count(*), coalesce(bit_xor(hash({_SAMPLE})), 0) FROM {source} WHERE {chosen}"


def roll_up(grain: str, share: int, shares: int) -> str:
    """Aggregate raw results of [$1, $2) microseconds into `by_<grain>`, of one of so many shares of the monitors."""
    bucket = micro(GRAINS[grain])
    columns = ", ".join(("uid", "at_us", *ROLLED_COLUMNS, "location"))
    return f"""INSERT INTO by_{grain} ({columns})
        SELECT uid, at_us // {bucket} * {bucket} AS bucket_us, {_COUNTS}, {_charged()},
        {_latencies()}, location FROM sample WHERE at_us >= $1 AND at_us < $2
        AND hash(uid) % {shares} = {share} GROUP BY uid, location, bucket_us"""


def points(source: str, width: int, *, raw: bool) -> str:
    """Buckets of uid $1 and location $2 in [$3, $4): start and POINT_COLUMNS."""
    columns = f"{_COUNTS}, {_latencies()}" if raw else _merged()
    return f"""SELECT at_us // {width} * {width} AS bucket_us, {columns} FROM {source}
        WHERE uid = $1 AND location = $2 AND at_us >= $3 AND at_us < $4 GROUP BY bucket_us"""


def charged_seconds(pieces: Sequence[Piece]) -> str:
    """Sums of seconds per state for uids $1, of all pieces in one reading: for `rows.uptime_of`."""
    sums = ", ".join(f"sum({name})" for name in (*_CHARGED, "spent", "measured"))
    return f"SELECT uid, {sums} FROM ({' UNION ALL '.join(_piece(*piece) for piece in pieces)}) GROUP BY uid"


def _piece(table: str, start: int, end: int) -> str:
    if table == "sample":
        columns, group = f"{_COUNTS}, {_charged()}, {_TIMED}", "GROUP BY uid"
    else:
        columns, group = ", ".join((*_CHARGED, _SPENT)), ""
    chosen = f"at_us >= {int(start)} AND at_us < {int(end)} AND location = ''"
    return f"SELECT uid, {columns} FROM {table} WHERE {chosen} AND uid IN (SELECT unnest($1::VARCHAR[])) {group}"


def _charged() -> str:
    return ", ".join(f"coalesce(sum(charged) FILTER (charge = '{name}'), 0) AS s_{name}" for name in CHARGES)


def _latencies() -> str:
    measured = "FILTER (verdict IN ('up', 'degraded'))"
    phases = ", ".join(f"avg({phase}) FILTER ({phase} > 0) AS {phase}" for phase in PHASES)
    both = f"(quantile_cont(duration, [0.5, 0.95]) {measured})"  # one list of durations, not two
    return f"""avg(duration) {measured} AS mean, {both}[1] AS p50, {both}[2] AS p95,
        max(duration) {measured} AS maximum, {phases}"""


def _merged() -> str:
    """POINT_COLUMNS of roll-ups: means by their checks, the worst of the percentiles."""
    weight = "sum(checks - failures)"
    means = ", ".join(f"sum({name} * (checks - failures)) / nullif({weight}, 0)" for name in ("mean", "p50"))
    return f"sum(checks), sum(failures), {means}, max(p95), max(maximum), " + ", ".join(
        f"avg({phase})" for phase in PHASES
    )
