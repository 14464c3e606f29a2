"""What others may know of windows."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes

CAPABILITY = Capability(
    name="windows",
    order=40,
    about="Maintenance windows",
    kinds="mainstay.windows.spec:kinds",
    menu=(MenuEntry("Watch", 40, "Maintenance", "/windows/", "maintenance", "monitors:read"),),
    routes=(Routes("/windows", "mainstay.windows.api", "Maintenance windows"),),
    commands=(Command("windows", 120, "mainstay.entry.cli.windows:windows", "List, begin and end maintenance"),),
)
