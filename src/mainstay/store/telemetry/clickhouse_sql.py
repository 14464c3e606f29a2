"""Tables and statements of telemetry on a ClickHouse server.

Raw results are a MergeTree by the day: its log of deduplication knows the token of each insert, so that a batch that
is sent twice is there once. Roll-ups are made anew from raw results into a ReplacingMergeTree, where the row of the
later start wins: made twice, or by two nodes at once, they are the same. Times are integers as in DuckDB, and
partitions are whole numbers of days, so that what is past its time is dropped as a partition.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.store.telemetry.engine import Part, Piece
from mainstay.store.telemetry.rows import (
    CHARGES,
    DAY,
    GRAINS,
    PHASES,
    POINT_COLUMNS,
    ROLLED_COLUMNS,
    SAMPLE_COLUMNS,
    micro,
)

# Days in one partition; a table has about 8, 15, 16 and 40 of them.
PARTITION_DAYS = {"sample": 1, "by_minute": 1, "by_hour": 7, "by_day": 28}
_GRANULE = 1024  # rows of a roll-up that are read at once: one monitor has hundreds of them in a partition
_KNOWN_INSERTS = 10_000  # tokens that a table remembers: hours of a few nodes
CRASHED = 180  # seconds after which a node that noted late results and said no more is taken for dead

_FLOATS = ("duration", "charged", "lag", *PHASES)
_TYPES = {
    "uid": "String CODEC(ZSTD(1))",
    "at_us": "Int64 CODEC(Delta, ZSTD(1))",
    "verdict": "LowCardinality(String)",
    "charge": "LowCardinality(String)",
    "code": "LowCardinality(String)",
    "message": "String CODEC(ZSTD(3))",
    "evidence": "String CODEC(ZSTD(3))",
    "location": "LowCardinality(String)",
    "checks": "UInt32 CODEC(T64, ZSTD(1))",
    "failures": "UInt32 CODEC(T64, ZSTD(1))",
    "version": "UInt64 CODEC(Delta, ZSTD(1))",
    **dict.fromkeys(_FLOATS, "Float32 CODEC(ZSTD(1))"),
    **{f"s_{name}": "Float64 CODEC(ZSTD(1))" for name in CHARGES},
}
_MEASURED = dict.fromkeys(("mean", "p50", "p95", "maximum", *PHASES), "Nullable(Float32) CODEC(ZSTD(1))")
_ROLLED = ("uid", "at_us", *ROLLED_COLUMNS, "location")
ORDER = "(uid, location, at_us)"


def _table(name: str, columns: dict[str, str], engine: str, settings: str = "") -> str:
    declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    partition = f"PARTITION BY intDiv(at_us, {micro(PARTITION_DAYS[name] * DAY)})"
    return f"CREATE TABLE IF NOT EXISTS {name} ({declared}) ENGINE = {engine} {partition} ORDER BY {ORDER} {settings}"


SCHEMA = [
    _table(
        "sample",
        {name: _TYPES[name] for name in SAMPLE_COLUMNS},
        "MergeTree",
        f"SETTINGS non_replicated_deduplication_window = {_KNOWN_INSERTS}",
    ),
    *(
        _table(
            f"by_{grain}",
            {name: _MEASURED.get(name) or _TYPES[name] for name in (*_ROLLED, "version")},
            "ReplacingMergeTree(version)",
            f"SETTINGS index_granularity = {_GRANULE}",
        )
        for grain in GRAINS
    ),
    """CREATE TABLE IF NOT EXISTS progress (grain String, until_us UInt64)
        ENGINE = ReplacingMergeTree(until_us) ORDER BY grain""",
    # Which results came late: stage 1 is about to be written, 2 is written, 3 is rolled up.
    """CREATE TABLE IF NOT EXISTS late (mark String, at_us Int64, stage UInt8, noted DateTime('UTC') DEFAULT now())
        ENGINE = ReplacingMergeTree(stage) ORDER BY mark TTL noted + INTERVAL 30 DAY""",
]

_AMONG = "uid IN {uids:Array(String)}"
_SPAN = "at_us >= {start:Int64} AND at_us < {end:Int64}"
_WHOSE = f"uid = {{uid:String}} AND location = {{location:String}} AND {_SPAN}"
_SAMPLE = ", ".join(SAMPLE_COLUMNS)
_CHARGED = ("checks", "failures", *(f"s_{name}" for name in CHARGES))
# Of roll-ups: seconds that checks took which were no failures, and how many those are.
_SPENT = "coalesce(mean * (checks - failures), 0) AS spent, if(mean IS NULL, 0, checks - failures) AS measured"
_TIMED = (
    "sumIf(duration, verdict IN ('up', 'degraded')) AS spent, "
    "toUInt32(countIf(verdict IN ('up', 'degraded'))) AS measured"
)
_COUNTS = "toUInt32(count()) AS checks, toUInt32(countIf(verdict = 'down')) AS failures"

PROGRESS = "SELECT grain, toInt64(max(until_us)) FROM progress GROUP BY grain"
LATE = f"""SELECT mark, min(at_us) FROM late GROUP BY mark
    HAVING max(stage) = 2 OR (max(stage) = 1 AND max(noted) < now() - {CRASHED})"""
FIRST = "SELECT if(count() = 0, NULL, min(at_us)) FROM sample"
SAMPLES = f"SELECT {_SAMPLE} FROM sample WHERE {_WHOSE} ORDER BY at_us DESC LIMIT {{most:UInt32}}"
NEWEST_OF = (
    f"SELECT {_SAMPLE} FROM sample WHERE at_us >= {{start:Int64}} AND location = '' AND {_AMONG} "
    "ORDER BY at_us DESC LIMIT {most:UInt32} BY uid"
)
HOURS = (
    f"SELECT at_us, {', '.join(POINT_COLUMNS)} FROM by_hour FINAL "
    "WHERE uid = {uid:String} AND location = '' AND at_us IN {starts:Array(Int64)} ORDER BY at_us"
)
DAYS = (
    f"SELECT uid, at_us, checks, failures, {', '.join(f's_{name}' for name in CHARGES)}, {_SPENT} FROM by_day FINAL "
    f"WHERE {_SPAN} AND location = '' AND {_AMONG}"
)
PARTITIONS = """SELECT DISTINCT toInt64OrZero(partition_id) FROM system.parts
    WHERE database = currentDatabase() AND table = {table:String} AND active ORDER BY 1"""
SIZE = "SELECT toInt64(sum(bytes_on_disk)) FROM system.parts WHERE database = currentDatabase() AND active"


def _share(part: Part) -> str:
    number = "reinterpretAsUInt64(substring(MD5(uid), 9, 8))"
    return f" AND {number} % {int(part.shares)} = {int(part.number)}" if part.shares > 1 else ""


def content(part: Part) -> str:
    return f"SELECT toInt64(count()), groupBitXor(sipHash64({_SAMPLE})) FROM sample WHERE {_SPAN}{_share(part)}"


def export(part: Part) -> str:
    return f"SELECT {_SAMPLE} FROM sample WHERE {_SPAN}{_share(part)} ORDER BY {ORDER}"


def locations(table: str) -> str:
    return f"SELECT DISTINCT location FROM {table} WHERE uid = {{uid:String}} AND {_SPAN}"


def roll_up(grain: str) -> str:
    """Aggregate raw results of a span into `by_<grain>`; the version is the moment at which this began to read."""
    bucket = micro(GRAINS[grain])
    return f"""INSERT INTO by_{grain} ({", ".join((*_ROLLED, "version"))})
        SELECT uid, intDiv(at_us, {bucket}) * {bucket} AS bucket_us, {_COUNTS}, {_charged()}, {_latencies()}, location,
        toUnixTimestamp64Micro(now64(6)) FROM sample WHERE {_SPAN} GROUP BY uid, location, bucket_us"""


def points(table: str, width: int) -> str:
    if table == "sample":
        columns, source = f"{_COUNTS}, {_latencies()}", "sample"
    else:
        columns, source = _merged(), f"{table} FINAL"
    return f"""SELECT intDiv(at_us, {width}) * {width} AS bucket_us, {columns} FROM {source}
        WHERE {_WHOSE} GROUP BY bucket_us"""


def charged_seconds(pieces: Sequence[Piece]) -> str:
    sums = ", ".join(f"sum({name})" for name in (*_CHARGED, "spent", "measured"))
    return f"SELECT uid, {sums} FROM ({' UNION ALL '.join(_piece(*piece) for piece in pieces)}) GROUP BY uid"


def _piece(table: str, start: int, end: int) -> str:
    if table == "sample":
        columns, source, group = f"{_COUNTS}, {_charged()}, {_TIMED}", "sample", "GROUP BY uid"
    else:
        columns, source, group = ", ".join((*_CHARGED, _SPENT)), f"{table} FINAL", ""
    chosen = f"at_us >= {int(start)} AND at_us < {int(end)} AND location = ''"
    return f"SELECT uid, {columns} FROM {source} WHERE {chosen} AND {_AMONG} {group}"


def _charged() -> str:
    return ", ".join(f"sumIf(charged, charge = '{name}') AS s_{name}" for name in CHARGES)


def _latencies() -> str:
    """As in DuckDB: exact percentiles, interpolated; NULL where nothing was measured."""
    measured = "(duration, verdict IN ('up', 'degraded'))"
    phases = ", ".join(f"avgOrNullIf({phase}, {phase} > 0) AS m_{phase}" for phase in PHASES)
    return f"""avgOrNullIf{measured} AS mean, quantileExactInclusiveOrNullIf(0.5){measured} AS p50,
        quantileExactInclusiveOrNullIf(0.95){measured} AS p95, maxOrNullIf{measured} AS maximum, {phases}"""


def _merged() -> str:
    """POINT_COLUMNS of roll-ups: means by their checks, the worst of the percentiles."""
    weight = "sum(checks - failures)"
    means = ", ".join(f"sum({name} * (checks - failures)) / nullIf({weight}, 0)" for name in ("mean", "p50"))
    phases = ", ".join(f"avg({phase})" for phase in PHASES)
    return f"sum(checks), sum(failures), {means}, max(p95), max(maximum), {phases}"
