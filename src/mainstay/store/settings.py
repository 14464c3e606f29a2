"""Settings of the stores: telemetry and its archive, the keys of secrets, snapshots, segments of the journal."""

from __future__ import annotations

from mainstay.kernel.settings import Setting, declarable

CHECK_PLACE = "mainstay.store.snapshots.places:check_place"
TELEMETRY_MEMORY = Setting(
    "telemetry_memory", "96MB", "memory limit of the embedded telemetry store, and of reading the archive"
)
ARCHIVE_TO = declarable(
    "archive_to",
    "",
    "folder or s3://bucket/prefix (extra `s3`) to which results older than `raw_days` go as Parquet; "
    "empty: they are deleted",
    "Retention",
    check=CHECK_PLACE,
    title="Archive",
)
ARCHIVE_DAYS = declarable(
    "archive_days",
    365,
    "days to keep archived results; 0: for ever",
    "Retention",
    title="Archived results, in days",
    ge=0,
    le=36_500,
)
VAULT_KEY = Setting(
    "vault_key",
    "",
    "where the key of stored secrets comes from: file:/path, env:NAME or command:program arguments; empty: "
    "`vault.key` in the data folder",
)
SECRET_DIRS = Setting(
    "secret_dirs",
    "/run/secrets",
    "folders, comma-separated, that ${file:} may read besides `secrets` in the data folder",
)
SNAPSHOT_TO = declarable(
    "snapshot_to",
    "",
    "folder or s3://bucket/prefix (extra `s3`) for snapshots; empty: `snapshots` in the data folder",
    "Snapshots",
    check=CHECK_PLACE,
    title="Place",
)
SNAPSHOT_KEY = Setting(
    "snapshot_key", "", "${env:NAME} or ${file:PATH} of the key that encrypts snapshots; empty: they are not encrypted"
)
JOURNAL_TO = Setting(
    "journal_to",
    "",
    "folder or s3://bucket/prefix (extra `s3`) for the sealed segments of the journal, which several servers must "
    "share; empty: `journal` in the data folder",
)

SETTINGS = (
    TELEMETRY_MEMORY,
    ARCHIVE_TO,
    ARCHIVE_DAYS,
    VAULT_KEY,
    SECRET_DIRS,
    SNAPSHOT_TO,
    SNAPSHOT_KEY,
    JOURNAL_TO,
)
