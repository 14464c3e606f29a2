"""What others may know of drills."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, EventKind, MenuEntry, Routes, Scope

CAPABILITY = Capability(
    name="drills",
    order=200,
    about="Practice",
    kinds="mainstay.drills.parts:kinds",
    scopes=(Scope("drills:run", "run a drill", "operations"),),
    events=(
        EventKind("drill.began", "play", "Drill began", "somebody practises; data: drill"),
        EventKind("drill.ended", "up", "Drill ended", "the practice is over; data: drill", tells="over"),
        EventKind("drill.overran", "down", "Drill overran", "it takes too long; data: of a trouble", tells="trouble"),
    ),
    guards="mainstay.drills.parts",
    followers="mainstay.drills.parts",
    pages="mainstay.drills.doors",
    menu=(MenuEntry("Act", 95, "Drills", "/drills/", "play", "drills:run"),),
    routes=(Routes("/drills", "mainstay.drills.doors", "Drills"),),
    commands=(Command("drills", 195, "mainstay.drills.parts:drills", "Say how often was practised"),),
    lanes="mainstay.drills.parts:lanes",
    tables="mainstay.drills.parts:TABLES",
)
