"""What others may know of store."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope
from mainstay.store.events import EVENTS

CAPABILITY = Capability(
    name="store",
    order=80,
    about="What is declared, what happened, and the secrets and copies of both",
    app="tables",
    scopes=(
        Scope("resources:read", "see declared resources, their revisions and differences", "developer"),
        Scope("resources:write", "plan, apply, edit, delete and roll back resources", "operations"),
        Scope("journal:read", "read, search and follow the journal", "support"),
        Scope("journal:export", "export the journal", "operations"),
        Scope(
            "secrets:write",
            "set, list and remove secrets of the vault, and rotate its key; values are never shown",
            "operations",
            granting=True,
        ),
        Scope("snapshots:write", "take, restore and move snapshots of everything, secrets included", "operations"),
    ),
    menu=(
        MenuEntry("Know", 100, "Journal", "/journal/", "journal", "journal:read"),
        MenuEntry("Know", 110, "Revisions", "/revisions/", "history", "resources:read"),
        MenuEntry("Set up", 120, "Resources", "/resources/", "resources", "resources:read"),
        MenuEntry("Set up", 160, "Vault", "/vault/", "vault", "secrets:write"),
    ),
    routes=(
        Routes("", "mainstay.entry.api.plans", "Plans and revisions"),
        Routes("/resources", "mainstay.entry.api.resources", "Resources"),
        Routes("/journal", "mainstay.entry.api.journal", "Journal"),
        Routes("/vault", "mainstay.entry.api.vault", "Vault"),
    ),
    commands=(
        Command("plan", 130, "mainstay.entry.cli.resources:plan", "Show what a file would change"),
        Command("apply", 140, "mainstay.entry.cli.resources:apply", "Change what is declared to what a file says"),
        Command("import", 150, "mainstay.entry.cli.imports:imports", "Make a file of what another tool watches"),
        Command("export", 160, "mainstay.entry.cli.resources:export", "Write everything declared as one file"),
        Command("schema", 170, "mainstay.entry.cli.resources:schema", "Print the JSON Schema of such files"),
        Command("rollback", 180, "mainstay.entry.cli.resources:rollback", "Go back to an earlier revision"),
        Command("journal", 210, "mainstay.entry.cli.journal:journal", "Read, follow, export and verify the journal"),
        Command("vault", 250, "mainstay.entry.cli.vault:vault", "Keep secrets encrypted, for ${vault:NAME}"),
        Command("snapshot", 260, "mainstay.entry.cli.snapshots:snapshot", "Copy everything to one file, while it runs"),
        Command("restore", 270, "mainstay.entry.cli.snapshots:restore", "Bring a snapshot back, into an empty place"),
        Command(
            "migrate-store",
            280,
            "mainstay.entry.cli.snapshots:migrate_store",
            "Move the state from SQLite to PostgreSQL",
        ),
    ),
    events=EVENTS,
)
