"""What a benchmark hands over: figures with their unit, what was asked and whether it was reached."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """`reached` is None where nothing was asked."""

    name: str
    value: float
    unit: str
    target: str = ""
    reached: bool | None = None


def at_most(name: str, value: float, limit: float, unit: str) -> Figure:
    return Figure(name, _short(value), unit, f"<= {limit:g} {unit}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str) -> Figure:
    return Figure(name, _short(value), unit, f">= {limit:g} {unit}", value >= limit)


def told(name: str, value: float, unit: str) -> Figure:
    return Figure(name, _short(value), unit)


def hand_over(figures: list[Figure]) -> None:
    """Print the figures as the JSON that `python -m bench` reads."""
    print(json.dumps([asdict(figure) for figure in figures]))


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile; `share` is 0..1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _short(value: float) -> float:
    return float(f"{value:.4g}")
