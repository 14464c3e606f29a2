"""What others may know of runtime."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Scope
from mainstay.runtime.events import EVENTS

CAPABILITY = Capability(
    name="runtime",
    order=90,
    about="The server itself",
    scopes=(
        Scope("metrics:read", "scrape metrics", "support"),
        Scope("settings:read", "see health details, settings and the servers of this install", "support"),
    ),
    pages="mainstay.entry.web.page_urls",
    menu=(
        MenuEntry("Now", 10, "Overview", "/", "overview", "monitors:read"),
        MenuEntry("Set up", 190, "Health", "/health/", "health", "settings:read"),
    ),
    commands=(
        Command("up", 10, "mainstay.entry.cli.up:up", "Start Mainstay and watch"),
        Command("doctor", 290, "mainstay.entry.cli.doctor:doctor", "Look for what is wrong with this install"),
    ),
    events=EVENTS,
)
