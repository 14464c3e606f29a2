"""What heartbeats, and the door that takes their pings, say to Prometheus."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.frames.exposition import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainstay.frames.exposition import Figures
    from mainstay.store.running import Running

METRICS = (
    Metric("heartbeats", "Heartbeats by state."),
    Metric("heartbeat_state", "1 for the state that the heartbeat is in."),
    Metric("heartbeat_last_ping_seconds", "When the newest ping came, in unixtime."),
    Metric("heartbeat_run_seconds", "How long the newest finished run took."),
    Metric("pings_spool_waiting", "Pings spooled on this disk, not yet in the database."),
    Metric("pings_spooled", "Pings spooled to disk since start.", "counter"),
    Metric("pings_spool_refused", "Pings refused because the spool was full.", "counter"),
)


@dataclass(frozen=True, slots=True)
class HeartbeatSnapshot:
    """One heartbeat. `last_ping` is epoch seconds, None before the first."""

    name: str
    state: str
    last_ping: float | None = None
    last_duration: float | None = None  # seconds of the newest finished run


async def collect(figures: Figures, running: Running) -> None:
    from mainstay.heartbeats.doors.pings import PingApp

    door = running.part(PingApp)
    if door is not None and door.spool is not None:  # while the database is away
        found = door.spool.figures()
        figures.say("pings_spool_waiting", found["waiting"])
        figures.say("pings_spooled", found["taken"])
        figures.say("pings_spool_refused", found["refused"])
    fill(figures, await asyncio.to_thread(snapshots))


def snapshots() -> list[HeartbeatSnapshot]:
    """From the database."""
    from django.db import close_old_connections

    from mainstay.heartbeats.queries import heartbeats

    close_old_connections()
    return [HeartbeatSnapshot(one.name, one.state, one.last_ping, one.last_duration) for one in heartbeats()]


def fill(figures: Figures, heartbeats: Iterable[HeartbeatSnapshot]) -> None:
    counts: Counter[str] = Counter()
    for one in heartbeats:
        counts[one.state] += 1
        labels = {"heartbeat": one.name}
        figures.say("heartbeat_state", 1, {**labels, "state": one.state})
        figures.say("heartbeat_last_ping_seconds", one.last_ping, labels)
        figures.say("heartbeat_run_seconds", one.last_duration, labels)
    figures.each("heartbeats", "state", counts)
