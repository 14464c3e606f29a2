"""What others may know of resources."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope

CAPABILITY = Capability(
    name="resources",
    order=80,
    about="Declared resources and all their revisions",
    app="templates",
    scopes=(
        Scope("resources:read", "see declared resources, their revisions and differences", "developer"),
        Scope("resources:write", "plan, apply, edit, delete and roll back resources", "operations"),
    ),
    pages="mainstay.resources.page_urls",
    menu=(
        MenuEntry("Know", 110, "Revisions", "/revisions/", "history", "resources:read"),
        MenuEntry("Set up", 120, "Resources", "/resources/", "resources", "resources:read"),
    ),
    routes=(
        Routes("", "mainstay.resources.plans_api", "Plans and revisions"),
        Routes("/resources", "mainstay.resources.api", "Resources"),
    ),
    commands=(
        Command("plan", 130, "mainstay.resources.commands:plan", "Show what a file would change"),
        Command("apply", 140, "mainstay.resources.commands:apply", "Apply a file: change what is declared to match it"),
        Command("export", 160, "mainstay.resources.commands:export", "Export everything declared as one file"),
        Command("schema", 170, "mainstay.resources.commands:schema", "Print the JSON Schema of such files"),
        Command("rollback", 180, "mainstay.resources.commands:rollback", "Go back to an earlier revision"),
    ),
    search="mainstay.resources.search:search",
)
