"""Lengths of time as text, without pydantic, so that probers can read them: `30s`, `1h30m`, `250ms`."""

from __future__ import annotations

import math
import re
from functools import lru_cache

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_LONGEST = 1e15  # seconds, far above every bound; larger whole numbers do not fit a float
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def parse_duration(text: object) -> float:
    """Seconds for `1h30m`, `250ms`; a bare number is seconds. ValueError if it is neither."""
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        raise ValueError("a duration is text such as 30s, 5m, 1h30m or 250ms")
    if isinstance(text, int | float):
        return float(text) if abs(text) < _LONGEST else math.inf
    if len(text) > 100:
        raise ValueError("a duration is text such as 30s, 5m, 1h30m or 250ms")
    return _parse_text(text)


@lru_cache(maxsize=1024)  # a file of thousands of monitors holds a handful of different ones
def _parse_text(text: str) -> float:
    compact = text.strip().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        return float(compact)
    if not _WHOLE.fullmatch(compact):
        raise ValueError(f"`{text[:40]}` is not a duration such as 30s, 5m, 1h30m or 250ms")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))


@lru_cache(maxsize=1024)
def format_duration(seconds: float) -> str:
    """The shortest exact form: 90 -> `1m30s`, 0.25 -> `250ms`, 172800 -> `2d`."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_UNITS[unit] * 1000)
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
