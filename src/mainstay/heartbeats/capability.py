"""What others may know of heartbeats."""

from __future__ import annotations

from mainstay.heartbeats.events import EVENTS
from mainstay.heartbeats.settings import SETTINGS
from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes

CAPABILITY = Capability(
    name="heartbeats",
    order=20,
    about="Jobs that report in",
    app="tables",
    kinds="mainstay.heartbeats.spec:kinds",
    guards="mainstay.heartbeats.guards",
    pages="mainstay.heartbeats.page_urls",
    menu=(MenuEntry("Watch", 30, "Heartbeats", "/heartbeats/", "heartbeats", "monitors:read", limited=True),),
    routes=(Routes("/heartbeats", "mainstay.heartbeats.api", "Heartbeats"),),
    commands=(
        Command("exec", 70, "mainstay.heartbeats.exec.command:exec_command", "Run a job and report how it went"),
        Command("pause", 80, "mainstay.heartbeats.pausing:pause", "Pause monitors or heartbeats"),
        Command("resume", 90, "mainstay.heartbeats.pausing:resume", "Resume monitors or heartbeats"),
        Command("token ping-key", 101, "mainstay.heartbeats.commands:ping_key", "Create a new ping key"),
        Command("heartbeats", 100, "mainstay.heartbeats.commands:heartbeats", "List heartbeats with their deadlines"),
    ),
    events=EVENTS,
    search="mainstay.heartbeats.search:search",
    settings=SETTINGS,
    metrics="mainstay.heartbeats.metrics",
)
