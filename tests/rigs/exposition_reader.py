"""A strict reader of Prometheus' text format and of OpenMetrics, for tests: what it accepts, Prometheus accepts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_SUFFIXES = {"counter": "_total", "info": "_info"}


@dataclass
class Read:
    help: str = ""
    type: str = ""
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)


def parse(text: str, *, openmetrics: bool = False) -> dict[str, Read]:
    """Families by name; AssertionError where the text breaks a rule of the format."""
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    if openmetrics:
        assert lines.pop() == "# EOF", "OpenMetrics ends with # EOF"
    families: dict[str, Read] = {}
    current = ""
    for line in lines:
        if line.startswith("# HELP "):
            current, _, said = line[7:].partition(" ")
            assert current not in families, f"{current} begins twice"
            assert re.fullmatch(_NAME, current)
            families[current] = Read(help=said)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current, "TYPE follows the HELP of its family"
            assert kind in ("gauge", "counter", "info") if openmetrics else kind in ("gauge", "counter")
            families[name].type = kind
        else:
            _read_sample(line, current, families[current], openmetrics=openmetrics)
    assert all(family.type and family.samples for family in families.values())
    return families


def _read_sample(line: str, family: str, read: Read, *, openmetrics: bool) -> None:
    found = _SAMPLE.fullmatch(line)
    assert found, f"not a sample: {line!r}"
    name, inside, written = found.groups()
    assert name == family + (_SUFFIXES.get(read.type, "") if openmetrics else "")
    if not openmetrics and read.type == "counter":
        assert name.endswith("_total")
    labels = _read_labels(inside or "")
    key = (name, tuple(sorted(labels.items())))
    assert key not in read.samples, f"the same series twice: {line}"
    read.samples[key] = math.nan if written == "NaN" else float(written)


def _read_labels(inside: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    at = 0
    while at < len(inside):
        found = _LABEL.match(inside, at)
        assert found, f"not a label: {inside[at:]!r}"
        assert found[1] not in labels
        labels[found[1]] = re.sub(r'\\["\\n]', lambda escape: _UNESCAPED[escape[0]], found[2])
        at = found.end()
        assert not found[3] or at < len(inside), "a comma at the end"
    return labels
