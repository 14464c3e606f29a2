"""The journal: append-only, one hash chain, written in the transaction of the change it tells of.

    hash = SHA-256(canonical JSON of [seq, at_us, kind, digest, previous hash])

The chain covers a digest and not the names and data themselves (store/proof.py), so that what is about a person can be
erased (store/erasure.py) while every hash stays valid. An entry counts as erased only if a later `journal.erased`
tells of it, with a digest of all that it tells of as it became. store/seals verifies all of it, and keeps what is old.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.kernel.event import Happened
from mainstay.kernel.views import At, View
from mainstay.store.models import JournalEntry, JournalHead
from mainstay.store.proof import canonical, digest_of, holds, sha256
from mainstay.store.rows import insert_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet

    from mainstay.store.seals.files import Fields

_COLUMNS = ["seq", "at_us", "actor", "kind", "subject", "data", "salt", "data_digest", "erased", "previous", "hash"]
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

    def append(self, events: Sequence[Happened], actor: str, at: float) -> list[int]:
        """Write an entry for each, in one statement, and return their sequence numbers."""
        head, at_us, rows = self.take_turn(), int(at * 1_000_000), []
        for event in events:
            seq, data, salt = head.seq + 1, canonical(event.data), os.urandom(16).hex()
            digest = digest_of(salt, actor, event.subject, data)
            hashed = hash_of((seq, at_us, event.kind, digest), head.hash)
            rows.append((seq, at_us, actor, event.kind, event.subject, data, salt, digest, "", head.hash, hashed))
            head.seq, head.hash = seq, hashed
        insert_rows("journal", _COLUMNS, rows)
        self._written |= bool(rows)
        return [row[0] for row in rows]

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
class Entry(View):
    """One journal entry as readers see it."""

    seq: int
    at: At
    actor: str
    kind: str
    subject: str
    data: dict[str, Any]
    hash: str


def mistake(row: Fields, expected: int, previous: str) -> str:
    """Why this is not the entry that was written with this number after that hash; empty if it is."""
    if row.seq != expected:
        return "the entry is missing"
    if not holds(row):
        return "its data does not match its digest"
    fields = (row.seq, row.at_us, row.kind, row.data_digest)
    # A segment does not repeat the hash of the entry before.
    if getattr(row, "previous", previous) != previous or hash_of(fields, previous) != row.hash:
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
    """Matching entries of the database, which is all that happened lately; older ones are found by
    `store.seals.reading.history`. `limit` 0 reads all, in slices: who takes long over them holds no transaction open.
    """
    rows = _fitting(wanted).order_by("-seq" if newest_first else "seq")
    for row in rows[:limit] if limit else _sliced(rows, "seq__lt" if newest_first else "seq__gt"):
        yield as_entry(row)


def as_entry(row: Fields) -> Entry:
    return Entry(row.seq, row.at_us / 1_000_000, row.actor, row.kind, row.subject, json.loads(row.data), row.hash)


def _fitting(wanted: Filter) -> QuerySet[JournalEntry]:
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
    return rows


def _sliced(rows: QuerySet[JournalEntry], beyond: str) -> Iterator[JournalEntry]:
    some = list(rows[:_SLICE])
    while some:
        yield from some
        some = list(rows.filter(**{beyond: some[-1].seq})[:_SLICE]) if len(some) == _SLICE else []
