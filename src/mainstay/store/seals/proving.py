"""Verifying the journal: every seal, that every segment is there, and the entries since the newest seal.

With `everything`, each segment's file is compared with its seal, each entry in it with its hash, and each row of the
database with the entry in the segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from django.conf import settings

from mainstay.kernel.errors import Broken, NotFound, UserError
from mainstay.store.erasures import ERASED, Erasures
from mainstay.store.journal import GENESIS, Head, mistake
from mainstay.store.models import JournalEntry, JournalHead, SealRow
from mainstay.store.seals.documents import Seal, has_key, public_key
from mainstay.store.seals.files import NAMES, Fields, Segments
from mainstay.store.seals.rows import install, seal_of, stored

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings


_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Verification:
    """`broken_at`: the first entry that is not what was written (None: all are); `reason` says how it shows.

    checked: entries that were compared, from `since` on. erased: those of them whose personal data is gone, as a later
    entry tells. deleted_to: entries up to it are gone by age, all but their seals. other_keys: seals that are signed
    with another key than this install's.
    """

    checked: int
    broken_at: int | None = None
    reason: str = ""
    erased: int = 0
    since: int = 1
    deleted_to: int = 0
    segments: int = 0
    other_keys: int = 0


class _Mistake(Exception):
    def __init__(self, at: int, reason: str) -> None:
        self.at, self.reason = at, reason


def verify(
    ours: Settings | None = None, *, everything: bool = False, files: bool = True, known: Seal | None = None
) -> Verification:
    """known: a seal from outside, through which the whole chain must pass. files: False leaves segments out.

    UserError if `known` is of another install. Unavailable if the place of the segments does not answer.
    """
    ours = ours or settings.MAINSTAY
    if known is not None and known.seq and known.install != install():
        raise UserError(f"the seal belongs to the install {known.install}; this is {install()}")
    segments = Segments(ours, fresh=True) if files and SealRow.objects.exists() else None
    try:
        for _attempt in range(_ATTEMPTS):
            before = _state()
            found = _Run(ours, segments, everything=everything or known is not None, known=known).result()
            if found.broken_at is None or before == _state():
                break
        return found
    finally:
        if segments is not None:
            segments.close()


class _Run:
    def __init__(self, ours: Settings, segments: Segments | None, *, everything: bool, known: Seal | None) -> None:
        self._ours, self._segments, self._everything, self._known = ours, segments, everything, known
        self._sealed: list[tuple[SealRow, Seal]] = []
        self._end = Head(0, GENESIS)  # of what was compared so far
        self._found, self._checked = Verification(0), 0
        self._erasures = Erasures()

    def result(self) -> Verification:
        try:
            self._seals()
            self._places()
            if self._everything:
                for row, seal in self._sealed:
                    self._segment(row, seal)
            elif self._sealed:
                self._end = Head(self._sealed[-1][1].seq, self._sealed[-1][1].hash)
                self._found = replace(self._found, since=self._end.seq + 1)
            self._rest()
        except _Mistake as wrong:
            return replace(self._found, checked=self._checked, broken_at=wrong.at, reason=wrong.reason)
        return replace(self._found, checked=self._checked, erased=self._erasures.count)

    def _seals(self) -> None:
        """Each follows from the one before."""
        end, ours = self._end, public_key(self._ours) if has_key(self._ours) else ""
        for row in SealRow.objects.order_by("first"):
            try:
                seal = seal_of(row)
            except Broken as error:
                raise _Mistake(row.first, error.message) from None
            if seal.first != end.seq + 1:
                raise _Mistake(end.seq + 1, f"the seal of the entries from {end.seq + 1} on is missing")
            if seal.previous != end.hash:
                raise _Mistake(seal.first, f"the seal of entries {seal.first} to {seal.seq} does not follow on")
            self._sealed.append((row, seal))
            end = Head(seal.seq, seal.hash)
        self._found = replace(
            self._found,
            segments=len(self._sealed),
            deleted_to=max([seal.seq for _row, seal in self._sealed if seal.deleted], default=0),
            other_keys=sum(seal.key != ours for _row, seal in self._sealed),
        )
        self._erasures.gone_to = self._found.deleted_to

    def _places(self) -> None:
        """Whether each segment is there."""
        if self._segments is None:
            return
        sizes = self._segments.sizes()
        for _row, seal in self._sealed:
            if not seal.deleted and sizes.get(seal.name) != seal.bytes:
                if seal.name not in sizes:
                    raise _Mistake(seal.first, f"the segment {seal.name} is missing from {self._segments.address}")
                raise _Mistake(seal.first, f"the segment {seal.name} is not the file that was sealed: its size differs")

    def _segment(self, row: SealRow, seal: Seal) -> None:
        """Every entry of a segment, in its file and in the database."""
        if seal.deleted or (self._segments is None and row.place == "file"):
            self._pass_over(seal)
            return
        here = _rows_of(seal) if row.place == "both" else None
        if self._segments is None:
            for one in here or ():
                self._entry(one)
        else:
            try:
                self._segments.path(seal)
                self._both(seal, self._segments.entries(seal), here)
            except (Broken, NotFound) as error:
                raise _Mistake(seal.first, error.message) from None
        if self._end != Head(seal.seq, seal.hash):
            raise _Mistake(self._end.seq + 1, f"entries {seal.first} to {seal.seq} do not end as their seal states")

    def _both(self, seal: Seal, sealed: Iterable[Fields], here: Iterable[Fields] | None) -> None:
        for one, row in zip_longest(sealed, here or ()):
            number = self._end.seq + 1
            if one is None:
                raise _Mistake(number, f"it is in the database and not in the segment {seal.name}")
            before = self._end.hash
            if here is not None:
                if row is None or row.seq != one.seq:
                    raise _Mistake(number, "the entry is missing in the database")
                if reason := mistake(row, number, before):
                    raise _Mistake(number, f"{reason} in the database; the segment {seal.name} has it")
                if any(getattr(row, name) != getattr(one, name) for name in NAMES):
                    raise _Mistake(number, f"the database and the segment {seal.name} differ")
            self._entry(one)

    def _pass_over(self, seal: Seal) -> None:
        """Of these entries the seal alone is left, or looked at."""
        if self._known is not None and seal.first <= self._known.seq <= seal.seq:
            if self._known.seq != seal.seq:
                raise UserError(f"entries {seal.first} to {seal.seq} are deleted: nothing within them can be compared")
            self._compare_known(seal.seq, seal.hash)
        self._end = Head(seal.seq, seal.hash)

    def _entry(self, row: Fields) -> None:
        if reason := mistake(row, self._end.seq + 1, self._end.hash):
            raise _Mistake(min(row.seq, self._end.seq + 1), reason)
        self._compare_known(row.seq, row.hash)
        self._erasures.take(row, told=row.kind == ERASED)
        self._end = Head(row.seq, row.hash)
        self._checked += 1

    def _compare_known(self, seq: int, hashed: str) -> None:
        if self._known is not None and seq == self._known.seq and hashed != self._known.hash:
            raise _Mistake(seq, "the chain up to it is not the one that was sealed")

    def _rest(self) -> None:
        """Entries that are not sealed, and what only shows at the end: erasures, and what is cut off."""
        head = JournalHead.objects.filter(id=1).first()  # asked first: others append meanwhile
        rows = JournalEntry.objects.filter(seq__gt=self._end.seq).order_by("seq")
        for row in (rows if head is None else rows.filter(seq__lte=head.seq)).iterator(chunk_size=2000):
            self._entry(row)
        if not self._everything and self._sealed:
            older = self._erasures.told_before(self._found.since)
            for one in stored(older, self._segments or Segments(self._ours)):
                self._erasures.take(one, told=False)
        if (wrong := self._erasures.mistake()) is not None:
            raise _Mistake(*wrong)
        if head is not None and (head.seq, head.hash) != (self._end.seq, self._end.hash):
            raise _Mistake(self._end.seq + 1, "entries at the end are missing")
        if self._known is not None and self._known.seq > self._end.seq:
            raise _Mistake(self._end.seq + 1, "entries that the seal knows are missing")


def _state() -> list[tuple[object, ...]]:
    """What changes when entries are sealed, erased or moved, while others read them."""
    erased = JournalEntry.objects.filter(kind=ERASED).count()
    return [(erased,), *SealRow.objects.order_by("first").values_list("first", "place", "document")]


def _rows_of(seal: Seal) -> Iterator[JournalEntry]:
    rows = JournalEntry.objects.filter(seq__gte=seal.first, seq__lte=seal.seq).order_by("seq")
    return rows.iterator(chunk_size=2000)
