"""Settings of the snapshots that the server takes by itself."""

from __future__ import annotations

from mainstay.kernel.settings import declarable

SNAPSHOT_EVERY = declarable(
    "snapshot_every",
    "",
    "how often the server takes a snapshot, such as 1d; empty: only on request",
    "Snapshots",
    check="mainstay.store.snapshots.schedule:period",
    title="How often",
)
SNAPSHOT_KEEP = declarable(
    "snapshot_keep",
    "7d,4w",
    "snapshots to keep: the newest of each of the last 7 days and 4 weeks",
    "Snapshots",
    check="mainstay.store.snapshots.retention:parse_keep",
    title="Which stay",
)

SETTINGS = (
    SNAPSHOT_EVERY,
    SNAPSHOT_KEEP,
)
