"""The main process's side of the probers: starts them, shares the orders out, replaces those that fail.

Orders, with the secrets in them, live in memory here and in the probers, and nowhere else.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import structlog

from mainstay.integrations.addresses import parse_allow
from mainstay.kernel.ids import new_id
from mainstay.kernel.probing import (
    Assign,
    CheckOrder,
    CheckResult,
    Configure,
    FromProber,
    OnceDone,
    Ready,
    Recheck,
    Results,
    RunOnce,
    Stop,
    Vitals,
    Withdraw,
    finding,
)
from mainstay.watch.prober.wire import Pipe
from mainstay.watch.settings import CHROMIUM, PLUGIN_DIRS, PROBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainstay.kernel.settings import Settings

_log = structlog.get_logger(__name__)

_ORDERS_PER_FRAME = 500
_SILENCE = 10.0  # seconds without Vitals after which a prober is taken for dead
_LOOK_EVERY = 1.0
_ASLEEP = 3.0  # a look that comes this late tells that the main process itself was stopped
_STOP_WITHIN = 1.5  # seconds until a prober that was asked to leave is killed
_BACKOFF = (0.0, 0.5, 2.0, 5.0, 15.0, 30.0)  # seconds before the next start of a prober that keeps dying
_STEADY = 60.0  # seconds of life after which the next death counts as the first
_ONCE_MARGIN = 3.0  # seconds beyond its timeout that a check that was asked for may take on its way


@dataclass(frozen=True, slots=True)
class ProberReport:
    """One prober; `restarts` since the server started, `vitals` None while it is not alive or has not reported."""

    number: int
    pid: int
    alive: bool
    restarts: int
    assigned: int
    vitals: Vitals | None


class Probers:
    def __init__(self, settings: Settings, on_results: Callable[[list[CheckResult]], None]) -> None:
        parse_allow(settings.probe_allow)  # a mistake is told here, not by children that will not start
        self._on_results = on_results
        configured = Configure(
            settings.probe_allow,
            plugin_dirs=settings[PLUGIN_DIRS],
            chromium=settings[CHROMIUM],
            traces=str(settings.data / "traces"),
        )
        self._children = [_Child(self, index, configured) for index in range(max(1, settings[PROBERS]))]
        self._once: dict[str, tuple[_Child, asyncio.Future[CheckResult]]] = {}
        self._turn = itertools.cycle(self._children)
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for child in self._children:
            await child.start()
        self._watch = asyncio.create_task(self._look_after(), name="probers")

    def assign(self, orders: Iterable[CheckOrder]) -> None:
        """Add or replace orders; one that is unchanged keeps its next slot. ValueError without an interval."""
        shares: dict[_Child, list[CheckOrder]] = {}
        for order in orders:
            if order.interval <= 0 or order.timeout <= 0:
                raise ValueError(f"the order of {order.uid} has no interval or no timeout")
            shares.setdefault(self._child_of(order.uid), []).append(order)
        for child, share in shares.items():
            child.assign(share)

    def withdraw(self, uids: Iterable[str]) -> None:
        shares: dict[_Child, list[str]] = {}
        for uid in uids:
            shares.setdefault(self._child_of(uid), []).append(uid)
        for child, share in shares.items():
            child.withdraw(share)

    def recheck(self, uid: str, delay: float) -> None:
        """Run a check that is on the schedule once more in `delay` seconds."""
        self._child_of(uid).send(Recheck(uid, delay))

    async def run_once(self, order: CheckOrder) -> CheckResult:
        """Run a check that need not be on any schedule; `unknown` if no prober could."""
        ticket = new_id()
        future: asyncio.Future[CheckResult] = asyncio.get_running_loop().create_future()
        child = next((child for child in itertools.islice(self._turn, len(self._children)) if child.alive), None)
        if child is None:
            return _lost(order, "check.no_prober", "no prober is running at the moment")
        self._once[ticket] = (child, future)
        child.send(RunOnce(ticket, order))
        try:
            return await asyncio.wait_for(future, order.timeout + _ONCE_MARGIN)
        except TimeoutError:
            return _lost(order, "check.no_prober", "the prober did not answer in time")
        except ConnectionError:
            return _lost(order, "check.prober_lost", "the prober ended during the check")
        finally:
            self._once.pop(ticket, None)

    def vitals(self) -> list[Vitals]:
        """The latest of each prober that is alive."""
        return [child.vitals for child in self._children if child.vitals is not None]

    def reports(self) -> list[ProberReport]:
        """How each prober does, also those that are not alive."""
        return [child.report() for child in self._children]

    def pids(self) -> list[int]:
        return [child.pid for child in self._children if child.alive]

    async def stop(self) -> None:
        """Ask all to leave and see to it that they do, within two seconds."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await asyncio.gather(*(child.stop() for child in self._children))

    def _child_of(self, uid: str) -> _Child:
        return self._children[zlib.crc32(uid.encode()) % len(self._children)]

    async def _look_after(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = time.monotonic()
            for child in self._children:
                if now - looked > _ASLEEP:  # everybody slept: nobody can be blamed for silence
                    child.heard_at = now
                await child.look_after(now)
            looked = now

    def on_results(self, results: list[CheckResult]) -> None:
        # Not in the middle of reading the pipe: an error of the receiver is not the prober's.
        asyncio.get_running_loop().call_soon(self._on_results, results)

    def on_once(self, frame: OnceDone) -> None:
        _child, future = self._once.get(frame.ticket, (None, None))
        if future is not None and not future.done():
            future.set_result(frame.result)

    def on_lost(self, child: _Child) -> None:
        for owner, future in self._once.values():
            if owner is child and not future.done():
                future.set_exception(ConnectionError("the prober ended"))


class _Child:
    """One prober process and the orders that are its share."""

    def __init__(self, owner: Probers, index: int, configured: Configure) -> None:
        self._owner = owner
        self._index = index
        self._configured = configured
        self._orders: dict[str, CheckOrder] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe[FromProber] | None = None
        self._deaths = 0
        self._starts = 0
        self._started_at = 0.0
        self._start_at: float | None = None  # monotonic time of the next start, while there is no process
        self.heard_at = 0.0
        self.vitals: Vitals | None = None

    @property
    def alive(self) -> bool:
        return self._pipe is not None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def report(self) -> ProberReport:
        restarts = max(0, self._starts - 1)
        return ProberReport(self._index, self.pid, self.alive, restarts, len(self._orders), self.vitals)

    def send(self, frame: object) -> None:
        """Does nothing while there is no process: the next one gets all orders anyway."""
        if self._pipe is not None:
            self._pipe.send(frame)

    def assign(self, orders: list[CheckOrder]) -> None:
        self._orders.update((order.uid, order) for order in orders)
        for start in range(0, len(orders), _ORDERS_PER_FRAME):
            self.send(Assign(orders[start : start + _ORDERS_PER_FRAME]))

    def withdraw(self, uids: list[str]) -> None:
        for uid in uids:
            self._orders.pop(uid, None)
        self.send(Withdraw(uids))

    async def start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds, once in the life of a prober
                [sys.executable, "-m", "mainstay.watch.prober", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C does not reach it
                env=_environment(),
            )
        ours.setblocking(False)
        pipe: Pipe[FromProber] = Pipe(FromProber, self._on_frame, lambda: self._on_end(pipe))
        await asyncio.get_running_loop().create_connection(lambda: pipe, sock=ours)
        self._pipe = pipe
        self._starts += 1
        self._start_at = None
        self._started_at = self.heard_at = time.monotonic()
        pipe.send(self._configured)
        self.assign(list(self._orders.values()))

    def _on_frame(self, frame: FromProber) -> None:
        match frame:
            case Results():
                self._owner.on_results(frame.results)
            case OnceDone():
                self._owner.on_once(frame)
            case Vitals():
                self.heard_at = time.monotonic()
                self.vitals = frame
            case Ready():
                _log.info("prober.ready", index=self._index, pid=frame.pid)
            case _:
                assert_never(frame)

    def _on_end(self, pipe: Pipe[FromProber]) -> None:
        """The pipe has ended: the process is gone or about to go."""
        if pipe is not self._pipe:
            return
        self._pipe = None
        self.vitals = None
        now = time.monotonic()
        self._deaths = 1 if now - self._started_at > _STEADY else self._deaths + 1
        self._start_at = now + _BACKOFF[min(self._deaths, len(_BACKOFF)) - 1]
        self._owner.on_lost(self)

    async def look_after(self, now: float) -> None:
        if self._pipe is not None and now - self.heard_at > _SILENCE:
            _log.error("prober.silent", index=self._index, pid=self.pid, seconds=round(now - self.heard_at, 1))
            self._kill()
            pipe = self._pipe
            self._on_end(pipe)
            pipe.close()
        elif self._pipe is None and self._start_at is not None and now >= self._start_at:
            self._kill()
            status = await self._ended(_STOP_WITHIN)
            _log.error("prober.replaced", index=self._index, pid=self.pid, status=status, orders=len(self._orders))
            await self.start()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def _ended(self, within: float) -> int | None:
        """Exit status, or None if it still runs after `within` seconds."""
        if self._process is None:
            return None
        try:
            return await asyncio.to_thread(self._process.wait, within)
        except subprocess.TimeoutExpired:
            return None

    async def stop(self) -> None:
        self._start_at = None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.send(Stop())
        if await self._ended(_STOP_WITHIN) is None:
            self._kill()
            await self._ended(_STOP_WITHIN)
        if pipe is not None:
            pipe.close()


def _lost(order: CheckOrder, code: str, message: str) -> CheckResult:
    result = finding("unknown", code, message)
    result.uid, result.at, result.scheduled = order.uid, time.time(), False
    return result


def _environment() -> dict[str, str]:
    """The environment of a prober: ours without settings, which may hold passwords and are not its business."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
    kept.setdefault("MALLOC_ARENA_MAX", "2")  # threads that look names up need no memory pools of their own
    return kept
