"""What others may know of snapshots."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, Scope
from mainstay.snapshots.settings import SETTINGS

CAPABILITY = Capability(
    name="snapshots",
    order=83,
    about="Copies of everything, and restoring from them",
    scopes=(
        Scope("snapshots:write", "take, restore and move snapshots of everything, secrets included", "operations"),
    ),
    commands=(
        Command(
            "snapshot",
            260,
            "mainstay.snapshots.commands:snapshot",
            "Copy everything to one file, while the server runs",
        ),
        Command(
            "restore", 270, "mainstay.snapshots.commands:restore", "Restore a snapshot into an empty folder or database"
        ),
        Command(
            "migrate-store",
            280,
            "mainstay.snapshots.commands:migrate_store",
            "Move the state from SQLite to PostgreSQL",
        ),
    ),
    settings=SETTINGS,
)
