"""Sets of HTTP status codes as people write them: 200, `200-299`, `200-299,404`, `2xx`, and lists of these."""

from __future__ import annotations

import re
from typing import Any

_PART = re.compile(r"(?P<low>[1-5]\d\d)(?:\s*-\s*(?P<high>[1-5]\d\d))?|(?P<hundred>[1-5])[xX]{2}")

Ranges = tuple[tuple[int, int], ...]


def parse_statuses(written: Any) -> Ranges:
    """Inclusive ranges; ValueError if it is none of these forms."""
    if isinstance(written, list | tuple):
        return tuple(part for item in written for part in parse_statuses(item))
    if isinstance(written, bool) or not isinstance(written, int | str):
        raise ValueError("a status is a number such as 200, a range such as 200-299, or a list of these")
    return tuple(_range(part.strip()) for part in str(written).split(","))


def _range(text: str) -> tuple[int, int]:
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(f"`{text[:40]}` is not a status such as 200, a range such as 200-299, or 2xx")
    if found["hundred"]:
        first = int(found["hundred"]) * 100
        return first, first + 99
    low, high = int(found["low"]), int(found["high"] or found["low"])
    if high < low:
        raise ValueError(f"`{text[:40]}` ends before it begins")
    return low, high


def describe(ranges: Ranges) -> str:
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
