"""What others may know of windows."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes

CAPABILITY = Capability(
    name="windows",
    order=40,
    about="Maintenance windows",
    app="templates",
    kinds="mainstay.windows.spec:kinds",
    pages="mainstay.windows.page_urls",
    menu=(MenuEntry("Watch", 40, "Maintenance", "/windows/", "maintenance", "monitors:read"),),
    routes=(Routes("/windows", "mainstay.windows.api", "Maintenance windows"),),
    commands=(Command("windows", 120, "mainstay.windows.commands:windows", "List, start and end maintenance"),),
    search="mainstay.windows.search:search",
)
