"""The text format of Prometheus and OpenMetrics: families of samples to text. Pure.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4) and OpenMetrics 1.0.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Kind = Literal["gauge", "counter", "info"]

_SPECIAL = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
_SUFFIX = {"counter": "_total", "info": "_info"}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass(slots=True)
class Family:
    """Samples of one name. `name` is without the suffix of its type: `_total` of a counter, `_info` of an info.

    Labels that many samples have in common are given as `label_text` makes them, which saves most of the time.
    """

    name: str
    help: str
    type: Kind = "gauge"
    samples: list[tuple[str, float]] = field(default_factory=list)  # labels as text, value

    def add(self, value: float, labels: Mapping[str, str] | str = "") -> Family:
        self.samples.append((labels if isinstance(labels, str) else label_text(labels), value))
        return self


@dataclass(frozen=True, slots=True)
class Metric:
    """What a capability says of itself on `/api/metrics`; `name` is without `mainstay_` and the suffix of its type."""

    name: str
    help: str
    type: Kind = "gauge"


class Figures:
    """The values of the metrics that one capability declares. KeyError for one that it does not declare."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._families = {one.name: Family(f"mainstay_{one.name}", one.help, one.type) for one in metrics}
        self._others: list[Family] = []

    def say(self, name: str, value: float | None, labels: Mapping[str, str] | str = "") -> None:
        """What is not known (None) is not shown."""
        family = self._families[name]
        if value is not None:
            family.add(float(value), labels)

    def each(self, name: str, label: str, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self.say(name, value, {label: key})

    def besides(self, families: Iterable[Family]) -> None:
        """Some with names of their own, such as those of another tool."""
        self._others += families

    def families(self) -> list[Family]:
        return [*self._families.values(), *self._others]


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


def answer(accept: str, families: Iterable[Family]) -> tuple[str, str]:
    """(content type, body) for an Accept header."""
    openmetrics = accepts_openmetrics(accept)
    return (OPENMETRICS_TYPE if openmetrics else TEXT_TYPE), render(families, openmetrics=openmetrics)


def _render_family(family: Family, lines: list[str], *, openmetrics: bool) -> None:
    sample_name = family.name + _SUFFIX.get(family.type, "")
    # The older format knows no infos, and names a counter with its suffix everywhere.
    name = family.name if openmetrics else sample_name
    kind = family.type if openmetrics or family.type != "info" else "gauge"
    lines.append(f"# HELP {name} {family.help.translate(_ESCAPES if openmetrics else _HELP_ESCAPES)}")
    lines.append(f"# TYPE {name} {kind}")
    for labels, value in family.samples:
        shown = f"{sample_name}{{{labels}}}" if labels else sample_name
        lines.append(f"{shown} {format_value(value)}")


def label_text(labels: Mapping[str, str]) -> str:
    """`a="b",c="d"`, escaped."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in labels.items()])


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES) if "\\" in value or '"' in value or "\n" in value else value


def format_value(value: float) -> str:
    """`1`, `0.25`, `NaN`, `+Inf`."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else _SPECIAL.get(text, text)
