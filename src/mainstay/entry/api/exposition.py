"""The text format of Prometheus and OpenMetrics: families of samples to text. Pure.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4) and OpenMetrics 1.0.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_SUFFIX = {"counter": "_total", "info": "_info"}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass(slots=True)
class Family:
    """Samples of one name. `name` is without the suffix of its type: `_total` of a counter, `_info` of an info."""

    name: str
    help: str
    type: Literal["gauge", "counter", "info"] = "gauge"
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float, labels: Mapping[str, str] | None = None) -> Family:
        self.samples.append((labels or {}, value))
        return self


def accepts_openmetrics(accept: str) -> bool:
    """Whether an Accept header names OpenMetrics, as Prometheus' own does, without refusing it (q=0)."""
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind == "application/openmetrics-text":
            return not any(one.replace(" ", "") in ("q=0", "q=0.0") for one in parameters)
    return False


def render(families: Iterable[Family], *, openmetrics: bool = False) -> str:
    """The families in the order of their names; those without samples are left out."""
    lines: list[str] = []
    for family in sorted(families, key=lambda one: one.name):
        if family.samples:
            _render_family(family, lines, openmetrics=openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n" if lines else ""


def _render_family(family: Family, lines: list[str], *, openmetrics: bool) -> None:
    sample_name = family.name + _SUFFIX.get(family.type, "")
    # The older format knows no infos, and names a counter with its suffix everywhere.
    name = family.name if openmetrics else sample_name
    kind = family.type if openmetrics or family.type != "info" else "gauge"
    lines.append(f"# HELP {name} {family.help.translate(_ESCAPES if openmetrics else _HELP_ESCAPES)}")
    lines.append(f"# TYPE {name} {kind}")
    for labels, value in family.samples:
        lines.append(f"{sample_name}{format_labels(labels)} {format_value(value)}")


def format_labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"


def format_value(value: float) -> str:
    """`1`, `0.25`, `NaN`, `+Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
