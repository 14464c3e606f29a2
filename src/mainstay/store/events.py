"""What happens in the store, and to this program itself."""

from __future__ import annotations

from typing import Annotated, Any

from mainstay.kernel.event import Event
from mainstay.kernel.subject import Trouble, Uid

Names = Annotated[dict[str, list[str]], "the first 100 names, by kind"]
Revision = Annotated[int, "its number"]
Seq = Annotated[int, "the newest entry of the journal in it"]
Part = Annotated[str, "the part of this program"]
Channel = Annotated[str | None, "the channel that it was sent to, if it was"]
First = Annotated[int, "the first of these entries"]
Last = Annotated[int, "the last of them"]
Segment = Annotated[str, "the file of their segment"]


class ResourcesApplied(Event):
    """A plan was applied."""

    kind, icon, title = "resources.applied", "resources", "Declarations applied"
    revision: Revision
    manager: Annotated[str, "who manages them: file, page, api, command or ping"]
    source: Annotated[str, "the file or program that it came from"]
    counts: Annotated[dict[str, int], "how many were created, changed and deleted"]
    created: Names
    changed: Names
    deleted: Names


class ResourcesRolledBack(Event):
    """An earlier revision was restored."""

    kind, icon, title = "resources.rolled_back", "history", "Rolled back to an earlier revision"
    to: Annotated[int, "the revision that was restored"]
    revision: Revision


class SnapshotTaken(Event):
    """Everything was copied to one file."""

    kind, icon, title = "snapshot.taken", "download", "Snapshot taken"
    address: Annotated[str, "where it is stored"]
    bytes: Annotated[int, "its size"]
    journal_seq: Seq
    encrypted: Annotated[bool, "whether it is encrypted"]
    seconds: Annotated[float, "seconds that it took"]
    deleted: Annotated[list[str], "older ones that were deleted"]


class SnapshotFailed(Event):
    """A snapshot could not be taken."""

    kind, icon, title = "snapshot.failed", "down", "Snapshot failed"
    to: Annotated[str, "where it should have been stored"]
    error: Annotated[str, "why it could not be taken"]


class SnapshotRestored(Event):
    """This store was created from a snapshot."""

    kind, icon, title = "snapshot.restored", "history", "Restored from a snapshot"
    file: Annotated[str, "its name"]
    taken_at: Annotated[float, "when it was taken"]
    program: Annotated[str, "the version of Mainstay that took it"]
    journal_seq: Seq


class StoreMigrated(Event, rename={"from_": "from"}):
    """This store was moved here from another database."""

    kind, icon, title = "store.migrated", "resources", "Moved to another database"
    from_: Annotated[str, "the source database"]
    to: Annotated[str, "the target database"]
    rows: Annotated[int, "how many rows were moved"]


class JournalExported(Event):
    """Entries were exported as a file."""

    kind, icon, title = "journal.exported", "download", "Journal exported"
    how: Annotated[str, "page, api or command"]
    filter: Annotated[dict[str, Any], "which entries were asked for"]


class JournalSealed(Event):
    """A range of entries was written to a file, and signed."""

    kind, icon, title = "journal.sealed", "shield", "Journal sealed"
    first: First
    last: Last
    hash: Annotated[str, "the last entry of the range"]
    file: Segment
    bytes: Annotated[int, "its size"]
    channel: Channel = None


class JournalMovedOut(Event):
    """Sealed entries left the database; they are now read from their segment."""

    kind, icon, title = "journal.moved_out", "history", "Old entries moved out of the database"
    first: First
    last: Last
    file: Segment


class JournalSegmentDeleted(Event):
    """The segment of entries past their retention was deleted; its seal remains."""

    kind, icon, title = "journal.segment_deleted", "trash", "Old entries deleted"
    first: First
    last: Last
    file: Segment


class JournalErased(Event):
    """Data about a person was erased; the chain stays intact."""

    kind, icon, title = "journal.erased", "trash", "Personal data erased"
    person: Annotated[str, "the pseudonym that replaces theirs"]
    entries: Annotated[list[list[int]], "the first and last numbers of ranges of entries"]
    digest: Annotated[str, "digest of these entries after erasure"]
    again: Annotated[bool | None, "nothing more was erased: others listed with these were deleted"] = None


class VaultChanged(Event):
    """A secret was set or removed; its value is never shown."""

    kind, icon, title = "vault.changed", "vault", "Secret changed"
    name: Annotated[str, "the secret's name"]
    what: Annotated[str, "set, replaced or removed"]


class VaultRotated(Event):
    """Stored secrets were re-encrypted with the first key."""

    kind, icon, title = "vault.rotated", "refresh", "Secrets re-encrypted"
    secrets: Annotated[int, "how many"]


class HeartbeatAddressShown(Event):
    """A person was shown the address that a job pings; recorded once a day."""

    kind, icon, title = "heartbeat.address_shown", "heartbeats", "Ping address shown"
    uid: Uid


class HeartbeatAddressesShown(Event):
    """Somebody was shown, or exported, the addresses of several jobs; recorded once a day."""

    kind, icon, title = "heartbeat.addresses_shown", "heartbeats", "Ping addresses shown or exported"
    count: Annotated[int, "how many"]


class ConfigRejected(Event):
    """A watched file had mistakes and was not applied."""

    kind, icon, title = "config.rejected", "degraded", "Configuration file rejected"
    file: Annotated[str, "its path"]
    diagnostics: Annotated[list[dict[str, Any]], "the first mistakes, with their places"]
    error: Annotated[str | None, "why it was not applied, if not for such mistakes"] = None


class ReactionFailed(Trouble, kw_only=True):
    """A part of this program failed to process an event, which remains recorded; reported once."""

    kind, icon, title = "mainstay.reaction_failed", "down", "Mainstay failed to react"
    reaction: Part
    event: Annotated[str, "the kind of the event"]
    about: Annotated[str, "the subject of the event"]


class ReactionWorks(Event):
    """A part of this program that failed works again."""

    kind, icon, title, over = "mainstay.reaction_works", "up", "Mainstay reacts again", "it works again"
    reaction: Part


EVENTS = (
    ResourcesApplied,
    ResourcesRolledBack,
    SnapshotTaken,
    SnapshotFailed,
    SnapshotRestored,
    StoreMigrated,
    JournalExported,
    JournalSealed,
    JournalMovedOut,
    JournalSegmentDeleted,
    JournalErased,
    VaultChanged,
    VaultRotated,
    HeartbeatAddressShown,
    HeartbeatAddressesShown,
    ConfigRejected,
    ReactionFailed,
    ReactionWorks,
)
