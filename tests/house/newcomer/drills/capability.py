"""What others may know of drills."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope

from .events import EVENTS
from .settings import DRILL_DAYS

CAPABILITY = Capability(
    name="drills",
    order=200,
    about="Practice",
    kinds="mainstay.drills.parts:kinds",
    scopes=(Scope("drills:run", "run a drill", "operations"),),
    events=EVENTS,
    guards="mainstay.drills.parts",
    followers="mainstay.drills.parts",
    pages="mainstay.drills.doors",
    menu=(MenuEntry("Act", 95, "Drills", "/drills/", "play", "drills:run"),),
    routes=(Routes("/drills", "mainstay.drills.doors", "Drills"),),
    commands=(Command("drills", 195, "mainstay.drills.parts:drills", "Say how often was practised"),),
    lanes="mainstay.drills.parts:lanes",
    metrics="mainstay.drills.parts",
    settings=(DRILL_DAYS,),
    tables="mainstay.drills.parts:TABLES",
    search="mainstay.drills.parts:search",
)
