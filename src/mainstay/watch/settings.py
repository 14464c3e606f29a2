"""Settings of checks and their results."""

from __future__ import annotations

from mainstay.kernel.settings import Setting, declarable

PROBERS = Setting("probers", 1, "prober processes")
UPLINK_TARGETS = Setting(
    "uplink_targets",
    "1.1.1.1:443,8.8.8.8:443,9.9.9.9:443",
    "host:port pairs that tell whether this machine has a network; counted only once reached",
)
PLUGIN_DIRS = Setting(
    "plugin_dirs",
    "",
    "folders, comma-separated, whose programs checks of the kind `plugin` may run, such as "
    "/usr/lib/nagios/plugins; empty: none. What a program connects to is not limited by `probe_allow`",
)
CHROMIUM = Setting("chromium", "", "browser that checks of the kind `browser` control; empty: `chromium` on the PATH")
RAW_DAYS = declarable(
    "raw_days", 7, "days to keep every single result", "Retention", title="Single results, in days", ge=1, le=3650
)
MINUTE_DAYS = declarable(
    "minute_days",
    14,
    "days to keep roll-ups by minute",
    "Retention",
    title="Roll-ups by minute, in days",
    ge=1,
    le=3650,
)
HOUR_DAYS = declarable(
    "hour_days", 100, "days to keep roll-ups by hour", "Retention", title="Roll-ups by hour, in days", ge=1, le=3650
)
DAY_DAYS = declarable(
    "day_days", 1100, "days to keep roll-ups by day", "Retention", title="Roll-ups by day, in days", ge=1, le=36_500
)

SETTINGS = (
    PROBERS,
    UPLINK_TARGETS,
    PLUGIN_DIRS,
    CHROMIUM,
    RAW_DAYS,
    MINUTE_DAYS,
    HOUR_DAYS,
    DAY_DAYS,
)
