"""Erasing what is about a person: from the journal, whose chain stays whole, and from what other rooms remember.

A person is the text by which an actor signs, `user:<address>`. Names are replaced by one of chance; the data of
entries that mention the address is replaced as a whole, other data stays and stays provable.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db.models import Q

from mainstay.store.erasures import ERASED, told_by
from mainstay.store.events import JournalErased
from mainstay.store.models import JournalEntry, RevisionRow
from mainstay.store.proof import erase_parts, shown, shown_digest, shows_only_what_it_may
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
    """`name` stands for the person from now on."""

    name: str
    entries: int


def erase(work: Work, address: str) -> Erased:
    """Erase whatever the journal and the rooms know of the person with this address, and tell that it was done."""
    name = f"erased-{secrets.token_hex(5)}"
    about = Q(actor=f"user:{address}") | Q(subject=f"user/{address}") | Q(data__icontains=address)
    numbers = set()
    mention = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w-])", re.IGNORECASE)
    for row in JournalEntry.objects.filter(about).order_by("seq").iterator(chunk_size=500):
        parts = {
            "actor": row.actor == f"user:{address}",
            "subject": row.subject == f"user/{address}",
            "data": mention.search(row.data) is not None,
        }
        if any(parts.values()):
            _erase(row, [part for part, gone in parts.items() if gone], name)
            numbers.add(row.seq)
    RevisionRow.objects.filter(actor=f"user:{address}").update(actor=f"user:{name}")
    for forget in _forgetters:
        forget(f"user:{address}", f"user:{name}")
    if numbers:
        work.record(_told(name, numbers))
    return Erased(name, len(numbers))


def _told(name: str, numbers: set[int]) -> JournalErased:
    """What tells of it, with a digest of the entries as they became. Entries that were erased before are told of anew,
    with all that was told of together with them."""
    for row in JournalEntry.objects.filter(kind=ERASED).order_by("-seq"):
        told = told_by(row.seq, row.data)
        if not told.rows.isdisjoint(numbers):
            numbers |= told.rows
    rows = []
    for row in JournalEntry.objects.filter(seq__in=numbers).order_by("seq").iterator(chunk_size=500):
        if not shows_only_what_it_may(row):
            _erase(row, [], name)
        rows.append((row.seq, shown(row)))
    spans = [list(span) for span in _spans(sorted(numbers))]
    return JournalErased(f"user/{name}", person=name, entries=spans, digest=shown_digest(rows))


def _erase(row: JournalEntry, parts: list[str], name: str) -> None:
    erase_parts(row, parts, name)
    row.save(update_fields=["data", "actor", "subject", "erased", "salt"])


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges without gaps, first and last included."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
