"""What others may know of on-call."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope
from mainstay.oncall.events import EVENTS

CAPABILITY = Capability(
    name="oncall",
    order=28,
    about="Who is on duty, and how each person is reached",
    app="tables",
    kinds="mainstay.oncall.spec:kinds",
    scopes=(
        Scope("oncall:read", "see who is on duty, and take or swap shifts of one's own", "support"),
        Scope("oncall:write", "change who is on duty", "operations"),
    ),
    events=EVENTS,
    guards="mainstay.oncall.guards",
    pages="mainstay.oncall.page_urls",
    menu=(MenuEntry("Respond", 40, "On-call", "/oncall/", "oncall", "oncall:read"),),
    routes=(Routes("/oncall", "mainstay.oncall.api", "On-call"),),
    commands=(
        Command("oncall", 95, "mainstay.oncall.commands:oncall", "Show who is on duty; override and swap shifts"),
    ),
    lanes="mainstay.oncall.lanes:lanes",
    search="mainstay.oncall.search:search",
)
