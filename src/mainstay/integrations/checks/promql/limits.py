"""Limits of a query's values (`> 80`, `== 0`), and the judgement on all series of an answer. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.kernel.jsonpath import Comparison, parse_comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.kernel.probing import Verdict

_SIGNS = (">", ">=", "<", "<=", "==", "!=")
_RANKS = {"up": 0, "degraded": 1, "down": 2}


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels as PromQL writes them, and its value (never NaN)."""

    labels: str
    value: float


@dataclass(frozen=True, slots=True)
class Judged:
    series: Series
    verdict: Verdict
    limit: str  # the one that is passed, as it was declared; empty when up


def parse_limit(text: str) -> Comparison:
    """ValueError unless it is an operator and a number."""
    found = parse_comparison(text.strip())
    number = isinstance(found.operand, int | float) and not isinstance(found.operand, bool)
    if found.operator not in _SIGNS or not text.strip().startswith(found.operator) or not number:
        raise ValueError(f"`{text[:40]}` is not a limit; write an operator and a number, such as `> 80` or `== 0`")
    return found


def judge(series: Sequence[Series], warn: Comparison | None, critical: Comparison | None) -> list[Judged]:
    """Every series with its verdict, the worst first; of equals the one furthest beyond."""
    judged = [_judge_one(one, warn, critical) for one in series]
    falling = (critical or warn) is not None and (critical or warn or parse_limit("> 0")).operator in ("<", "<=")

    def order(one: Judged) -> tuple[int, float]:
        return -_RANKS[one.verdict], one.series.value if falling else -one.series.value

    return sorted(judged, key=order)


def _judge_one(series: Series, warn: Comparison | None, critical: Comparison | None) -> Judged:
    if critical is not None and critical.holds(series.value):
        return Judged(series, "down", str(critical))
    if warn is not None and warn.holds(series.value):
        return Judged(series, "degraded", str(warn))
    return Judged(series, "up", "")


def shown_number(value: float) -> str:
    """`0.123457`, `1e+09`, `+Inf` as Prometheus writes it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.6g}"
