"""Erasing in sealed segments: what an erasure changes is collected, then each segment is written and signed anew.

The chain stays as it is, since it covers digests only; so a seal that was kept elsewhere still proves it, while the
digest of the file is another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import Broken, NotFound
from mainstay.store.erasures import ERASED, Told, told_by
from mainstay.store.models import JournalEntry, SealRow
from mainstay.store.seals.documents import sign
from mainstay.store.seals.files import Fields, Segments, digest
from mainstay.store.seals.rows import AMONG, moved_to, present, seal_of, stored

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings
    from mainstay.store.seals.documents import Seal
    from mainstay.store.work import Work

_ABOUT = "actor = ? OR subject = ? OR contains(lower(data), lower(?))"


class Forgetting:
    """The entries of one erasure as they become; `missing` are segments that could not be searched or rewritten."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.segments = Segments(settings)
        self._changed: dict[int, Fields] = {}
        self.missing: list[str] = []

    def about(self, address: str) -> Iterator[Fields]:
        """Entries that have left the database and may be about the person with this address."""
        for row in SealRow.objects.filter(place="file").order_by("first"):
            seal = seal_of(row)
            try:
                found = self.segments.entries(seal, _ABOUT, [f"user:{address}", f"user/{address}", address])
                yield from (entry for entry in found if entry.seq not in self._changed)
            except NotFound:
                self.missing.append(seal.name)

    def rows(self, numbers: Collection[int]) -> Iterator[Fields]:
        """These entries, in order, with what was changed of them so far."""
        yield from sorted(
            [
                *(self._changed[number] for number in numbers if number in self._changed),
                *stored([number for number in numbers if number not in self._changed], self.segments),
            ],
            key=attrgetter("seq"),
        )

    def keep(self, row: Fields) -> None:
        """Store an entry as it has become: in the database now, in its segment once all of them are known."""
        kept = {name: getattr(row, name) for name in ("data", "actor", "subject", "erased", "salt")}
        JournalEntry.objects.filter(seq=row.seq).update(**kept)
        self._changed[row.seq] = row

    def finish(self, work: Work) -> None:
        """Write the segments of what was changed. Broken if one of them is not as it was sealed: nothing is erased."""
        for row in SealRow.objects.exclude(place="deleted").order_by("first"):
            inside = [self._changed[number] for number in sorted(self._changed) if row.first <= number <= row.last]
            if inside:
                self._rewrite(work, row, inside)

    def _rewrite(self, work: Work, row: SealRow, inside: list[Fields]) -> None:
        seal = seal_of(row)
        try:
            path = self.segments.path(seal)
        except NotFound:
            if seal.name not in self.missing:
                self.missing.append(seal.name)
            return
        self._compare(seal, inside)
        with self.segments.made(inside, path) as made:
            new = replace(seal, at=to_iso(work.now), file=digest(made), bytes=made.stat().st_size)
            self.segments.put(new.name, made)
        row.document = sign(new, self._settings)
        row.save()
        work.after_commit(lambda: self.segments.delete(seal.name))

    def _compare(self, seal: Seal, inside: list[Fields]) -> None:
        """What the database says must be what was sealed: nobody's change is signed along."""
        numbers = [one.seq for one in inside]
        sealed = {one.seq: one.data_digest for one in self.segments.entries(seal, AMONG, [numbers])}
        for one in inside:
            if sealed.get(one.seq) != one.data_digest:
                raise Broken(
                    f"entry {one.seq} in the database is not the one in the segment {seal.name}",
                    hint="`mainstay journal verify --all` says more; nothing was erased",
                )


def tellings(segments: Segments) -> list[Told]:
    """Every `journal.erased` that is left, newest first."""
    found: list[Fields] = []
    floor = moved_to()
    for row in SealRow.objects.filter(place="file"):
        found += present(segments, seal_of(row), "kind = ?", [ERASED])
    found += JournalEntry.objects.filter(kind=ERASED, seq__gt=floor)
    return [told_by(one.seq, one.data) for one in sorted(found, key=attrgetter("seq"), reverse=True)]


def left_alone(told: Iterable[Told], deleted_to: int) -> set[int]:
    """Erased entries that are told of only together with some up to `deleted_to`, whose digest nobody can make again
    once those are gone. `told`: newest first."""
    covered: set[int] = set()
    found: set[int] = set()
    for one in told:
        rest = {number for number in one.rows if number > deleted_to}
        if not rest <= covered and len(rest) < len(one.rows):
            found |= rest
        covered |= rest
    return found
