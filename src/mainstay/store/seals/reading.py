"""Reading what happened at any time: entries of the database, and of the segments that have left it.

Rows leave the database from the oldest on, after their segment counts as the place to read them. So whoever reads
backwards goes on in the segments below the last entry that the database gave; whoever reads forwards looks, after
each slice, whether some of it left meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.conf import settings

from mainstay.store.journal import Entry, Filter, as_entry, entries
from mainstay.store.models import SealRow
from mainstay.store.seals.files import Segments
from mainstay.store.seals.rows import moved_to, seal_of

_ALL = Filter()
_SLICE = 1000


def history(wanted: Filter = _ALL, *, limit: int = 100, newest_first: bool = True) -> Iterator[Entry]:
    """As `entries`, with those that only segments hold. NotFound names a segment that is missing."""
    read = _backwards(wanted, limit) if newest_first else _forwards(wanted, limit)
    for number, entry in enumerate(read, 1):
        yield entry
        if number == limit:
            return


def _backwards(wanted: Filter, limit: int) -> Iterator[Entry]:
    given = 0
    for entry in entries(wanted, limit=limit):
        wanted, given = replace(wanted, before_seq=entry.seq), given + 1
        yield entry
    if not limit or given < limit:
        yield from _of_segments(wanted, moved_to(), newest_first=True, limit=limit)


def _forwards(wanted: Filter, limit: int) -> Iterator[Entry]:
    while True:
        if (floor := moved_to()) > wanted.after_seq:
            yield from _of_segments(wanted, floor, newest_first=False, limit=limit)
            wanted = replace(wanted, after_seq=floor)
        some = list(entries(wanted, limit=_SLICE, newest_first=False))
        if moved_to() > wanted.after_seq:
            continue  # rows may have gone before they were read
        yield from some
        if len(some) < _SLICE:
            return
        wanted = replace(wanted, after_seq=some[-1].seq)


def _of_segments(wanted: Filter, floor: int, *, newest_first: bool, limit: int) -> Iterator[Entry]:
    segments: Segments | None = None
    where, values = _condition(wanted)
    for row in SealRow.objects.filter(place="file", last__lte=floor).order_by("-first" if newest_first else "first"):
        if _may_hold(row, wanted):
            segments = segments or Segments(settings.MAINSTAY)
            found = segments.entries(seal_of(row), where, values, newest_first=newest_first, limit=limit)
            yield from map(as_entry, found)


def _may_hold(row: SealRow, wanted: Filter) -> bool:
    return (
        row.last > wanted.after_seq
        and (wanted.before_seq is None or row.first < wanted.before_seq)
        and (wanted.since is None or row.newest_us >= int(wanted.since * 1_000_000))
        and (wanted.until is None or row.oldest_us < int(wanted.until * 1_000_000))
    )


def _condition(wanted: Filter) -> tuple[str, list[Any]]:
    kind = wanted.kind.removesuffix("*")
    asked: dict[str, Any] = {
        "seq > ?": wanted.after_seq,
        "seq < ?": wanted.before_seq,
        "starts_with(kind, ?)" if wanted.kind.endswith("*") else "kind = ?": kind or None,
        "subject = ?": wanted.subject or None,
        "contains(lower(actor), lower(?))": wanted.actor or None,
        "contains(lower(data), lower(?))": wanted.text or None,
        "at_us >= ?": None if wanted.since is None else int(wanted.since * 1_000_000),
        "at_us < ?": None if wanted.until is None else int(wanted.until * 1_000_000),
    }
    given = {condition: value for condition, value in asked.items() if value is not None}
    return " AND ".join(given), list(given.values())
