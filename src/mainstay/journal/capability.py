"""What others may know of the journal."""

from __future__ import annotations

from mainstay.journal.settings import SETTINGS
from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope

CAPABILITY = Capability(
    name="journal",
    order=81,
    about="What happened, in one tamper-evident chain",
    app="templates",
    scopes=(
        Scope("journal:read", "read, search and follow the journal", "support"),
        Scope("journal:export", "export the journal", "operations"),
    ),
    pages="mainstay.journal.page_urls",
    menu=(MenuEntry("Know", 100, "Journal", "/journal/", "journal", "journal:read"),),
    routes=(Routes("/journal", "mainstay.journal.api", "Journal"),),
    lanes="mainstay.journal.lanes:lanes",
    commands=(
        Command("journal", 210, "mainstay.journal.commands:journal", "Read, follow, export and verify the journal"),
    ),
    settings=SETTINGS,
)
