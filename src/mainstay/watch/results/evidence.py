"""How much evidence goes into the table: of one result, and of one monitor in an hour. Characters of JSON.

Results are read some 2,000 at a time, and all of those must fit into the store's limit of memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ROW = 16_000
HOUR = 2_000_000  # of one monitor; what comes after keeps short answers only
_SPARE = 500  # of a result of a monitor that has used up its hour
_TEXT = 1000  # of one answer in evidence that is cut
_CUT = "the rest was too long to keep"


class Allowance:
    """For the one thread that writes."""

    def __init__(self) -> None:
        self._hour = 0
        self._used: dict[str, int] = {}

    def evidence(self, uid: str, at: float, found: Mapping[str, Any]) -> str:
        """Evidence as JSON, cut to what this monitor may still write in this hour."""
        if not found:
            return ""
        if int(at) // 3600 != self._hour:
            self._hour = int(at) // 3600
            self._used.clear()
        used = self._used.get(uid, 0)
        text = bounded(found, ROW if used < HOUR else _SPARE)
        self._used[uid] = used + len(text)
        return text


def bounded(found: Mapping[str, Any], limit: int = ROW) -> str:
    """Evidence as JSON of at most `limit` characters: whole, or the first answers that fit, long ones cut."""
    text = json.dumps(found, ensure_ascii=False)
    if len(text) <= limit:
        return text
    kept: dict[str, Any] = {"cut": _CUT}
    left = limit - len(json.dumps(kept))
    for key, value in found.items():
        shown = value[:_TEXT] if isinstance(value, str) else value
        size = len(json.dumps({key: shown}, ensure_ascii=False))
        if size <= left:
            kept[key] = shown
            left -= size
    return json.dumps(kept, ensure_ascii=False)
