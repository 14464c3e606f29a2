"""What happens in nodes."""

from __future__ import annotations

from mainstay.kernel.capability import EventKind

EVENTS = (
    EventKind(
        "node.joined",
        "up",
        "Server joined",
        "a server began to share the work on this database; data: node, session, version, address",
        tells="over",
        over="it is heard again",
    ),
    EventKind(
        "node.left",
        "paused",
        "Server left",
        "a server stopped in good order, others have its share; data: node, session",
        tells="over",
        over="it is heard again",
    ),
    EventKind(
        "node.lost",
        "down",
        "Server lost",
        "a server is not heard any more, others take its share over; data: node, session, since, severity, labels, "
        "reason, address",
        tells="trouble",
    ),
    EventKind(
        "node.returned",
        "up",
        "Server is back",
        "a server that was out of touch is back; data: node, session, seconds since it was missed",
        tells="over",
        over="it is heard again",
    ),
    EventKind(
        "node.draining_began",
        "maintenance",
        "Server began to drain",
        "a person let a server hand over its share; data: node",
    ),
    EventKind("node.draining_ended", "up", "Server takes work again", "it takes a share again; data: node"),
    EventKind(
        "node.forgotten",
        "trash",
        "Server removed",
        "a server that is gone for good was removed; data: node",
        tells="over",
        over="it was forgotten",
    ),
)
