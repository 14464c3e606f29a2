"""Slower than usual: one check against the same hour of past weeks, by robust statistics. Pure.

From the roll-ups of that hour and its two neighbours, in each of the past weeks:

    usual  = median of the hours' medians
    spread = sqrt(between² + within²)
             between: 1.4826 · median absolute deviation of the hours' medians (how the hours differ)
             within:  median of (p95 - p50) / 1.645 (how checks of one hour differ)
    limit  = usual + max(deviations · spread, at_least)

1.4826 and 1.645 make both equal the standard deviation where times are normally distributed; single bad hours or
weeks move neither. Neighbouring hours make up for a change of the clocks. With too little history there is no word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mainstay.kernel.probing import CheckResult
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from mainstay.watch.results.values import Point
    from mainstay.watch.spec import MonitorSpec

HOUR, WEEK = 3600.0, 7 * 86_400.0
_FEWEST_HOURS, _FEWEST_WEEKS, _FEWEST_CHECKS = 4, 2, 20
_MAD_TO_DEVIATION = 1.4826
_P95_OF_NORMAL = 1.645


@dataclass(frozen=True, slots=True)
class Rule:
    """As declared. `at_least` in seconds."""

    deviations: float = 4.0
    at_least: float = 0.1
    weeks: int = 4


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual in one hour of the week; seconds."""

    usual: float
    spread: float
    limit: float
    hours: int  # that it is made from
    weeks: int
    checks: int


def rule_of(spec: MonitorSpec) -> Rule | None:
    found = spec.slower_than_usual
    return None if found is None else Rule(found.deviations, found.at_least, found.weeks)


def hour_of(now: float) -> float:
    """Start of the hour that `now` lies in."""
    return now // HOUR * HOUR


def past_hours(hour: float, weeks: int) -> list[float]:
    """Starts of the same hour and its neighbours in each of the past weeks, oldest first."""
    return [hour - week * WEEK + step * HOUR for week in range(weeks, 0, -1) for step in (-1, 0, 1)]


def baseline(points: Sequence[Point], hour: float, rule: Rule) -> Baseline | None:
    """None while there is too little to compare with."""
    found = [(point.p50, point.p95, point) for point in points if point.p50 is not None and point.p95 is not None]
    weeks = {round((hour - point.at) / WEEK) for _, _, point in found}
    checks = sum(point.checks - point.failures for _, _, point in found)
    if len(found) < _FEWEST_HOURS or len(weeks) < _FEWEST_WEEKS or checks < _FEWEST_CHECKS:
        return None
    usual = median(p50 for p50, _, _ in found)
    between = _MAD_TO_DEVIATION * median(abs(p50 - usual) for p50, _, _ in found)
    within = median(max(0.0, p95 - p50) for p50, p95, _ in found) / _P95_OF_NORMAL
    spread = math.hypot(between, within)
    limit = usual + max(rule.deviations * spread, rule.at_least)
    return Baseline(usual, spread, limit, len(found), len(weeks), checks)


def judged(result: CheckResult, known: Baseline) -> CheckResult:
    """The result, degraded if it was good and took too long. The numbers behind that go into its evidence."""
    if result.verdict != "up" or result.duration <= known.limit:
        return result
    times = result.duration / known.usual if known.usual > 0 else math.inf
    message = (
        f"it took {_shown(result.duration)}, {times:.2g} times the usual {_shown(known.usual)} of this hour "
        f"(limit {_shown(known.limit)}, from {counted(known.weeks, 'week')})"
    )
    evidence = {
        "median": round(known.usual, 6),
        "deviation": round(known.spread, 6),
        "limit": round(known.limit, 6),
        "hours": known.hours,
        "weeks": known.weeks,
        "checks": known.checks,
    }
    return replace(
        result,
        verdict="degraded",
        code="expect.slower_than_usual",
        message=message,
        evidence={**result.evidence, "usual": evidence},
    )


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"
