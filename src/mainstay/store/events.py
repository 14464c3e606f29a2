"""What happens in store."""

from __future__ import annotations

from mainstay.kernel.capability import EventKind

EVENTS = (
    EventKind(
        "resources.applied",
        "resources",
        "Declarations applied",
        "a plan was applied; data: revision, manager, source, counts, and the first 100 names by kind of created, "
        "changed, deleted",
    ),
    EventKind(
        "resources.rolled_back",
        "history",
        "Rolled back to an earlier revision",
        "an earlier revision was restored; data: to, revision",
    ),
    EventKind(
        "snapshot.taken",
        "download",
        "Snapshot taken",
        "everything was copied to one file; data: address, bytes, journal_seq, encrypted, deleted",
    ),
    EventKind("snapshot.failed", "down", "Snapshot failed", "a snapshot could not be taken; data: to, error"),
    EventKind(
        "snapshot.restored",
        "history",
        "Restored from a snapshot",
        "this store was made from a snapshot; data: file, taken_at, program, journal_seq",
    ),
    EventKind(
        "store.migrated",
        "resources",
        "Moved to another database",
        "this store was moved here from another database; data: from, to, rows",
    ),
    EventKind(
        "journal.exported",
        "download",
        "Journal exported",
        "entries were handed out as a file; data: how, and the filter",
    ),
    EventKind(
        "journal.checkpoint_made",
        "shield",
        "Journal checkpoint signed",
        "the chain's end was signed; data: seq, hash, and the channel if it was sent to one",
    ),
    EventKind(
        "journal.erased",
        "trash",
        "Personal data erased",
        "what is about a person was erased, the chain stays whole; data: person, a name of chance, and entries, "
        "the first and last numbers of ranges, and digest, of these entries as they became",
    ),
    EventKind(
        "vault.changed",
        "vault",
        "Secret changed",
        "a secret was set or removed; data: name, what. Never the value",
    ),
    EventKind(
        "vault.rotated",
        "refresh",
        "Secrets encrypted anew",
        "stored secrets were encrypted anew with the first key; data: secrets",
    ),
)
