"""What happens in runtime."""

from __future__ import annotations

from mainstay.kernel.capability import EventKind

EVENTS = (
    EventKind("mainstay.started", "play", "Mainstay started", "the server started; data: version"),
    EventKind("mainstay.stopped", "paused", "Mainstay stopped", "the server stopped; data: reason"),
    EventKind(
        "mainstay.reaction_failed",
        "down",
        "Mainstay failed to react",
        "a part of this program failed at what follows from an event, which stands all the same; told once; data: "
        "reaction, event, about, reason, message",
        tells="trouble",
    ),
    EventKind(
        "mainstay.reaction_works", "up", "Mainstay reacts again", "that part works again; data: reaction", tells="over"
    ),
    EventKind(
        "config.rejected",
        "degraded",
        "Configuration file rejected",
        "a watched file had mistakes and was not applied; data: file, diagnostics",
    ),
)
