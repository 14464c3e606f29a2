"""Followers: what a capability does about an event a moment after it was committed, in a lane of its own.

A follower reads its kinds of entries from the journal, in the order in which they were written, from where its cursor
stands: a row, so that it survives a crash and can be read in SQL. What it writes and the step of its cursor are one
transaction; what it does elsewhere may be done again, so it is at least once. No entry appears behind a cursor on
PostgreSQL either: who appends holds the journal's turn until the entry is committed.

An entry at which it fails undoes what was done for that entry alone. It is tried again, ever more slowly, for about
two minutes; then it is set aside and an alert about Mainstay tells of it, since one entry must not keep all later ones
from being followed. A follower is therefore to go by what is true now, where it can, and not by the entry alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import close_old_connections
from django.db.models import Count, Min

from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.store import faults
from mainstay.store.journal import Entry, as_entry, head
from mainstay.store.models import FollowerRow, JournalEntry
from mainstay.store.work import Work, guard_names, log_failure, quietly, unit_of_work

if TYPE_CHECKING:
    from django.db.models import QuerySet

Handler = Callable[[Work, Entry], None]

TRIES = 8  # of one entry; between them 1, 2, 4 ... seconds
_LONGEST = 60.0  # seconds between two tries
_BATCH = 100  # entries of one transaction
_BUDGET = 0.05  # seconds after which a batch ends early: others wait for the database meanwhile
_STEP = 1000  # entries of other kinds after which the cursor follows, so that looks stay short
_ACTOR = system("followers")


@dataclass(frozen=True, slots=True)
class Follower:
    """`name` keys its cursor, and is what its lane, health and metrics call it."""

    name: str
    kinds: tuple[str, ...]
    handle: Handler


@dataclass(frozen=True, slots=True)
class Lag:
    """Entries that a follower has not done, and since how many seconds the oldest of them waits."""

    entries: int
    seconds: float


FOLLOWERS: dict[str, Follower] = {}


def follow(name: str, *kinds: str) -> Callable[[Handler], Handler]:
    """Register a follower; a capability does so in `followers.py`, which the runtime imports at start.

    AssertionError if another one has the name: they would share a cursor.
    """

    def register(handle: Handler) -> Handler:
        if name in FOLLOWERS and FOLLOWERS[name].handle is not handle:
            raise AssertionError(f"there is a follower {name} already")
        FOLLOWERS[name] = Follower(name, kinds, handle)
        return handle

    return register


def begin() -> None:
    """Give each new follower its cursor, when the tables were brought to this version.

    It follows what happens from then on: what happened before was done by the version that wrote it. Alerts about parts
    that this version has no more end.
    """
    new = set(FOLLOWERS) - set(FollowerRow.objects.values_list("name", flat=True))
    at = head().seq
    FollowerRow.objects.bulk_create([FollowerRow(name=name, seq=at) for name in sorted(new)], ignore_conflicts=True)
    if faults.any_known():
        with unit_of_work(_ACTOR) as work:
            for event in faults.forget_unknown(guard_names() | set(FOLLOWERS)):
                work.record(event)


def catch_up(follower: Follower, clock: Clock | None = None) -> float | None:
    """Do all that waits. Seconds until the entry at which it failed is due again; None if nothing is left.

    Raises StoreBusy; nothing is lost then.
    """
    close_old_connections()
    while not _is_idle(follower):
        wait = quietly(_ACTOR, clock, partial(_do_some, follower))
        if wait is not None:
            return wait
    return None


def _is_idle(follower: Follower) -> bool:
    """Whether the cursor need not move; read without a transaction, so that looking takes nobody's turn."""
    newest, seq = head().seq, _cursor(follower)
    return newest - seq < _STEP and not _waiting(follower, seq).exists()


def _cursor(follower: Follower) -> int:
    return FollowerRow.objects.filter(name=follower.name).values_list("seq", flat=True).first() or 0


def _waiting(follower: Follower, seq: int) -> QuerySet[JournalEntry]:
    return JournalEntry.objects.filter(seq__gt=seq, kind__in=follower.kinds)


def _do_some(follower: Follower, work: Work) -> float | None:
    cursor = FollowerRow.objects.select_for_update().filter(name=follower.name).first()
    cursor = cursor or FollowerRow(name=follower.name, seq=0)
    pause = cursor.next_at_us / 1_000_000 - work.now
    if 0 < pause <= _LONGEST:  # a longer one is of a clock that was set back since
        return pause
    began, newest, wait = time.monotonic(), head().seq, 0.0
    some = [as_entry(row) for row in _waiting(follower, cursor.seq).order_by("seq")[:_BATCH]]
    for entry in some:
        wait = _do_one(follower, work, cursor, entry)
        if wait or time.monotonic() - began > _BUDGET:
            break
    if not some:
        cursor.seq = max(cursor.seq, newest)
    cursor.save()
    return wait or None


def _do_one(follower: Follower, work: Work, cursor: FollowerRow, entry: Entry) -> float:
    """Seconds to wait for the next try, 0 if the entry is done or set aside."""
    error = work.attempt(partial(follower.handle, work, entry))
    if error is not None and cursor.tries + 1 < TRIES:
        wait = min(2.0**cursor.tries, _LONGEST)
        cursor.tries, cursor.next_at_us = cursor.tries + 1, int((work.now + wait) * 1_000_000)
        log_failure(follower.name, entry, error)
        return wait
    aside = f"entry {entry.seq} of the journal was tried {TRIES} times and set aside"
    work.note(follower.name, entry, error, aside)
    cursor.seq, cursor.tries, cursor.next_at_us = entry.seq, 0, 0
    return 0.0


def wait_for(seq: int) -> bool:
    """Whether some follower has yet to do an entry up to this one."""
    found = (_waiting(one, _cursor(one)).filter(seq__lte=seq).exists() for one in FOLLOWERS.values())
    return any(found)


def lag(follower: Follower, now: float) -> Lag:
    """`now` is epoch seconds."""
    close_old_connections()
    found = _waiting(follower, _cursor(follower)).aggregate(count=Count("seq"), oldest=Min("at_us"))
    oldest = found["oldest"]
    return Lag(found["count"], 0.0 if oldest is None else max(0.0, now - oldest / 1_000_000))


def lags(now: float) -> dict[str, Lag]:
    """Of every follower, for metrics."""
    return {name: lag(follower, now) for name, follower in FOLLOWERS.items()}
