"""Heartbeats for `mainstay status`, by plain SQL: booting Django takes longer than people wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mainstay.kernel.clock import to_iso
from mainstay.store.glance import Glance

STATES = ("down", "unknown", "up", "new", "paused")
_WRONG = """
SELECT resource.name, heartbeat.state, heartbeat.since, heartbeat.reason
FROM heartbeat JOIN resource ON resource.uid = heartbeat.uid
WHERE heartbeat.state IN ('down', 'unknown') ORDER BY heartbeat.state, resource.name
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One heartbeat. `since` is in epoch seconds."""

    name: str
    state: str
    since: float
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "state": self.state, "since": to_iso(self.since), "reason": self.reason}


def counts(database: Glance) -> dict[str, int]:
    found = dict(database.rows("SELECT state, count(*) FROM heartbeat GROUP BY state"))
    return {state: int(found.get(state, 0)) for state in STATES}


def wrong(database: Glance) -> list[Seen]:
    """Those that are down, then those of which nothing can be said."""
    return [Seen(*row) for row in database.rows(_WRONG)]
