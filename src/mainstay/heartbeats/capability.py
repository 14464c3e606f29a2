"""What others may know of heartbeats."""

from __future__ import annotations

from mainstay.heartbeats.events import EVENTS
from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes

CAPABILITY = Capability(
    name="heartbeats",
    order=20,
    about="Jobs that report in",
    app="tables",
    kinds="mainstay.heartbeats.spec:kinds",
    reactions="mainstay.heartbeats.reactions",
    menu=(MenuEntry("Watch", 30, "Heartbeats", "/heartbeats/", "heartbeats", "monitors:read"),),
    routes=(Routes("/heartbeats", "mainstay.heartbeats.api", "Heartbeats"),),
    commands=(
        Command("exec", 70, "mainstay.entry.cli.exec_command:exec_command", "Run a job and report how it went"),
        Command("pause", 80, "mainstay.entry.cli.pausing:pause", "Stop checking monitors, or judging heartbeats"),
        Command("resume", 90, "mainstay.entry.cli.pausing:resume", "Check or judge them again"),
        Command("heartbeats", 100, "mainstay.entry.cli.heartbeats:heartbeats", "List heartbeats with their deadlines"),
    ),
    events=EVENTS,
)
