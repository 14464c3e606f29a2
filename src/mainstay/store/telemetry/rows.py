"""Rows of the tables as the port's values, the same for every engine.

Times are microseconds since the Unix epoch in tables and epoch seconds outside.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mainstay.store.telemetry.port import Point, Sample, Uptime

PHASES = ("lookup", "connect", "tls", "wait", "transfer")
CHARGES = ("up", "degraded", "down", "unknown", "paused", "maintenance")
GRAINS = {"minute": 60, "hour": 3600, "day": 86_400}
TABLES = ("sample", *(f"by_{grain}" for grain in GRAINS))
DAY = 86_400
_MESSAGE = 4000  # characters

# A row's location is empty for results that count for the monitor (port.py), which is why most reads ask for that.
COLUMNS = ("uid", "at_us", "verdict", "duration", "charge", "charged", "lag", *PHASES, "code", "message", "evidence")
SAMPLE_COLUMNS = (*COLUMNS, "location")
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
POINT_COLUMNS = ("checks", "failures", "mean", "p50", "p95", "maximum", *PHASES)

Row = tuple[Any, ...]


def micro(seconds: float) -> int:
    return int(seconds * 1_000_000)


def row_of(sample: Sample, evidence: str) -> Row:
    """In the order of SAMPLE_COLUMNS, with the evidence as JSON; text that is no UTF-8 is mended, because one such row
    would stop all others."""
    phase = sample.phases.get
    return (
        sample.uid,
        int(sample.at * 1_000_000),
        sample.verdict,
        float(sample.duration),
        sample.charge,
        float(sample.charged),
        float(sample.lag),
        *(float(phase(name, 0.0)) for name in PHASES),
        _sound(sample.code),
        _sound(sample.message[:_MESSAGE]),
        _sound(evidence),
        _sound(sample.location),
    )


def _sound(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def sample_of(row: Sequence[Any]) -> Sample:
    """row: SAMPLE_COLUMNS."""
    uid, at_us, verdict, duration, charge, charged, lag, *rest = row
    phases = {name: value for name, value in zip(PHASES, rest, strict=False) if value}
    code, message, evidence, location = rest[len(PHASES) :]
    return Sample(
        uid=uid,
        at=at_us / 1e6,
        verdict=verdict,
        duration=duration,
        charge=charge,
        charged=charged,
        lag=lag,
        phases=phases,
        code=code,
        message=message,
        evidence=json.loads(evidence) if evidence else {},
        location=location,
    )


def point_of(row: Sequence[Any]) -> Point:
    """row: bucket start in microseconds, then POINT_COLUMNS."""
    at, checks, failures, mean, p50, p95, maximum, *phases = row
    measured = {name: value for name, value in zip(PHASES, phases, strict=True) if value}
    return Point(at / 1e6, int(checks), int(failures), mean, p50, p95, maximum, measured)


def uptime_of(row: Sequence[float]) -> Uptime:
    """row: checks, failures, seconds per state in the order of CHARGES, the time of good checks, their number."""
    checks, failures, *seconds = row
    *seconds, spent, measured = seconds
    charged = {name: value for name, value in zip(CHARGES, seconds, strict=True) if value}
    return Uptime(charged, int(checks), int(failures), spent / measured if measured else None)
