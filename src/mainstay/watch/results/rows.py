"""Results as rows of their tables, and back. Times are microseconds in tables and epoch seconds outside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mainstay.store.columns.table import Row
from mainstay.watch.results.tables import CHARGES, PHASES
from mainstay.watch.results.values import Point, Sample, Uptime

_MESSAGE = 4000  # characters


def row_of(sample: Sample, evidence: str) -> Row:
    """In the order of SAMPLE, with the evidence as JSON; text that is no UTF-8 is mended, because one such row
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
    """row: SAMPLE."""
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
    """row: bucket start in microseconds, then checks, failures and tables.TIMES."""
    at, checks, failures, mean, p50, p95, maximum, *phases = row
    measured = {name: value for name, value in zip(PHASES, phases, strict=True) if value}
    return Point(at / 1e6, int(checks), int(failures), mean, p50, p95, maximum, measured)


def uptime_of(row: Sequence[float]) -> Uptime:
    """row: checks, failures, seconds per state in the order of CHARGES, the time of good checks, their number."""
    checks, failures, *seconds = row
    *seconds, spent, measured = seconds
    charged = {name: value for name, value in zip(CHARGES, seconds, strict=True) if value}
    return Uptime(charged, int(checks), int(failures), spent / measured if measured else None)
