"""What others may know of sources."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope
from mainstay.sources.events import EVENTS

CAPABILITY = Capability(
    name="sources",
    order=32,
    about="Alerts from other tools, and what was changed elsewhere",
    app="tables",
    kinds="mainstay.sources.spec:kinds",
    scopes=(Scope("alerts:send", "send alerts and changes from other tools", "operations"),),
    events=EVENTS,
    pages="mainstay.sources.page_urls",
    menu=(
        MenuEntry("Respond", 60, "Changes", "/changes/", "history", "alerts:read"),
        MenuEntry("Set up", 150, "Alert sources", "/sources/", "download", "alerts:read"),
    ),
    routes=(
        Routes("/sources", "mainstay.sources.api", "Alert sources"),
        Routes("/changes", "mainstay.sources.changes_api", "Changes"),
    ),
    commands=(
        Command("sources", 116, "mainstay.sources.commands:sources", "List alert sources and when each was heard last"),
        Command("changes", 118, "mainstay.sources.commands:changes", "List changes elsewhere, or record one"),
    ),
    lanes="mainstay.sources.lanes:lanes",
    panels="mainstay.sources.panels:panels",
    search="mainstay.sources.search:search",
)
