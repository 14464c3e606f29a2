"""Units of work: a state change and the events that tell of it, committed together or not at all."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock, SystemClock
from mainstay.kernel.errors import Broken, StoreBusy
from mainstay.kernel.event import Event
from mainstay.store.hub import HUB
from mainstay.store.journal import Appender

Reaction = Callable[["Work", Event], None]

_reactions: dict[str, list[Reaction]] = defaultdict(list)
_active = threading.local()
# SQLite has one writer; waiting here is cheaper and fairer than its busy loop.
_sqlite_turn = threading.RLock()


class Work:
    """An open transaction. `now` is one moment for everything written in it."""

    def __init__(self, actor: Actor, now: float) -> None:
        self.actor = actor
        self.now = now
        self._journal = Appender()
        self._events: list[Event] = []
        self._afterwards: list[Callable[[], None]] = []

    def record(self, event: Event) -> int:
        """Append to the journal and let other capabilities react, in this same transaction."""
        seq = self._journal.append(event, str(self.actor), self.now)
        self._events.append(event)
        for reaction in _reactions[event.kind]:
            reaction(self, event)
        return seq

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run once the transaction is durable; never if it is rolled back."""
        self._afterwards.append(callback)

    def _finish(self) -> None:
        self._journal.finish()

    def _announce(self) -> None:
        for event in self._events:
            HUB.publish(event)
        for callback in self._afterwards:
            callback()


def react(*kinds: str) -> Callable[[Reaction], Reaction]:
    """Register a reaction; capabilities do so in `reactions.py`, which the runtime imports at start."""

    def register(reaction: Reaction) -> Reaction:
        for kind in kinds:
            if reaction not in _reactions[kind]:
                _reactions[kind].append(reaction)
        return reaction

    return register


@contextmanager
def unit_of_work(actor: Actor, clock: Clock | None = None) -> Iterator[Work]:
    """Open a transaction, or join the one that this thread has open already (verbs compose).

    Raises StoreBusy if the database is locked or away; nothing is written then.
    """
    joined: Work | None = getattr(_active, "work", None)
    if joined is not None:
        yield joined
        return
    work = Work(actor, (clock or SystemClock()).now())
    sqlite = connection.vendor == "sqlite"
    if sqlite:
        _sqlite_turn.acquire()
    try:
        with transaction.atomic():
            _active.work = work
            yield work
            work._finish()
    except OperationalError as error:
        if str(error).startswith("no such "):  # SQLite's word for tables that are not those of this version
            raise Broken(f"the database does not fit this version: {error}", hint="start `mainstay up`") from error
        raise StoreBusy(f"the database did not answer: {error}", hint="it is tried again by itself") from error
    finally:
        _active.work = None
        if sqlite:
            _sqlite_turn.release()
    work._announce()
