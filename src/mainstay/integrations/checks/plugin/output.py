"""What a plugin prints, by the Monitoring Plugins Development Guidelines (monitoring-plugins.org/doc/guidelines.html).

TEXT | PERFORMANCE DATA
more text
more text | more performance data
more performance data
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

PERFORMANCE_LIMIT = 40  # values that are kept
# 'label'=value[unit];[warn];[crit];[min];[max], where a quote within a quoted label is written twice
_VALUE = re.compile(
    r"(?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>[^\s='|]+))="
    r"(?P<value>[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?|U)(?P<unit>[^\s;\d]{0,10})"
    r"(?P<limits>(?:;[^\s;]*){0,4};?)(?=\s|$)"
)
_LIMITS = ("warn", "critical", "min", "max")


class Output(NamedTuple):
    text: str  # the first line, without performance data
    more: str  # the lines after it
    performance: list[dict[str, Any]]  # label, value (None: not known), unit, and warn critical min max where given


def parse(printed: str) -> Output:
    lines = printed.replace("\r\n", "\n").strip("\n").split("\n")
    first, _, measured = lines[0].partition("|")
    more: list[str] = []
    found = [measured]
    within_measures = False
    for line in lines[1:]:
        if within_measures:
            found.append(line)
            continue
        text, bar, rest = line.partition("|")
        more.append(text.rstrip())
        if bar:
            within_measures = True
            found.append(rest)
    return Output(first.strip(), "\n".join(more).strip(), _performance(" ".join(found)))


def _performance(text: str) -> list[dict[str, Any]]:
    found = []
    for match in _VALUE.finditer(text):
        label = match["quoted"].replace("''", "'") if match["quoted"] else match["plain"]
        one: dict[str, Any] = {"label": label[:100], "value": _number(match["value"])}
        if match["unit"]:
            one["unit"] = match["unit"]
        limits = zip(_LIMITS, match["limits"].split(";")[1:], strict=False)
        found.append(one | {name: limit[:40] for name, limit in limits if limit})
        if len(found) == PERFORMANCE_LIMIT:
            break
    return found


def _number(text: str) -> float | None:
    """None for `U`, by which a plugin says that it could not tell; decimal commas come from translated systems."""
    return None if text == "U" else float(text.replace(",", "."))
