"""Results by the hundred million: how fast a 90-day page asks both engines, and what a million results take on disk.

The results are made by SQL within each engine, into the product's own tables and in the order of time, as probers
bring them; roll-ups are made by the product's own statements. ClickHouse is chdb, its embedded engine, behind the
official client. BENCH_RESULTS says how many (default 5 million); `python -m bench telemetry --results 100000000`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_most, hand_over, percentile, told

_RESULTS = int(os.environ.get("BENCH_RESULTS") or 5_000_000)
_DAYS = 90
_DAY = 86_400
_EVERY = 60  # seconds
_MONITORS = max(1, _RESULTS // (_DAYS * _DAY // _EVERY))
_PAGES = 60
_KEPT = {"raw_days": 400, "minute_days": 14, "hour_days": 100, "day_days": 1100}
_NOW = float(int(time.time()) // _DAY * _DAY + 3 * 3600)

# One day of results; a thousandth of them fail. `{n}` counts them, `{h}` is a number from it without order.
_ROW = {
    "uid": "{md5}",
    "at_us": "{day} + ({n} // {monitors}) * {every} + ({n} % {monitors}) * {step} + {h} % 50000",
    "verdict": "CASE WHEN {h} % 1000 = 0 THEN 'down' ELSE 'up' END",
    "duration": "0.05 + ({h} % 100000) / 1000000.0",
    "charge": "CASE WHEN {h} % 1000 = 0 THEN 'down' ELSE 'up' END",
    "charged": "60.0",
    "lag": "({h} % 977) / 1000000.0",
    "lookup": "({h} % 5003) / 1000000.0",
    "connect": "({h} % 10007) / 1000000.0",
    "tls": "({h} % 20011) / 1000000.0",
    "wait": "({h} % 50021) / 1000000.0",
    "transfer": "({h} % 7001) / 1000000.0",
    "code": "CASE WHEN {h} % 1000 = 0 THEN 'expect.status' ELSE '' END",
    "message": "CASE WHEN {h} % 1000 = 0 THEN 'the status is 503, expected 200-299' ELSE '' END",
    "evidence": """CASE WHEN {h} % 1000 = 0 THEN '{{"status": 503, "address": "203.0.113.10"}}'
        ELSE '{{"status": 200, "address": "203.0.113.10"}}' END""",
    "location": "''",
}


def measure() -> list[Figure]:
    figures = [told("results", _MONITORS * _DAYS * _DAY // _EVERY, "rows"), told("monitors", _MONITORS, "")]
    for name, opened in (("DuckDB", _duckdb), ("ClickHouse", _clickhouse)):
        with (
            tempfile.TemporaryDirectory(prefix="mainstay-bench-telemetry-", dir=os.environ.get("BENCH_DISK")) as folder,
            opened(Path(folder)) as (store, make),
        ):
            figures += _engine(name, store, make)
    return figures


def _engine(name: str, store: Any, make: Callable[[int], None]) -> list[Figure]:
    begin = int(_NOW // _DAY - _DAYS) * _DAY
    began = time.perf_counter()
    for number in range(_DAYS):
        make((begin + number * _DAY) * 1_000_000)
        if number % 10 == 9:
            print(f"{name}: {number + 1} days, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    made = time.perf_counter() - began
    raw = _settled(store)
    began = time.perf_counter()
    store.columns._engine.advance(
        "minute", int((_NOW - 14 * _DAY) // _DAY * _DAY) * 1_000_000
    )  # older minutes are not kept
    store.maintain(_NOW)
    rolled = time.perf_counter() - began
    everything = _settled(store)
    millions = _MONITORS * _DAYS * _DAY / _EVERY / 1e6
    return [
        told(f"{name}: made in the engine", made, "s"),
        told(f"{name}: rolled up by hour and day, and 14 days by minute", rolled, "s"),
        told(f"{name}: disk per million results", raw / millions / 1e6, "MB"),
        told(f"{name}: disk of the roll-ups of 90 days, per million", max(0, everything - raw) / millions / 1e6, "MB"),
        *_asked(name, store),
    ]


def _settled(store: Any) -> int:
    """Bytes on disk once what is in flight is written."""
    if store.vitals().engine == "duckdb":
        store.columns.reading().execute("CHECKPOINT")
    else:
        store.columns._engine._link.command("SYSTEM FLUSH LOGS")
    store.columns._engine.measure()
    return int(store.vitals().bytes_on_disk)


def _asked(name: str, store: Any) -> list[Figure]:
    """What the page of one monitor asks for 90 days, and a status page of 50 of them."""
    one: list[float] = []
    many: list[float] = []
    for number in range(_PAGES):
        uid = _uid(number * 7919 % _MONITORS)
        began = time.perf_counter()
        store.latest(uid, 25)
        points = store.series(uid, _NOW - 90 * _DAY, _NOW, 180)
        for days in (1, 7, 30, 90):
            store.uptimes([uid], _NOW - days * _DAY, _NOW)
        store.bars([uid], 90, _NOW)
        one.append((time.perf_counter() - began) * 1000)
        if sum(point.checks for point in points) < 0.9 * _DAYS * _DAY / _EVERY:
            raise RuntimeError(f"{name} answered with {len(points)} points")
    for number in range(_PAGES // 3):
        began = time.perf_counter()
        store.bars([_uid((number + step) % _MONITORS) for step in range(50)], 90, _NOW)
        many.append((time.perf_counter() - began) * 1000)
    return [
        at_most(f"{name}: all queries of a monitor's page of 90 days, p95", percentile(one[1:], 0.95), 300, "ms"),
        told(f"{name}: the same, p50", percentile(one[1:], 0.5), "ms"),
        at_most(f"{name}: 90 bars of 50 monitors, p95", percentile(many[1:], 0.95), 300, "ms"),
    ]


def _uid(number: int) -> str:
    import hashlib

    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def _columns(**words: object) -> str:
    return ", ".join(f"{value.format(**words)} AS {name}" for name, value in _ROW.items())


def _a_day() -> dict[str, object]:
    return {"monitors": _MONITORS, "every": _EVERY * 10**6, "step": _EVERY * 10**6 // _MONITORS}


@contextmanager
def _duckdb(folder: Path) -> Iterator[tuple[Any, Callable[[int], None]]]:
    from mainstay.watch.results.results import Results

    store = Results.embedded(folder / "telemetry.duckdb", days=_KEPT)

    def make(day: int) -> None:
        columns = _columns(n="n", h=f"(hash(n + {day // 10**6}) % 1000000007)::BIGINT", day=day,
                           md5=f"md5((n % {_MONITORS})::VARCHAR)", **_a_day())  # fmt: skip
        count = _MONITORS * _DAY // _EVERY
        store.columns.reading().execute(
            f"INSERT INTO sample SELECT {columns} FROM (SELECT range AS n FROM range({count}))"
        )

    try:
        yield store, make
    finally:
        store.close()


@contextmanager
def _clickhouse(folder: Path) -> Iterator[tuple[Any, Callable[[int], None]]]:
    import clickhouse_connect

    from mainstay.store.columns.clickhouse_engine import ClickHouseEngine
    from mainstay.store.columns.clickhouse_link import SETTINGS, Link
    from mainstay.store.columns.columns import Columns
    from mainstay.watch.results.results import Results
    from mainstay.watch.results.tables import TABLES

    def connect(database: str) -> Any:
        path = str(folder / "chdb")
        return clickhouse_connect.get_client(interface="chdb", path=path, database=database, settings=dict(SETTINGS))

    link = Link(connect, "default", tables=TABLES)
    store = Results(Columns(ClickHouseEngine(link, TABLES), TABLES, _KEPT))

    def make(day: int) -> None:
        columns = _columns(n="n", h=f"toInt64(cityHash64(n + {day // 10**6}) % 1000000007)", day=day,
                           md5=f"lower(hex(MD5(toString(n % {_MONITORS}))))", **_a_day())  # fmt: skip
        columns = columns.replace("(n // ", "intDiv(n, ") if "//" in columns else columns
        count = _MONITORS * _DAY // _EVERY
        numbers = f"(SELECT toInt64(number) AS n FROM numbers({count}))"
        link.command(f"INSERT INTO sample ({', '.join(_ROW)}) SELECT {columns} FROM {numbers}")

    try:
        yield store, make
    finally:
        store.close()


if __name__ == "__main__":
    hand_over(measure())
