"""What happens in watch."""

from __future__ import annotations

from mainstay.kernel.capability import EventKind

EVENTS = (
    EventKind(
        "monitor.went_down",
        "down",
        "Went down",
        "confirmed failing; data: reason, evidence, since, previous, and flapping, how often, if that begins with it",
        tells="trouble",
    ),
    EventKind(
        "monitor.went_degraded",
        "degraded",
        "Became degraded",
        "working but outside its limits; data as for went_down",
        tells="trouble",
    ),
    EventKind(
        "monitor.went_up",
        "up",
        "Is up",
        "working again, or for the first time; data: reason, previous, downtime in seconds",
        tells="over",
    ),
    EventKind(
        "monitor.went_unknown",
        "unknown",
        "Became unknown",
        "nothing can be said; data: reason, evidence",
        tells="trouble",
    ),
    EventKind(
        "monitor.went_paused",
        "paused",
        "Paused",
        "paused by a person; data: previous",
        tells="over",
        over="the monitor was paused",
    ),
    EventKind("monitor.resumed", "play", "Resumed", "no longer paused; waits for its next result; data: previous"),
    EventKind(
        "monitor.went_maintenance",
        "maintenance",
        "Maintenance began",
        "a window covers it; data: window, previous, aside",
        tells="aside",
    ),
    EventKind(
        "monitor.stayed_down",
        "down",
        "Still down",
        "still failing after the parent that suppressed it came back, or after flapping; data as for went_down",
        tells="trouble",
    ),
    EventKind(
        "monitor.history_erased",
        "trash",
        "History erased",
        "a person had all results of it until then deleted; data: uid",
    ),
    EventKind(
        "monitor.flapping_started",
        "degraded",
        "Changes state too often",
        "goes down too often; recoveries are held back; data: message, how often",
    ),
    EventKind("monitor.flapping_stopped", "up", "Calm again", "calm again"),
    EventKind(
        "uplink.lost",
        "unknown",
        "Network lost",
        "the machine itself has no network; results are unknown; data: evidence",
        tells="trouble",
    ),
    EventKind(
        "uplink.restored",
        "up",
        "Network is back",
        "the network is back; data: seconds lost",
        tells="over",
        over="it is back",
    ),
    EventKind(
        "location.went_silent",
        "down",
        "Location went silent",
        "a place that checks are made from is not heard any more; data: uid, severity, labels, since, reason, "
        "address, version",
        tells="trouble",
    ),
    EventKind(
        "location.came_back",
        "up",
        "Location is heard",
        "it is heard again, or for the first time; data: uid, previous, seconds lost",
        tells="over",
        over="it is heard again",
    ),
)
