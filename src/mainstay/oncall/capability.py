"""What others may know of on-call."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Scope
from mainstay.oncall.events import EVENTS

CAPABILITY = Capability(
    name="oncall",
    order=28,
    about="Who is on duty, and how each person is reached",
    app="tables",
    kinds="mainstay.oncall.spec:kinds",
    scopes=(
        Scope("oncall:read", "see who is on duty, and take or swap shifts of one's own", "developer"),
        Scope("oncall:write", "change who is on duty", "operations"),
    ),
    events=EVENTS,
    guards="mainstay.oncall.guards",
    lanes="mainstay.oncall.lanes:lanes",
)
