"""What others may know of watch."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope
from mainstay.watch.events import EVENTS
from mainstay.watch.settings import SETTINGS

CAPABILITY = Capability(
    name="watch",
    order=10,
    about="Monitors, and the locations that they are checked from",
    app="tables",
    kinds="mainstay.watch.spec:kinds",
    scopes=(
        Scope(
            "programs:write",
            "declare checks that run a program here, or could: those of the kinds plugin, browser and docker",
            "admin",
            granting=True,
        ),
        Scope("monitors:read", "see states, results and history of monitors and heartbeats", "developer", limited=True),
        Scope("monitors:check", "run a check now, pause and resume, probe a target", "operations", limited=True),
        Scope(
            "probes:join",
            "check from another place: be sent orders with their secrets, and send results; needs a limit to one "
            "location",
            "operations",
            limited=True,
        ),
    ),
    guards="mainstay.watch.guards",
    pages="mainstay.watch.page_urls",
    menu=(
        MenuEntry("Watch", 20, "Monitors", "/monitors/", "monitors", "monitors:read", limited=True),
        MenuEntry("Set up", 150, "Locations", "/locations/", "locations", "monitors:read"),
    ),
    routes=(
        Routes("/monitors", "mainstay.watch.api", "Monitors"),
        Routes("/locations", "mainstay.watch.locations_api", "Locations"),
    ),
    commands=(
        Command("check", 20, "mainstay.watch.check_command:check", "Run one check now and show its phases"),
        Command("monitors", 40, "mainstay.watch.commands:monitors", "List monitors with their states"),
        Command(
            "locations",
            50,
            "mainstay.watch.location_commands:locations",
            "List the locations that checks are made from",
        ),
        Command("probe", 60, "mainstay.watch.probe_command:probe", "Run a prober here for a Mainstay server elsewhere"),
    ),
    events=EVENTS,
    tables="mainstay.watch.results.tables:TABLES",
    search="mainstay.watch.search:search",
    settings=SETTINGS,
    metrics="mainstay.watch.metrics",
)
