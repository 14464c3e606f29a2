"""Seals as the database has them, and entries wherever they are stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.kernel.errors import Broken, NotFound, UserError
from mainstay.store.journal import GENESIS, Head
from mainstay.store.models import JournalEntry, SealRow
from mainstay.store.seals.documents import Seal, read_seal
from mainstay.store.seals.files import Fields, Segments

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings

AMONG = "seq IN (SELECT unnest(?::BIGINT[]))"
_AT_ONCE = 500


def seal_of(row: SealRow) -> Seal:
    """Broken if its signature is not good, or the row says something else."""
    named = f"the seal of entries {row.first} to {row.last}"
    try:
        seal = read_seal(row.document)
    except UserError as error:
        raise Broken(f"{named} does not match its signature: {error.message}") from None
    said = (seal.first, seal.seq, seal.oldest_us, seal.newest_us, bool(seal.deleted))
    if said != (row.first, row.last, row.oldest_us, row.newest_us, row.place == "deleted"):
        raise Broken(f"{named} does not match its signature: the database row differs")
    return seal


def sealed_to() -> Head:
    """Where the newest seal ends; seq 0 before the first."""
    row = SealRow.objects.order_by("-first").first()
    if row is None:
        return Head(0, GENESIS)
    seal = seal_of(row)
    return Head(seal.seq, seal.hash)


def moved_to() -> int:
    """The last entry that is read from its segment, or is gone: rows up to it are none of the database's any more."""
    return SealRow.objects.exclude(place="both").order_by("-first").values_list("last", flat=True).first() or 0


def install() -> str:
    """The name of this install: the beginning of its journal's first hash."""
    first = JournalEntry.objects.filter(seq=1).values_list("hash", flat=True).first()
    if first is None and (sealed := SealRow.objects.order_by("first").first()) is not None:
        return seal_of(sealed).install
    return str(first or "0" * 8)[:8]


def stored(numbers: Collection[int], segments: Segments) -> Iterator[Fields]:
    """These entries in order, from the database or their segments, but for those whose segment is gone."""
    floor = moved_to()
    for row in SealRow.objects.filter(place="file").order_by("first") if numbers and min(numbers) <= floor else ():
        if inside := [number for number in numbers if row.first <= number <= row.last]:
            yield from present(segments, seal_of(row), AMONG, [inside])
    here = sorted(number for number in numbers if number > floor)
    for begin in range(0, len(here), _AT_ONCE):
        yield from JournalEntry.objects.filter(seq__in=here[begin : begin + _AT_ONCE]).order_by("seq")


def present(segments: Segments, seal: Seal, where: str, values: Sequence[Any]) -> Iterator[Fields]:
    """Entries of a segment that fit; none if its file is missing."""
    with suppress(NotFound):
        yield from segments.entries(seal, where, values)


def bring_back(folder: Path, settings: Settings) -> list[str]:
    """Put the segments that a snapshot brought into their place; names of those that are missing there."""
    segments, wanted = Segments(settings), {seal_of(row).name for row in SealRow.objects.exclude(place="deleted")}
    for path in sorted(folder.glob("*.parquet")):
        if path.name in wanted and path.name not in segments.sizes():
            segments.put(path.name, path)
    return sorted(wanted - segments.sizes().keys())
