"""Monitors for the command line, by plain SQL: booting Django takes longer than people wait for `status`.

The columns are those of watch.models.MonitorStateRow; tests/watch/test_watch_glance.py keeps them so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mainstay.kernel.clock import to_iso
from mainstay.store.glance import Glance

STATES = ("down", "degraded", "unknown", "up", "maintenance", "paused")


@dataclass(frozen=True, slots=True)
class Seen:
    """One monitor. Times are epoch seconds (0: never), lengths seconds."""

    name: str
    kind: str
    address: str
    severity: str
    state: str
    since: float
    reason: str
    code: str
    message: str
    suppressed_by: str
    paused_by: str
    window: str
    flapping: bool
    last_at: float
    last_duration: float
    labels: dict[str, str]
    tags: list[str]

    def as_dict(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in self.__slots__}
        since, last = to_iso(self.since), to_iso(self.last_at) if self.last_at else None
        return found | {"since": since, "last_at": last, "last_duration": round(self.last_duration, 6)}


_COLUMNS = (
    "name, kind, address, severity, state, since, reason, code, message, suppressed_by, paused_by, "
    '"window", flapping, last_at, last_duration, labels, tags'
)


def counts(database: Glance) -> dict[str, int]:
    found = dict(database.rows("SELECT state, count(*) FROM monitor_state GROUP BY state"))
    return {state: int(found.get(state, 0)) for state in STATES}


def monitors(database: Glance, *, text: str = "", state: str = "", tag: str = "", label: str = "") -> list[Seen]:
    """What is wrong first, then by name. `text` fits name, address, tags and labels; `label` is `name=value`."""
    query, values = f"SELECT {_COLUMNS} FROM monitor_state WHERE 1=1", []  # noqa: S608  the columns are ours
    for word in text.lower().split():
        query += " AND search LIKE ? ESCAPE '\\'"
        values.append(f"%{_escaped(word)}%")
    if state:
        query += " AND state = ?"
        values.append(state)
    rows = [_seen(row) for row in database.rows(query + " ORDER BY rank, name", values)]
    name, _, value = label.partition("=")
    return [
        one
        for one in rows
        if (not tag or tag in one.tags) and (not label or one.labels.get(name, "" if value else None) == value)
    ]


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _seen(row: tuple[Any, ...]) -> Seen:
    *plain, labels, tags = row
    plain[12] = bool(plain[12])
    values: tuple[Any, ...] = (*plain, json.loads(labels), json.loads(tags))
    return Seen(*values)
