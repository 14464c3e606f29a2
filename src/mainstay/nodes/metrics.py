"""What a server among several says of its share to Prometheus; sums over all of them make the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.frames.exposition import Metric

if TYPE_CHECKING:
    from mainstay.frames.exposition import Figures
    from mainstay.store.running import Running

METRICS = (
    Metric("node_shards", "Shares of the monitors that this server checks, of 64."),
    Metric("nodes_alive", "Servers on this database that report."),
    Metric("node_takeovers", "Shares taken from silent servers.", "counter"),
    Metric("node_touch_age_seconds", "Time since the database last accepted a heartbeat."),
)


async def collect(figures: Figures, running: Running) -> None:
    from mainstay.nodes.lane import NodesLane

    lane = running.part(NodesLane)
    if lane is not None:
        figures.say("node_shards", lane.shards)
        figures.say("nodes_alive", len(lane.living))
        figures.say("node_takeovers", lane.taken_over)
        figures.say("node_touch_age_seconds", round(lane.touch_age, 3))
