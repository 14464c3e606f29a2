"""Strict JSON for what is JSON but not YAML: no duplicate keys, no NaN, bounded depth and numbers."""

from __future__ import annotations

import json
import math
from typing import Any

from mainstay.store.resources.scalars import CONTROL

_DEPTH = 40
_NODES = 1_000_000


def read_json(text: str) -> Any:
    """The data, or None if the text is not JSON that can be taken exactly as it stands, or has too many values."""
    if holds_more(text, _NODES):
        return None
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return data if is_plain(data) else None


def holds_more(text: str, nodes: int) -> bool:
    """Whether JSON may have more values than this: told by its marks, so before anything of it is built."""
    return sum(map(text.count, "[{,:")) > nodes


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def is_plain(value: Any, depth: int = _DEPTH) -> bool:
    """Whether a value is made of mappings with text keys, lists, clean text, exact numbers, true, false, null."""
    if isinstance(value, dict):
        return depth > 0 and all(
            isinstance(key, str) and not CONTROL.search(key) and is_plain(inner, depth - 1)
            for key, inner in value.items()
        )
    if isinstance(value, list | tuple):
        return depth > 0 and all(is_plain(inner, depth - 1) for inner in value)
    if isinstance(value, str):
        return CONTROL.search(value) is None
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63)
