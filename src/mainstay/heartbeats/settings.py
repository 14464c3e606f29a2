"""Settings of heartbeats and their pings."""

from __future__ import annotations

from mainstay.kernel.settings import Setting, declarable

PING_BODY_LIMIT = declarable(
    "ping_body_limit",
    100_000,
    "bytes of a ping's body that are kept",
    "Limits",
    title="Body of a ping, in bytes",
    ge=0,
    le=10_000_000,
)
PING_SPOOL_LIMIT = Setting(
    "ping_spool_limit",
    256,
    "megabytes of pings to spool on this server's disk while a PostgreSQL database is unavailable",
)
MAIL_LISTEN = Setting(
    "mail_listen",
    "",
    "address and port at which pings by mail are accepted, such as 0.0.0.0:25; empty: none (extra `mail`)",
)
PINGS_KEPT = declarable(
    "pings_kept", 100, "pings kept per heartbeat", "Retention", title="Pings of each heartbeat", ge=1, le=100_000
)

SETTINGS = (
    PING_BODY_LIMIT,
    PING_SPOOL_LIMIT,
    MAIL_LISTEN,
    PINGS_KEPT,
)
