"""What others may know of sources."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Scope
from mainstay.sources.events import EVENTS

CAPABILITY = Capability(
    name="sources",
    order=32,
    about="Alerts from other tools, and what was changed elsewhere",
    app="tables",
    kinds="mainstay.sources.spec:kinds",
    scopes=(Scope("alerts:send", "send alerts and changes from other tools", "operations"),),
    events=EVENTS,
    lanes="mainstay.sources.lanes:lanes",
)
