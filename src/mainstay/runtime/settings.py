"""Settings of the server itself."""

from __future__ import annotations

from mainstay.kernel.settings import Setting

SNAPSHOT_BEFORE_UPGRADE = Setting(
    "snapshot_before_upgrade", True, "take a snapshot before a new version changes the tables"
)
LOG_LEVEL = Setting("log_level", "info", "debug, info, warning or error")
LOG_FORMAT = Setting("log_format", "auto", "auto, console or json")

SETTINGS = (
    SNAPSHOT_BEFORE_UPGRADE,
    LOG_LEVEL,
    LOG_FORMAT,
)
