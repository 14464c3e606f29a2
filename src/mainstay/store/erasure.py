"""Erasing what is about a person: from the journal, whose chain stays whole, and from what other rooms remember.

A person is the text by which an actor signs, `user:<address>`. Names are replaced by one of chance; the data of
entries that mention the address is replaced as a whole, other data stays and stays provable.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db.models import Q

from mainstay.kernel.event import Event
from mainstay.store.journal import ERASED, canonical, key_of, what_of, who_of
from mainstay.store.models import JournalEntry, RevisionRow
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
    numbers = []
    mention = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w-])", re.IGNORECASE)
    for row in JournalEntry.objects.filter(about).order_by("seq").iterator(chunk_size=500):
        told = mention.search(row.data) is not None
        if told or row.actor == f"user:{address}" or row.subject == f"user/{address}":
            _erase_entry(row, address, name, told=told)
            numbers.append(row.seq)
    RevisionRow.objects.filter(actor=f"user:{address}").update(actor=f"user:{name}")
    for forget in _forgetters:
        forget(f"user:{address}", f"user:{name}")
    if numbers:
        data = {"person": name, "entries": [list(span) for span in _spans(numbers)]}
        work.record(Event(ERASED, f"user/{name}", data))
    return Erased(name, len(numbers))


def _erase_entry(row: JournalEntry, address: str, name: str, *, told: bool) -> None:
    kept = json.loads(row.erased) if row.erased else {"who": _who(row), "key": key_of(row.salt)}
    if told:
        if "key" in kept:
            kept = {"who": kept["who"], "what": what_of(kept["key"], row.data)}
        row.data = canonical({"erased": name})
    row.actor = f"user:{name}" if row.actor == f"user:{address}" else row.actor
    row.subject = f"user/{name}" if row.subject == f"user/{address}" else row.subject
    row.erased, row.salt = canonical(kept), ""
    row.save(update_fields=["data", "actor", "subject", "erased", "salt"])


def _who(row: JournalEntry) -> str:
    return who_of(row.salt, row.actor, row.subject)


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges without gaps, first and last included."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
