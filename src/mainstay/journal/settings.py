"""Settings of how long the journal stays where it is."""

from __future__ import annotations

from mainstay.kernel.asking import refers
from mainstay.kernel.settings import declarable

JOURNAL_DAYS = declarable(
    "journal_days",
    0,
    "days that sealed entries stay in the database, after which they are read from their segments; 0: for ever",
    "Journal",
    title="Entries in the database, in days",
    ge=0,
    le=36_500,
)
JOURNAL_SEGMENT_DAYS = declarable(
    "journal_segment_days",
    0,
    "days after which segments whose entries have left the database are deleted, all but their seals; 0: never",
    "Journal",
    title="Segments, in days",
    ge=0,
    le=36_500,
)
SEAL_CHANNEL = declarable(
    "seal_channel",
    "",
    "channel that receives each seal of the journal, for safekeeping elsewhere; empty: none",
    "Journal",
    title="Channel for seals",
    json_schema_extra=refers("channel"),
)

SETTINGS = (
    JOURNAL_DAYS,
    JOURNAL_SEGMENT_DAYS,
    SEAL_CHANNEL,
)
