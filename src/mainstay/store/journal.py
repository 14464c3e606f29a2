"""The journal: append-only, one hash chain, written in the transaction of the change it tells of.

    digest = SHA-256(salt + data)                      data: canonical JSON (sorted keys, no spaces, UTF-8)
    hash   = SHA-256(canonical JSON of [seq, at_us, actor, kind, subject, digest, previous hash])

The chain covers the digest and not the data itself, so that a person's data can be erased one day
while every hash stays valid. The salt keeps erased data from being guessed.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.kernel.clock import to_iso
from mainstay.kernel.event import Event
from mainstay.store.models import JournalEntry, JournalHead

if TYPE_CHECKING:
    from collections.abc import Iterator

GENESIS = "0" * 64


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, not escaped; what hashes are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(salt: str, data: str) -> str:
    return hashlib.sha256((salt + data).encode()).hexdigest()


def hash_of(fields: tuple[int, int, str, str, str, str], previous: str) -> str:
    """fields: seq, at_us, actor, kind, subject, digest."""
    return hashlib.sha256(canonical([*fields, previous]).encode()).hexdigest()


class Appender:
    """Appends within one open transaction; `finish` moves the chain's end."""

    def __init__(self) -> None:
        self._head: JournalHead | None = None

    def append(self, event: Event, actor: str, at: float) -> int:
        """Write one entry and return its sequence number."""
        head = self._lock_head()
        seq, at_us, data = head.seq + 1, int(at * 1_000_000), canonical(event.data)
        salt = os.urandom(16).hex()
        digest = digest_of(salt, data)
        hashed = hash_of((seq, at_us, actor, event.kind, event.subject, digest), head.hash)
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
        head.seq, head.hash = seq, hashed
        return seq

    def finish(self) -> None:
        if self._head is not None:
            self._head.save()

    def _lock_head(self) -> JournalHead:
        if self._head is None:
            JournalHead.objects.get_or_create(id=1, defaults={"seq": 0, "hash": GENESIS})
            self._head = JournalHead.objects.select_for_update().get(id=1)
        return self._head


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
    """`broken_at`: the first entry that is not what was written (None: all are); `reason` says how it shows."""

    checked: int
    broken_at: int | None = None
    reason: str = ""


def verify() -> Verification:
    """Read the whole chain from its first entry and compare every hash."""
    previous, expected, checked = GENESIS, 1, 0
    for row in JournalEntry.objects.order_by("seq").iterator(chunk_size=2000):
        if row.seq != expected:
            return Verification(checked, expected, "the entry is missing")
        if digest_of(row.salt, row.data) != row.data_digest:
            return Verification(checked, row.seq, "its data does not match its digest")
        fields = (row.seq, row.at_us, row.actor, row.kind, row.subject, row.data_digest)
        if row.previous != previous or hash_of(fields, previous) != row.hash:
            return Verification(checked, row.seq, "its hash does not follow from the entry before it")
        previous, expected, checked = row.hash, expected + 1, checked + 1
    head = JournalHead.objects.filter(id=1).first()
    if head is not None and (head.seq, head.hash) != (expected - 1, previous):
        return Verification(checked, expected, "entries at the end are missing")
    return Verification(checked)


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
    """Matching entries; `limit` 0 reads all."""
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
    for row in rows[:limit] if limit else rows.iterator(chunk_size=2000):
        yield Entry(row.seq, row.at_us / 1_000_000, row.actor, row.kind, row.subject, json.loads(row.data), row.hash)
