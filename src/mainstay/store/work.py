"""Units of work: a state change and the events that tell of it, committed together or not at all.

Guards look at each event within its transaction: alerting, so that no transition is committed without its alert, and
the few that must be in step with it (ADR 22). Whatever else follows from an event is done by followers.py, later.

On PostgreSQL several processes write. One lock order keeps them from waiting for each other in a circle: the
journal's turn first, then leases, then rows. A unit takes the turn when it begins, which also makes units that tell
of something run one after the other, as they do on SQLite. A `quiet` one has nothing to tell and takes no turn.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, InternalError, OperationalError, connection, transaction

from mainstay.kernel.actor import Actor
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.clock import Clock, SystemClock
from mainstay.kernel.errors import Broken, StoreBusy, UserError
from mainstay.kernel.event import Event, Happened
from mainstay.store.faults import Faults, name_of
from mainstay.store.hub import HUB
from mainstay.store.journal import Appender
from mainstay.store.timing import TIMINGS, name_of_frame, name_of_job
from mainstay.store.turn import Turn

log = structlog.get_logger("store")

T = TypeVar("T")
G = TypeVar("G", bound="AnyGuard")
Guard = Callable[["Work", Event], None]
ManyGuard = Callable[["Work", Sequence[Event]], None]
AnyGuard = Callable[["Work", Any], None]

_LONG = 120  # seconds that a long unit may compute between two statements; see runtime.boot
_CUT_OFF = ("25P03", "57P01")  # SQLSTATE: ended by the server, for being idle in a transaction or at a shutdown

_BREATH = 0.005  # seconds

_guards: dict[str, list[AnyGuard]] = defaultdict(list)
_taking_many: set[AnyGuard] = set()
_active = threading.local()
# SQLite has one writer; waiting here is cheaper and fairer than its busy loop.
_sqlite_turn = Turn()


class Work:
    """An open transaction. `now` is one moment for everything written in it."""

    def __init__(self, actor: Actor, now: float, *, quiet: bool = False) -> None:
        self.actor = actor
        self.now = now
        self._quiet = quiet
        self._journal = Appender()
        self._events: list[tuple[int, Event]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._faults = Faults()

    def record(self, event: Event) -> int:
        """Append to the journal and let guards look at it, in this same transaction."""
        return self.record_all([event])[0]

    def record_all(self, events: Sequence[Event]) -> list[int]:
        """The same for many, whose entries are written at once, before any guard has looked at one of them."""
        for event in events:
            if event.kind not in CAPABILITIES.events:
                raise AssertionError(f"undeclared event kind {event.kind}")
            if self._quiet:
                raise _NotQuiet(event.kind)
        numbers = self._journal.append(events, str(self.actor), self.now)
        self._events += zip(numbers, events, strict=True)
        for kind, run in groupby(events, lambda event: event.kind):
            alike = list(run)
            for guard in _guards[kind]:
                self._guard(guard, alike)
        return numbers

    def _guard(self, guard: AnyGuard, events: Sequence[Event]) -> None:
        """Each in a savepoint of its own, or all in one where the guard takes many; one bad event undoes no other."""
        whole = len(events) > 1 and guard in _taking_many
        if whole and self.attempt(partial(guard, self, events)) is None:
            for event in events:
                self.note(name_of(guard), event, None)
            return
        for event in events:
            what: Any = [event] if guard in _taking_many else event
            error = self.attempt(partial(guard, self, what))
            if isinstance(error, UserError):
                raise error
            self.note(name_of(guard), event, error)

    def attempt(self, job: Callable[[], None]) -> Exception | None:
        """Do a job in a savepoint. What it raises undoes the job alone and is returned.

        Troubles of the database itself are raised: they concern the whole unit.
        """
        head = None if self._quiet else self._journal.mark()
        events, callbacks = len(self._events), len(self._afterwards)
        try:
            with transaction.atomic():
                job()
        except (_NotQuiet, StoreBusy, OperationalError, InterfaceError):
            raise
        except Exception as error:
            if _was_cut_off(error):
                raise
            if head is not None:
                self._journal.back_to(head)
            del self._events[events:], self._afterwards[callbacks:]
            self._faults = Faults()  # what it kept may be undone too
            return error
        return None

    def note(self, part: str, event: Happened, error: Exception | None, aside: str = "") -> None:
        """How a part of this program did at an event: a mistake is logged, and told once, with what came of it."""
        if error is None:
            told = self._faults.worked(part, event, self.now)
        else:
            log_failure(part, event, error)
            told = self._faults.failed(part, event, error, self.now, aside)
        if told is not None:
            self.record(told)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run once the transaction is durable; never if it is rolled back."""
        self._afterwards.append(callback)

    def _begin(self) -> None:
        if not self._quiet:
            self._journal.take_turn()

    def _finish(self) -> None:
        self._journal.finish()

    def _announce(self) -> None:
        for seq, event in self._events:
            HUB.publish(event, seq)
        for callback in self._afterwards:
            callback()


def log_failure(part: str, event: Happened, error: Exception) -> None:
    log.error("failed on an event, which remains recorded", part=part, event_kind=event.kind, exc_info=error)


def guard(*kinds: str) -> Callable[[Guard], Guard]:
    """Register a guard; a capability does so in `guards.py`, which the runtime imports at start.

    What it raises undoes itself alone and opens an alert about Mainstay; a UserError refuses the whole unit.
    """
    return partial(_register, kinds)


def guard_many(*kinds: str) -> Callable[[ManyGuard], ManyGuard]:
    """The same of one that is given the events of a kind that are recorded together, and reads and writes for all."""

    def register(one: ManyGuard) -> ManyGuard:
        _taking_many.add(one)
        return _register(kinds, one)

    return register


def _register(kinds: Sequence[str], one: G) -> G:
    for kind in kinds:
        if one not in _guards[kind]:
            _guards[kind].append(one)
    return one


def guard_names() -> set[str]:
    return {name_of(one) for guards in _guards.values() for one in guards}


class _NotQuiet(Exception):
    """A quiet unit has something to tell: it must be done again, with the journal's turn taken first."""


def unit_of_work(
    actor: Actor, clock: Clock | None = None, *, quiet: bool = False, long: bool = False, name: str = ""
) -> AbstractContextManager[Work]:
    """Open a transaction, or join the one that this thread has open already (verbs compose).

    quiet: nothing will be recorded. long: it computes for seconds between statements. name: what its duration is
    noted under; without one, the function that calls.
    Raises StoreBusy if the database is locked or away; nothing is written then.
    """
    joined: Work | None = getattr(_active, "work", None)
    if joined is not None:
        return nullcontext(joined)
    work = Work(actor, (clock or SystemClock()).now(), quiet=quiet and connection.vendor != "sqlite")
    return _timed(work, name or name_of_frame(sys._getframe(1)), long=long)


@contextmanager
def _timed(work: Work, name: str, *, long: bool) -> Iterator[Work]:
    """The unit, and a note of the seconds for which it waited and held the turn."""
    began, started = time.perf_counter(), None
    if connection.vendor == "sqlite":
        _sqlite_turn.acquire()
    try:
        with _open(work, long=long):
            started = time.perf_counter()
            yield work
    finally:
        _active.work = None
        if connection.vendor == "sqlite":
            _sqlite_turn.release()
        if started is not None:
            TIMINGS.note(name, started - began, time.perf_counter() - started)
    work._announce()


@contextmanager
def _open(work: Work, *, long: bool) -> Iterator[None]:
    """The transaction itself; what the database says of being busy or away is a StoreBusy."""
    try:
        with transaction.atomic():
            if connection.vendor != "sqlite":
                _open_shared(work, long=long)
            _active.work = work
            yield
            work._finish()
    except OperationalError as error:
        if str(error).startswith("no such "):  # SQLite's word for tables that are not those of this version
            raise Broken(f"the database does not match this version: {error}", hint="start `mainstay up`") from error
        raise _busy(error) from error
    except InterfaceError as error:
        raise _busy(error) from error
    except InternalError as error:
        if _was_cut_off(error):
            raise _busy(error) from error
        raise


def quietly(actor: Actor, clock: Clock | None, job: Callable[[Work], T]) -> T:
    """A unit that seldom has something to tell. If it has, all is undone and the job runs again, loud."""
    name = name_of_job(job)
    try:
        with unit_of_work(actor, clock, quiet=True, name=name) as work:
            return job(work)
    except _NotQuiet:
        with unit_of_work(actor, clock, name=name) as work:
            return job(work)


SLICE = 100  # things that are changed in one transaction, where many are


def in_slices(work: Work, items: Sequence[T], job: Callable[[Sequence[T]], None]) -> None:
    """Do what follows from a change for all these things: at once for a few, within this transaction.

    For many, after its commit and some at a time, so that others write in between; the job opens a unit of its own,
    late. What a crash leaves undone, the lanes of a server do at their next look.
    """
    if len(items) <= SLICE:
        job(items)
        return

    def later() -> None:
        for some in sliced(items):
            job(some)
            breathe()

    work.after_commit(later)


def sliced(items: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def breathe() -> None:
    """Between two slices: whoever waits in another process, or for the interpreter, gets its turn."""
    time.sleep(_BREATH)


def _open_shared(work: Work, *, long: bool) -> None:
    if long:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_LONG}s'")
    work._begin()


def _was_cut_off(error: Exception) -> bool:
    return isinstance(error, InternalError) and getattr(error.__cause__, "sqlstate", None) in _CUT_OFF


def _busy(error: Exception) -> StoreBusy:
    return StoreBusy(f"the database did not answer: {error}", hint="it will be retried automatically")
