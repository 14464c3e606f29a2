"""Tables and statements of the embedded telemetry store.

Roll-ups keep exact percentiles of their bucket, because each is computed from raw results, which are
kept for longer (7 days) than the longest bucket (a day) needs to be complete.
"""

from __future__ import annotations

PHASES = ("lookup", "connect", "tls", "wait", "transfer")
CHARGES = ("up", "degraded", "down", "unknown", "paused", "maintenance")
GRAINS = {"minute": 60, "hour": 3600, "day": 86_400}
TABLES = ("sample", *(f"by_{grain}" for grain in GRAINS))

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
    # Files of before results had a location.
    *(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS location VARCHAR DEFAULT ''" for table in TABLES),
]

# A row's location: empty for the results that count for the monitor (port.py), and the reason why most reads say so.
ROLLED_COLUMNS = (
    "checks",
    "failures",
    *(f"s_{charge}" for charge in CHARGES),
    "mean",
    "p50",
    "p95",
    "maximum",
    *PHASES,
)


def roll_up(grain: str) -> str:
    """Aggregate raw results of [$1, $2) microseconds into `by_<grain>`."""
    bucket = GRAINS[grain] * 1_000_000
    return f"INSERT INTO by_{grain} {aggregate(f'at_us // {bucket} * {bucket}')}"


def aggregate(bucket: str, extra: str = "") -> str:
    """Select buckets of raw results between $1 and $2; `bucket` is the SQL of a row's bucket start."""
    charges = ", ".join(f"coalesce(sum(charged) FILTER (charge = '{name}'), 0) AS s_{name}" for name in CHARGES)
    phases = ", ".join(f"avg({phase}) FILTER ({phase} > 0) AS {phase}" for phase in PHASES)
    measured = "FILTER (verdict IN ('up', 'degraded'))"
    return f"""SELECT uid, {bucket} AS bucket_us, count(*) AS checks,
        count(*) FILTER (verdict = 'down') AS failures, {charges},
        avg(duration) {measured} AS mean, quantile_cont(duration, 0.5) {measured} AS p50,
        quantile_cont(duration, 0.95) {measured} AS p95, max(duration) {measured} AS maximum, {phases}, location
        FROM sample WHERE at_us >= $1 AND at_us < $2 {extra} GROUP BY ALL"""


def charged_seconds(table: str, *, raw: bool) -> str:
    """Sums of seconds per state for uids $3 of [$1, $2) from one table: uid, checks, failures, six sums."""
    if raw:
        sums = ", ".join(f"coalesce(sum(charged) FILTER (charge = '{name}'), 0)" for name in CHARGES)
        counts = "count(*), count(*) FILTER (verdict = 'down')"
    else:
        sums = ", ".join(f"sum(s_{name})" for name in CHARGES)
        counts = "sum(checks), sum(failures)"
    return f"""SELECT uid, {counts}, {sums} FROM {table}
        WHERE at_us >= $1 AND at_us < $2 AND location = '' AND uid IN (SELECT unnest($3::VARCHAR[])) GROUP BY uid"""
