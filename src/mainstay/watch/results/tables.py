"""What is kept of results in the columnar store: every single one, and roll-ups by minute, hour and day.

`charged` seconds before a result were spent in the state `charge`. A row's location is empty for results that count for
the monitor (values.py), which is why most reads ask for that.
"""

from __future__ import annotations

from mainstay.store.columns.table import DAY, Column, Measure, Rollup, Table, Upgrade

PHASES = ("lookup", "connect", "tls", "wait", "transfer")
CHARGES = ("up", "degraded", "down", "unknown", "paused", "maintenance")
TIMES = ("mean", "p50", "p95", "maximum", *PHASES)
CHARGED = ("checks", "failures", *(f"s_{charge}" for charge in CHARGES))
_GOOD = "verdict IN ('up', 'degraded')"
_MEASURED = "checks - failures"

SAMPLE = Table(
    name="sample",
    columns=(
        Column("uid", "name"),
        Column("at_us", "time"),
        Column("verdict", "word"),
        Column("duration", "real"),
        Column("charge", "word"),
        Column("charged", "real"),
        Column("lag", "real"),
        *(Column(phase, "real") for phase in PHASES),
        Column("code", "word"),
        Column("message", "text"),
        Column("evidence", "text"),
        Column("location", "word", added=True),
    ),
    order=("uid", "location"),
    kept="raw_days",
    measures=(
        Measure("checks", "count"),
        Measure("failures", "count", where="verdict = 'down'"),
        *(Measure(f"s_{charge}", "total", "charged", where=f"charge = '{charge}'") for charge in CHARGES),
        Measure("mean", "mean", "duration", where=_GOOD, weight=_MEASURED),
        Measure("p50", "quantile", "duration", where=_GOOD, weight=_MEASURED, rank=0.5),
        Measure("p95", "quantile", "duration", where=_GOOD, rank=0.95),
        Measure("maximum", "largest", "duration", where=_GOOD),
        *(Measure(phase, "mean", phase, where=f"{phase} > 0") for phase in PHASES),
    ),
    rollups=(
        Rollup("by_minute", "minute", 60, stride=3600, kept="minute_days", at_once=50_000, partition=1),
        Rollup("by_hour", "hour", 3600, stride=DAY, kept="hour_days", at_once=1_000_000, partition=7),
        Rollup("by_day", "day", DAY, stride=DAY, kept="day_days", at_once=1_500_000, partition=28),
    ),
    erased_by="uid",
    archived_as="results",
    full="drop",
    bare=True,
    upgrades=(Upgrade("pictures", "mainstay.watch.results.upgrade:take_out_pictures"),),
)
TABLES = (SAMPLE,)
