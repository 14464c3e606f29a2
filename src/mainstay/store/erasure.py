"""Erasing what is about a person: from the journal, whose chain stays whole, and from what other rooms remember.

A person is the text by which an actor signs, `user:<address>`. Names are replaced by one of chance; the data of
entries that mention the address is replaced as a whole, other data stays and stays provable.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

from django.conf import settings
from django.db.models import Q

from mainstay.kernel.settings import Settings
from mainstay.store.events import JournalErased
from mainstay.store.models import JournalEntry, RevisionRow
from mainstay.store.proof import erase_parts, shown, shown_digest, shows_only_what_it_may
from mainstay.store.seals.files import Fields, Segments
from mainstay.store.seals.forgetting import Forgetting, left_alone, tellings
from mainstay.store.work import Work

Forgetter = Callable[[str, str], None]
_forgetters: list[Forgetter] = []


def on_erasure(forget: Forgetter) -> Forgetter:
    """Register what replaces an actor's text, (before, after), in tables of a capability; within the transaction."""
    if forget not in _forgetters:
        _forgetters.append(forget)
    return forget


@dataclass(frozen=True, slots=True)
class Erased:
    """`name` stands for the person from now on. unsearched: sealed segments whose file is missing."""

    name: str
    entries: int
    unsearched: tuple[str, ...] = ()


def erase(work: Work, address: str) -> Erased:
    """Erase whatever the journal and the rooms know of the person with this address, and tell that it was done."""
    name = f"erased-{secrets.token_hex(5)}"
    about = Q(actor=f"user:{address}") | Q(subject=f"user/{address}") | Q(data__icontains=address)
    numbers = set()
    mention = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w-])", re.IGNORECASE)
    forgetting = Forgetting(settings.MAINSTAY)
    rows = JournalEntry.objects.filter(about).order_by("seq").iterator(chunk_size=500)
    for row in chain[Fields](rows, forgetting.about(address)):
        parts = {
            "actor": row.actor == f"user:{address}",
            "subject": row.subject == f"user/{address}",
            "data": mention.search(row.data) is not None,
        }
        if any(parts.values()):
            erase_parts(row, [part for part, gone in parts.items() if gone], name)
            forgetting.keep(row)
            numbers.add(row.seq)
    RevisionRow.objects.filter(actor=f"user:{address}").update(actor=f"user:{name}")
    for forget in _forgetters:
        forget(f"user:{address}", f"user:{name}")
    if numbers:
        work.record(_told(forgetting, name, numbers))
    forgetting.finish(work)
    return Erased(name, len(numbers), tuple(forgetting.missing))


def tell_again(work: Work, ours: Settings, deleted_to: int) -> None:
    """Before all segments up to this entry are deleted: of what was erased after it and told of together with them."""
    segments = Segments(ours)
    numbers = left_alone(tellings(segments), deleted_to)
    if numbers:
        forgetting, name = Forgetting(ours), f"erased-{secrets.token_hex(5)}"
        work.record(_told(forgetting, name, numbers, deleted_to))
        forgetting.finish(work)


def _told(forgetting: Forgetting, name: str, numbers: set[int], deleted_to: int = 0) -> JournalErased:
    """What tells of it, with a digest of the entries as they became. Entries that were erased before are told of anew,
    with all that was told of together with them."""
    for told in tellings(forgetting.segments):
        if not told.rows.isdisjoint(numbers):
            numbers |= told.rows
    numbers = {number for number in numbers if number > deleted_to}
    rows = []
    for row in forgetting.rows(numbers):
        if not shows_only_what_it_may(row):
            erase_parts(row, [], name)
            forgetting.keep(row)
        rows.append((row.seq, shown(row)))
    spans = [list(span) for span in _spans(number for number, _shown in rows)]
    again = True if deleted_to else None
    return JournalErased(f"user/{name}", person=name, entries=spans, digest=shown_digest(rows), again=again)


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges without gaps, first and last included."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
