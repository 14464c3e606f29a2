"""The journal: append-only, one hash chain, written in the transaction of the change it tells of.

    hash = SHA-256(canonical JSON of [seq, at_us, kind, digest, previous hash])

The chain covers a digest and not the names and data themselves (store/proof.py), so that what is about a person can be
erased (store/erasure.py) while every hash stays valid. An entry counts as erased only if a later `journal.erased`
tells of it, with a digest of all that it tells of as it became.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.kernel.clock import to_iso
from mainstay.kernel.event import Happened
from mainstay.store.erasures import ERASED, Erasures
from mainstay.store.models import JournalEntry, JournalHead
from mainstay.store.proof import canonical, digest_of, holds, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

_SLICE = 1000  # entries that are read at once
GENESIS = "0" * 64


def hash_of(fields: tuple[int, int, str, str], previous: str) -> str:
    """fields: seq, at_us, kind, digest."""
    return sha256(canonical([*fields, previous]))


class Appender:
    """Appends within one open transaction; `finish` moves the chain's end."""

    def __init__(self) -> None:
        self._head: JournalHead | None = None
        self._written = False

    @property
    def has_turn(self) -> bool:
        """Whether the chain's end is locked: until the transaction ends nobody else can append."""
        return self._head is not None

    def take_turn(self) -> JournalHead:
        """Wait until nobody else appends, and lock the chain's end."""
        if self._head is None:
            locked = JournalHead.objects.select_for_update().filter(id=1)
            self._head = locked.first()
            if self._head is None:
                JournalHead.objects.get_or_create(id=1, defaults={"seq": 0, "hash": GENESIS})
                self._head = locked.get()
        return self._head

    def append(self, event: Happened, actor: str, at: float) -> int:
        """Write one entry and return its sequence number."""
        head = self.take_turn()
        seq, at_us, data = head.seq + 1, int(at * 1_000_000), canonical(event.data)
        salt = os.urandom(16).hex()
        digest = digest_of(salt, actor, event.subject, data)
        hashed = hash_of((seq, at_us, event.kind, digest), head.hash)
        JournalEntry.objects.create(
            seq=seq,
            at_us=at_us,
            actor=actor,
            kind=event.kind,
            subject=event.subject,
            data=data,
            salt=salt,
            data_digest=digest,
            previous=head.hash,
            hash=hashed,
        )
        head.seq, head.hash, self._written = seq, hashed, True
        return seq

    def mark(self) -> Head:
        """Where the chain ends now, for `back_to` once a savepoint is undone."""
        head = self.take_turn()
        return Head(head.seq, head.hash)

    def back_to(self, mark: Head) -> None:
        """The entries after `mark` were undone with their savepoint."""
        head = self.take_turn()
        head.seq, head.hash = mark.seq, mark.hash

    def finish(self) -> None:
        if self._head is not None and self._written:
            self._head.save()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain; seq 0 before the first entry."""

    seq: int
    hash: str


def head() -> Head:
    """The newest entry's number and hash."""
    row = JournalHead.objects.filter(id=1).first()
    return Head(row.seq, row.hash) if row else Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry as readers see it."""

    seq: int
    at: float
    actor: str
    kind: str
    subject: str
    data: dict[str, Any]
    hash: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": to_iso(self.at),
            "actor": self.actor,
            "kind": self.kind,
            "subject": self.subject,
            "data": self.data,
            "hash": self.hash,
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """`broken_at`: the first entry that is not what was written (None: all are); `reason` says how it shows.

    erased: entries whose personal data is gone, as a later entry tells.
    """

    checked: int
    broken_at: int | None = None
    reason: str = ""
    erased: int = 0


def verify(known: Head | None = None) -> Verification:
    """Read the whole chain from its first entry and compare every hash; `known`, from outside, must be part of it."""
    previous, expected, erasures = GENESIS, 1, Erasures()
    for row in JournalEntry.objects.order_by("seq").iterator(chunk_size=2000):
        reason = _mistake(row, expected, previous)
        if not reason and known is not None and row.seq == known.seq and row.hash != known.hash:
            reason = "the chain up to it is not the one that the checkpoint was made of"
        if reason:
            return Verification(expected - 1, min(row.seq, expected), reason)
        erasures.take(row, told=row.kind == ERASED)
        previous, expected = row.hash, expected + 1
    checked = expected - 1
    if (wrong := erasures.mistake()) is not None:
        return Verification(wrong[0] - 1, *wrong)
    head = JournalHead.objects.filter(id=1).first()
    if head is not None and (head.seq, head.hash) != (checked, previous):
        return Verification(checked, expected, "entries at the end are missing")
    if known is not None and known.seq > checked:
        return Verification(checked, expected, "entries that the checkpoint knows are missing")
    return Verification(checked, erased=erasures.count)


def _mistake(row: JournalEntry, expected: int, previous: str) -> str:
    """Why this is not the entry that was written; empty if it is."""
    if row.seq != expected:
        return "the entry is missing"
    if not holds(row):
        return "its data does not match its digest"
    fields = (row.seq, row.at_us, row.kind, row.data_digest)
    if row.previous != previous or hash_of(fields, previous) != row.hash:
        return "its hash does not follow from the entry before it"
    return ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to read; empty fields fit everything. `kind` may end in `*` (`monitor.*`)."""

    kind: str = ""
    subject: str = ""
    actor: str = ""
    text: str = ""
    since: float | None = None
    until: float | None = None
    after_seq: int = 0
    before_seq: int | None = None


def entries(wanted: Filter = Filter(), *, limit: int = 100, newest_first: bool = True) -> Iterator[Entry]:
    """Matching entries; `limit` 0 reads all, in slices: whoever takes long over them holds no transaction open."""
    rows = JournalEntry.objects.filter(seq__gt=wanted.after_seq)
    if wanted.before_seq is not None:
        rows = rows.filter(seq__lt=wanted.before_seq)
    if wanted.kind:
        prefix = wanted.kind.removesuffix("*")
        rows = rows.filter(kind__startswith=prefix) if wanted.kind.endswith("*") else rows.filter(kind=prefix)
    for column, value in (("subject", wanted.subject), ("actor__icontains", wanted.actor)):
        if value:
            rows = rows.filter(**{column: value})
    if wanted.text:
        rows = rows.filter(data__icontains=wanted.text)
    if wanted.since is not None:
        rows = rows.filter(at_us__gte=int(wanted.since * 1_000_000))
    if wanted.until is not None:
        rows = rows.filter(at_us__lt=int(wanted.until * 1_000_000))
    rows = rows.order_by("-seq" if newest_first else "seq")
    for row in rows[:limit] if limit else _sliced(rows, "seq__lt" if newest_first else "seq__gt"):
        yield as_entry(row)


def as_entry(row: JournalEntry) -> Entry:
    return Entry(row.seq, row.at_us / 1_000_000, row.actor, row.kind, row.subject, json.loads(row.data), row.hash)


def _sliced(rows: QuerySet[JournalEntry], beyond: str) -> Iterator[JournalEntry]:
    some = list(rows[:_SLICE])
    while some:
        yield from some
        some = list(rows.filter(**{beyond: some[-1].seq})[:_SLICE]) if len(some) == _SLICE else []
