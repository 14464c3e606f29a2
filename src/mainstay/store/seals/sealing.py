"""Making seals, and what follows by age: rows leave the database, then segments are deleted, all but their seals.

A segment's file is written first and the row that names it after. What a crash leaves in between is a file that no
seal names, from an entry on with which a segment begins, and is swept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mainstay.kernel.clock import Clock, to_iso
from mainstay.kernel.errors import Broken, Conflict, UserError
from mainstay.store.erasure import tell_again
from mainstay.store.erasures import ERASED
from mainstay.store.events import JournalMovedOut, JournalSealed, JournalSegmentDeleted
from mainstay.store.followers import wait_for
from mainstay.store.journal import Head, head, mistake
from mainstay.store.models import JournalEntry, SealRow
from mainstay.store.seals.documents import Seal, prefix, sign
from mainstay.store.seals.files import Segments, digest
from mainstay.store.seals.rows import install, moved_to, seal_of, sealed_to
from mainstay.store.work import unit_of_work

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.settings import Settings

ENTRIES = 50_000  # of a segment, or fewer if they are BYTES together
BYTES = 32 * 1024 * 1024
EVERY = 86_400.0  # seconds after which fewer are sealed
_REMOVED = 1000  # rows in one transaction


def is_due(now: float, most: int = ENTRIES) -> bool:
    """Whether an entry waits for its seal for a day, or as many do as a segment takes."""
    row = SealRow.objects.order_by("-first").first()
    if head().seq - (row.last if row else 0) >= most:
        return True
    if (first := _first_news()) is None:
        return False
    # What is of later than now was written before the clock was set back.
    return not now - EVERY < first.at_us / 1_000_000 <= now


def _first_news() -> JournalEntry | None:
    """The first entry that is not sealed, unless nothing happened since the last seal told of itself."""
    news = JournalEntry.objects.filter(seq__gt=sealed_to().seq).order_by("seq")[:2]
    return None if [row.kind for row in news] in ([], [JournalSealed.kind]) else news[0]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A segment that lies in its place, and is none until `commit`. seen: where the chain ended before it was read."""

    seal: Seal
    seen: int


class _Checked:
    """Entries from `start` on, each compared with its hash; Broken at the first that is not as it was written."""

    def __init__(self, start: Head, most: int) -> None:
        self.end, self._most = start, most
        self.times: list[int] = []  # the earliest and the latest

    def __iter__(self) -> Iterator[JournalEntry]:
        size, begin = 0, self.end.seq
        rows = JournalEntry.objects.filter(seq__gt=begin).order_by("seq")[: self._most]
        for row in rows.iterator(chunk_size=1000):
            if reason := mistake(row, self.end.seq + 1, self.end.hash):
                raise Broken(
                    f"entry {self.end.seq + 1} was altered: {reason}",
                    hint="nothing from there on is sealed; compare with a snapshot",
                )
            size += len(row.data) + len(row.erased)
            if size > BYTES and self.end.seq > begin:
                return
            self.times = [min([*self.times, row.at_us]), max([*self.times, row.at_us])]
            self.end = Head(row.seq, row.hash)
            yield row


def prepare(settings: Settings, most: int = ENTRIES) -> Prepared | None:
    """Write the segment of what waits, in no transaction; None if nothing does. Broken if an entry was altered."""
    start, seen = sealed_to(), head().seq
    if seen <= start.seq:
        return None
    checked, segments = _Checked(start, most), Segments(settings)
    with segments.made(checked) as path:
        if checked.end.seq == start.seq:
            raise Broken(f"entry {start.seq + 1} is missing", hint="compare with a snapshot")
        seal = Seal(
            install=install(),
            first=start.seq + 1,
            seq=checked.end.seq,
            previous=start.hash,
            hash=checked.end.hash,
            oldest_us=checked.times[0],
            newest_us=checked.times[1],
            at="",
            file=digest(path),
            bytes=path.stat().st_size,
        )
        segments.put(seal.name, path)
    return Prepared(seal, seen)


def commit(actor: Actor, settings: Settings, prepared: Prepared, clock: Clock | None = None, channel: str = "") -> str:
    """Sign it, and tell; the seal's document. Conflict if something changed meanwhile: then prepare it again."""
    actor.require("journal:export")
    with unit_of_work(actor, clock) as work:
        seal = replace(prepared.seal, at=to_iso(work.now))
        erased = JournalEntry.objects.filter(seq__gt=prepared.seen, kind=ERASED).exists()
        if erased or sealed_to() != Head(seal.first - 1, seal.previous):
            raise Conflict("the journal changed while its segment was written", hint="seal it again")
        document = sign(seal, settings)
        SealRow.objects.create(
            first=seal.first, last=seal.seq, oldest_us=seal.oldest_us, newest_us=seal.newest_us, document=document
        )
        told = (seal.first, seal.seq, seal.hash, seal.name, seal.bytes)
        work.record(JournalSealed("journal", *told, channel or None))
    return document


def seal_all(actor: Actor, settings: Settings) -> str:
    """Seal whatever waits; the newest seal's document."""
    actor.require("journal:export")
    while _first_news() is not None and (prepared := prepare(settings)) is not None:
        document = commit(actor, settings, prepared)
        if prepared.seal.seq >= prepared.seen:
            return document
    row = SealRow.objects.order_by("-first").first()
    if row is None:
        raise UserError("there is nothing to seal yet")
    return row.document


# By age ----------------------------------------------------------------------------------------------------


def move_out(actor: Actor, settings: Settings, before: float, clock: Clock | None = None) -> None:
    """From now on, segments whose entries are all older than `before` are read from their files.

    Broken or NotFound if a file is not there as it was sealed: its rows stay.
    """
    actor.require("journal:export")
    for row in _old("both", before):
        if wait_for(row.last):
            return
        seal = seal_of(row)
        Segments(settings).path(seal)
        with unit_of_work(actor, clock) as work:
            SealRow.objects.filter(first=row.first, place="both").update(place="file")
            work.record(JournalMovedOut("journal", row.first, row.last, seal.name))


def remove_rows(actor: Actor, clock: Clock | None = None) -> bool:
    """Remove some rows of segments that have left the database; whether more are left."""
    actor.require("journal:export")
    floor = moved_to()
    lowest = JournalEntry.objects.filter(seq__lte=floor).order_by("seq").values_list("seq", flat=True).first()
    if lowest is None:
        return False
    with unit_of_work(actor, clock, quiet=True):
        JournalEntry.objects.filter(seq__lte=min(floor, lowest + _REMOVED - 1)).delete()
    return True


def delete_segments(actor: Actor, settings: Settings, before: float, clock: Clock | None = None) -> None:
    """Delete segments that have left the database and are older than `before`; a seal that says so stays."""
    actor.require("journal:export")
    for row in _old("file", before):
        segments, seal = Segments(settings), seal_of(row)
        with unit_of_work(actor, clock, long=True) as work:
            tell_again(work, settings, row.last)
            row.document = sign(replace(seal, deleted=to_iso(work.now)), settings)
            row.place = "deleted"
            row.save()
            work.record(JournalSegmentDeleted("journal", row.first, row.last, seal.name))
        segments.delete(seal.name)


def _old(place: str, before: float) -> Iterator[SealRow]:
    """The oldest ones, up to the first that is younger."""
    for row in SealRow.objects.filter(place=place).order_by("first"):
        if row.newest_us >= before * 1_000_000:
            return
        yield row


def sweep(actor: Actor, settings: Settings, clock: Clock | None = None) -> list[str]:
    """Delete files that no seal names any more: rewritten, past their time, or left by a crash. Their names.

    Whoever names another one does so with the journal's turn, which is held while they are deleted.
    """
    actor.require("journal:export")
    segments = Segments(settings)
    if not _strays(segments):
        return []
    with unit_of_work(actor, clock):
        found = _strays(segments)
        for name in found:
            segments.delete(name)
    return found


def _strays(segments: Segments) -> list[str]:
    """Only where the file that the seal names is there: another install's are none of ours to delete."""
    there = defaultdict(list)
    for name in segments.sizes():
        there[name.rsplit("-", 2)[0] + "-"].append(name)
    found: list[str] = []
    for row in SealRow.objects.all():
        seal = seal_of(row)
        names = there[prefix(seal.install, seal.first)]
        if seal.deleted or seal.name in names:
            found += [name for name in names if seal.deleted or name != seal.name]
    return found
