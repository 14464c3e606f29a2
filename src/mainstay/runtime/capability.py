"""What others may know of runtime."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Scope
from mainstay.runtime.events import EVENTS
from mainstay.runtime.settings import SETTINGS

CAPABILITY = Capability(
    name="runtime",
    order=90,
    about="The server itself",
    app="templates",
    scopes=(
        Scope("metrics:read", "scrape metrics", "support"),
        Scope(
            "settings:write",
            "declare settings of Mainstay itself: mail server, copies, retention",
            "admin",
            granting=True,
        ),
        Scope("settings:read", "see health details, settings and the servers of this install", "support"),
    ),
    kinds="mainstay.runtime.spec:kinds",
    lanes="mainstay.runtime.settings_lane:lanes",
    pages="mainstay.runtime.page_urls",
    menu=(
        MenuEntry("Now", 10, "Overview", "/", "overview", "monitors:read", limited=True),
        MenuEntry("Set up", 190, "Health", "/health/", "health", "settings:read"),
    ),
    commands=(
        Command("status", 30, "mainstay.runtime.status:status", "Show what is wrong, and how many are fine"),
        Command("up", 10, "mainstay.runtime.up_command:up", "Start Mainstay"),
        Command("doctor", 290, "mainstay.runtime.doctor:doctor", "Diagnose problems of this install"),
    ),
    events=EVENTS,
    search="mainstay.runtime.places:search",
    settings=SETTINGS,
    metrics="mainstay.runtime.metrics",
)
