"""What others may know of alerting."""

from __future__ import annotations

from mainstay.alerting.events import EVENTS
from mainstay.alerting.settings import SETTINGS
from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope

CAPABILITY = Capability(
    name="alerting",
    order=30,
    about="Alerts, and who is notified",
    app="tables",
    kinds="mainstay.alerting.spec:kinds",
    scopes=(
        Scope("alerts:read", "see alerts and notifications", "support", limited=True),
        Scope("alerts:write", "acknowledge, mute and unmute alerts", "operations", limited=True),
        Scope("channels:test", "send a test notification", "operations"),
    ),
    guards="mainstay.alerting.guards",
    followers="mainstay.alerting.followers",
    pages="mainstay.alerting.page_urls",
    menu=(
        MenuEntry(
            "Respond",
            50,
            "Alerts",
            "/alerts/",
            "alerts",
            "alerts:read",
            count="mainstay.alerting.queries:open_count",
            limited=True,
        ),
        MenuEntry("Set up", 130, "Channels", "/channels/", "channels", "alerts:read"),
        MenuEntry("Set up", 140, "Routes", "/routes/", "route", "resources:read"),
    ),
    routes=(
        Routes("/alerts", "mainstay.alerting.api", "Alerts"),
        Routes("/routes", "mainstay.alerting.routes_api", "Routes"),
        Routes("/channels", "mainstay.alerting.channels_api", "Channels"),
        Routes("/notifications", "mainstay.alerting.notifications_api", "Notifications"),
    ),
    commands=(
        Command("alerts", 110, "mainstay.alerting.commands:alerts", "List, acknowledge, mute and close alerts"),
        Command(
            "channels", 112, "mainstay.alerting.channel_commands:channels", "List channels and whether they deliver"
        ),
        Command(
            "routes", 114, "mainstay.alerting.channel_commands:routes", "List routes; see which ones match given labels"
        ),
        Command("notify", 190, "mainstay.alerting.channel_commands:notify", "Send a test notification"),
    ),
    events=EVENTS,
    lanes="mainstay.alerting.lanes:lanes",
    panels="mainstay.alerting.panels:panels",
    search="mainstay.alerting.search:search",
    settings=SETTINGS,
    metrics="mainstay.alerting.metrics",
)
