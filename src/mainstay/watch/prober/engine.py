"""The prober's loop: starts what is due, answers what is asked, reports what was found."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, assert_never

from mainstay.integrations.addresses import Guard
from mainstay.kernel.probing import (
    Assign,
    CheckOrder,
    CheckResult,
    Configure,
    OnceDone,
    Ready,
    Recheck,
    RunOnce,
    Stop,
    ToProber,
    Vitals,
    Withdraw,
    finding,
)
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import PreparedCheck, prepare
from mainstay.watch.prober.outbox import Outbox
from mainstay.watch.prober.schedule import Schedule
from mainstay.watch.prober.trust import default_ca_file
from mainstay.watch.prober.wire import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable

_STARTS = 25  # checks started per turn, so that a backlog does not bend the times of those under way
_TURN = 0.01  # seconds between turns while there is a backlog: at most 2,500 starts a second
# Seconds; what is due this soon is started in the same turn. Waking up for each check alone costs a third more CPU
# at 400 checks a second, since caches are cold each time; a longer grain bends the times of checks that share a turn.
_GRAIN = 0.025
_OVERDUE_EVERY = 0.25  # seconds between looks for runs that do not keep to their timeout
_VITALS_EVERY = 1.0
_LAGS_FROM = 60.0  # seconds that the reported lag covers
_LAGS_KEPT = 60_000
_BACKSTOP = 0.5  # seconds beyond its timeout after which a run that does not keep to it is cancelled
_FAREWELL = 1.0  # seconds that checks under way get after Stop


class _Run:
    """One check under way, and what its result says about when and why it ran."""

    __slots__ = ("at", "began", "lag", "order", "scheduled", "ticket")

    def __init__(self, order: CheckOrder, lag: float, scheduled: bool, ticket: str = "") -> None:
        self.order = order
        self.lag = lag
        self.scheduled = scheduled
        self.ticket = ticket  # of a check that was asked for; empty for those on the schedule
        self.at = time.time()
        self.began = time.monotonic()

    def complete(self, result: CheckResult) -> CheckResult:
        result.uid = self.order.uid
        result.at = self.at
        result.lag = self.lag
        result.scheduled = self.scheduled
        result.duration = result.duration or time.monotonic() - self.began
        return result


def _outcome(task: asyncio.Task[CheckResult], timeout: float) -> CheckResult:
    """The result of a run, also of one that was cancelled or broke."""
    if task.cancelled():
        return finding("down", "check.timeout", f"no result within {timeout:g} s")
    error = task.exception()
    if error is None:
        return task.result()
    # Ours to mend: the log says where. The error's own text may quote a secret.
    print(f"a check crashed with {type(error).__name__}:", file=sys.stderr)  # noqa: T201 - a prober's log
    traceback.print_tb(error.__traceback__, file=sys.stderr)
    return finding("unknown", "check.broken", f"the check itself failed: {type(error).__name__}")


class Outlet(Protocol):
    """Where an engine's frames go."""

    @property
    def full(self) -> bool: ...

    def send(self, frame: Any) -> None: ...

    def close(self) -> None: ...


class ResultQueue(Protocol):
    """Where an engine's results wait to be sent."""

    @property
    def dropped(self) -> int: ...

    def add(self, result: CheckResult) -> None: ...

    def flush(self) -> None: ...


class Engine:
    """Speaks over a pipe to the process that started it, or over the outlet that it is given."""

    def __init__(
        self, on_end: Callable[[], None], *, outlet: Outlet | None = None, results: ResultQueue | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self.pipe: Pipe[ToProber] = Pipe(ToProber, self.hear, on_end)
        self._outlet: Outlet = outlet or self.pipe
        self._outbox: ResultQueue = results or Outbox(self.pipe)
        self._context = Context(ca_file=default_ca_file())
        self._schedule = Schedule()
        self._checks: dict[str, PreparedCheck] = {}
        self._running: set[str] = set()  # uids of checks under way, scheduled or repeated
        self._runs: dict[asyncio.Task[CheckResult], _Run] = {}
        self._rechecks: dict[str, asyncio.TimerHandle] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._lags: deque[tuple[float, float]] = deque(maxlen=_LAGS_KEPT)
        self._count = 0
        self._skipped = 0
        self._stopping = False
        self._leaving: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._outlet.send(Ready(os.getpid()))
        self._send_vitals()
        self._end_overdue()

    # Frames

    def hear(self, frame: ToProber) -> None:
        match frame:
            case Assign():
                self._assign(frame.orders)
            case Withdraw():
                for uid in frame.uids:
                    self._withdraw(uid)
            case Recheck():
                self._recheck_later(frame.uid, frame.delay)
            case RunOnce():
                self._run_once(frame.ticket, frame.order)
            case Configure():
                guard = Guard.from_settings(frame.probe_allow)
                self._context = Context(guard, ca_file=frame.ca_file or default_ca_file(), configured=frame)
            case Stop():
                self._stop()
            case _:
                assert_never(frame)

    def _assign(self, orders: list[CheckOrder]) -> None:
        now, monotonic = time.time(), time.monotonic()
        for order in orders:
            if self._schedule.assign(order, now, monotonic):
                self._checks.pop(order.uid, None)
        self._arm()

    def _withdraw(self, uid: str) -> None:
        self._schedule.withdraw(uid)
        self._checks.pop(uid, None)
        if (timer := self._rechecks.pop(uid, None)) is not None:
            timer.cancel()

    def _recheck_later(self, uid: str, delay: float) -> None:
        if (timer := self._rechecks.pop(uid, None)) is not None:
            timer.cancel()
        self._rechecks[uid] = self._loop.call_later(max(0.0, delay), self._recheck, uid)

    def _recheck(self, uid: str) -> None:
        self._rechecks.pop(uid, None)
        entry = self._schedule.entries.get(uid)
        if entry is None or self._stopping:
            return
        if uid in self._running:  # its result is on the way and says as much
            self._skipped += 1
            return
        self._start(entry.order, 0.0, scheduled=False)

    # Schedule

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._schedule.next_due()
        if due is not None and not self._stopping:
            self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._turn)

    def _turn(self) -> None:
        self._timer = None
        now, monotonic = time.time(), time.monotonic()
        started = 0
        try:
            for order, late in self._schedule.due(now, monotonic + _GRAIN, _STARTS):
                started += 1
                if order.uid in self._running:
                    self._skipped += 1
                else:
                    self._start(order, max(0.0, late - _GRAIN), scheduled=True)
        finally:  # whatever one check does, the others go on
            if started == _STARTS:
                self._timer = self._loop.call_later(_TURN, self._turn)
            else:
                self._arm()

    def _start(self, order: CheckOrder, lag: float, *, scheduled: bool) -> None:
        check = self._checks.get(order.uid)
        if check is None:
            check = self._checks[order.uid] = prepare(order)
        self._running.add(order.uid)
        if scheduled:
            self._lags.append((time.monotonic(), lag))
        self._spawn(_Run(order, lag, scheduled), check)

    def _run_once(self, ticket: str, order: CheckOrder) -> None:
        self._spawn(_Run(order, 0.0, False, ticket), prepare(order))

    def _spawn(self, run: _Run, check: PreparedCheck) -> None:
        task = self._loop.create_task(check.run(self._context))
        self._runs[task] = run
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[CheckResult]) -> None:
        run = self._runs.pop(task)
        self._count += 1
        result = run.complete(_outcome(task, run.order.timeout))
        if run.ticket:
            self._outlet.send(OnceDone(run.ticket, result))
            return
        self._running.discard(run.order.uid)
        if run.order.uid in self._schedule.entries:  # a result of a withdrawn check means nothing any more
            self._outbox.add(result)

    def _end_overdue(self) -> None:
        """The hard limit: a run that does not keep to its timeout is cancelled."""
        now = time.monotonic()
        for task, run in self._runs.items():
            if now > run.began + run.order.timeout + _BACKSTOP:
                task.cancel()
        self._loop.call_later(_OVERDUE_EVERY, self._end_overdue)

    # Life

    def _send_vitals(self) -> None:
        if not self._outlet.full:
            self._outlet.send(self.vitals())
        self._loop.call_later(_VITALS_EVERY, self._send_vitals)

    def vitals(self) -> Vitals:
        since = time.monotonic() - _LAGS_FROM
        while self._lags and self._lags[0][0] < since:
            self._lags.popleft()
        lags = sorted(lag for _at, lag in self._lags)
        return Vitals(
            at=time.time(),
            assigned=len(self._schedule.entries),
            running=len(self._running),
            checks=self._count,
            lag_p99=lags[int(len(lags) * 0.99)] if lags else 0.0,
            memory=_resident_bytes(),
            skipped=self._skipped,
            dropped=self._outbox.dropped,
        )

    def _stop(self) -> None:
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for timer in self._rechecks.values():
            timer.cancel()
        self._leaving = self._loop.create_task(self._leave())

    async def _leave(self) -> None:
        if self._runs:
            await asyncio.wait(self._runs, timeout=_FAREWELL)
        self._outbox.flush()
        self._outlet.close()  # what is in the buffer is written first; then the end of the pipe is told


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as handle:
            return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
