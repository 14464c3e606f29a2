"""The delivery lane: takes due alerts through the stages, and due messages from the outbox to their channels, each
channel on its own.

Woken at once by news of alerts, and at least every POLL seconds, because commands write to the outbox too.
A channel that works holds at most PER_CHANNEL threads, one that has not proven itself yet a single one; one that fails
rests, and is then tried with one message until it answers. While half of the threads are taken, each channel gets one
only: many that hang at once leave room for the others. What it was doing when it was killed is done again with the
same key when the lease ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import structlog

from mainstay.alerting import timers
from mainstay.alerting.advancing import AT_ONCE, advance_alerts, advance_due, due_alerts, follow_clock_back, put_off
from mainstay.alerting.delivery import (
    Claim,
    Room,
    claim_due,
    hasten,
    mark_delivered,
    mark_failed,
    postpone_expiry,
    reclaim,
)
from mainstay.alerting.handover import hand_over
from mainstay.alerting.rules import LONGEST_RETRY_AFTER, after_failure, backoff
from mainstay.frames.lanes import TURNS
from mainstay.kernel.actor import system
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.clock import Clock, Steps
from mainstay.kernel.errors import RemoteError, StoreBusy, Unavailable
from mainstay.kernel.event import Happened
from mainstay.kernel.ports import Receipt
from mainstay.kernel.settings import Settings
from mainstay.kernel.subject import tells
from mainstay.store.hub import HUB
from mainstay.store.writer import Writer

log = structlog.get_logger("delivery")

POLL = 2.0  # seconds
PER_CHANNEL = 4  # deliveries to one channel at a time
THREADS = 128
HARD_LIMIT = 30.0  # seconds after which a delivery counts as failed, whatever its thread does
LEASE = 45.0  # seconds; longer than any delivery may take
LONGEST_REST = 60.0  # seconds that a failing channel is left alone
_LANE = system("delivery")
_NEWS = ("alert.", "notification.", "resources.")


@dataclass(slots=True)
class _Channel:
    """How one channel does, in this process."""

    running: int = 0  # threads, also those whose delivery counts as failed already
    proven: bool = False  # its newest delivery got through
    failures: int = 0  # in a row
    rests_until: float = 0.0  # monotonic

    def free(self, now: float) -> int:
        """How many more deliveries may start now: none while it rests, one until it has proven itself."""
        return 0 if now < self.rests_until else (PER_CHANNEL if self.proven else 1) - self.running

    def leave(self, handing: asyncio.Future[Receipt]) -> None:
        """Its thread came back, perhaps long after the delivery counted as failed."""
        self.running -= 1
        if not handing.cancelled():
            handing.exception()  # looked at already, or too late to matter

    def rest(self, error: RemoteError, now: float) -> None:
        """It failed: leave it alone for a while, longer each time in a row, or as long as it asked."""
        self.failures += 1
        self.proven = False
        pause = min(LONGEST_REST, backoff(self.failures, 0.5))
        asked = error.retry_after if isinstance(error, Unavailable) else None
        self.rests_until = now + max(pause, min(asked or 0.0, LONGEST_RETRY_AFTER))


@dataclass(slots=True)
class DeliveryLane:
    """`run` works until it is cancelled; `stop` lets deliveries under way finish and gives the rest back."""

    settings: Settings
    writer: Writer
    clock: Clock
    lease: float = LEASE
    claimant: str = ""  # this start, where several servers share the outbox
    living: Callable[[], Collection[str]] = tuple  # the starts whose claims are theirs still
    delivered: int = 0  # since the start
    failed: int = 0
    moved_at: float = float("-inf")  # monotonic: when a delivery ended last
    _started: bool = False
    _soonest: float | None = None  # epoch seconds: when the next group or escalation is due
    _steps: Steps = field(init=False)
    _channels: dict[str, _Channel] = field(default_factory=dict)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="delivery")
    )

    def __post_init__(self) -> None:
        self._steps = Steps(self.clock)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        telling = {kind for kind, event in CAPABILITIES.events.items() if tells(event)}

        def hear(event: Happened) -> None:
            if event.kind.startswith(_NEWS) or event.kind in telling:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._wake.set)

        silence = HUB.subscribe(hear)
        try:
            while True:
                await self._turn_or_log()
                with contextlib.suppress(TimeoutError):
                    # Not asyncio.wait_for: in Python 3.11 it forgets a cancellation that comes with the news.
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()
        finally:
            silence()

    async def stop(self, patience: float = 5.0) -> None:
        """Wait for deliveries under way, at most `patience` seconds; what is left is repeated after a start."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience)
        for task in self._running:
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def turn(self) -> int:
        """Claim and start what is due now. The number of deliveries started."""
        self._wake.clear()
        if not self._started:
            await self.writer.run(partial(reclaim, _LANE, self.clock, living=self.living()), urgent=True)
            self._started = True
        now = self.clock.monotonic()
        await self._follow_clock()
        await self._advance()
        busy = sum(channel.running for channel in self._channels.values())
        if busy >= THREADS:
            return 0
        full = [name for name, channel in self._channels.items() if channel.free(now) <= 0]
        room = Room(partial(self._free, now, busy), full, THREADS - busy, self.claimant)
        take = partial(claim_due, _LANE, self.settings, room, self.lease, self.clock)
        claims = await self.writer.run(take, urgent=True)
        for claim in claims:
            self._channel(claim.channel).running += 1
            task = asyncio.create_task(self._deliver(claim), name=f"deliver {claim.message.id}")
            self._running.add(task)
            task.add_done_callback(self._ended)
        return len(claims)

    async def _advance(self) -> None:
        """Take due alerts through the stages. One that fails at it is put off, and holds up no other."""
        try:
            if await self.writer.run(partial(advance_due, _LANE, self.clock), urgent=True) == AT_ONCE:
                self._wake.set()
        except StoreBusy:
            raise
        except Exception:
            log.exception("deciding about a batch of alerts failed; continuing one by one")
            for alert_id in await self.writer.run(partial(due_alerts, _LANE, self.clock), urgent=True):
                await self._advance_one(alert_id)
        for timer in timers.TIMERS:
            for key in await self.writer.run(partial(timers.due, _LANE, timer, self.clock), urgent=True):
                await self._go_off(timer, key)
        self._soonest = await self.writer.run(partial(timers.soonest, _LANE), urgent=True)

    async def _advance_one(self, alert_id: str) -> None:
        try:
            await self.writer.run(partial(advance_alerts, _LANE, [alert_id], self.clock), urgent=True)
        except StoreBusy:
            raise
        except Exception as error:
            log.exception("deciding about an alert failed; retrying in a minute", alert=alert_id)
            job = partial(put_off, _LANE, alert_id, type(error).__name__, self.clock)
            await self.writer.run(job, urgent=True)

    async def _go_off(self, timer: timers.Timer, key: str) -> None:
        try:
            await self.writer.run(partial(timers.go_off, _LANE, timer, key, self.clock), urgent=True)
        except StoreBusy:
            raise
        except Exception:
            log.exception("deciding failed; retrying in a minute", about=timer.name, key=key)
            await self.writer.run(partial(timers.put_off, _LANE, timer, key, self.clock), urgent=True)

    async def _follow_clock(self) -> None:
        """Messages and alerts wait by the wall clock, and messages are given up by it."""
        step = self._steps.step()
        if step:
            await self.writer.run(partial(timers.follow_clock, _LANE, step, self.clock))
        if step < 0:
            await self.writer.run(partial(hasten, _LANE, clock=self.clock))
            await self.writer.run(partial(follow_clock_back, _LANE, self.clock))
        elif step > 0:
            await self.writer.run(partial(postpone_expiry, _LANE, step, self.clock))

    def _free(self, now: float, busy: int, name: str, claimed: int) -> int:
        """Messages that a channel may have; `claimed` are those of others in this turn."""
        channel = self._channel(name)
        free = channel.free(now)
        return min(free, 1 - channel.running) if busy + claimed >= THREADS // 2 else free

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery could not be recorded; it will be repeated", task=task.get_name(), exc_info=error)

    def _channel(self, name: str) -> _Channel:
        return self._channels.setdefault(name, _Channel())

    async def _turn_or_log(self) -> None:
        try:
            await self.turn()
        except Exception as error:
            TURNS.ended("delivery", error)
            log.exception("delivery failed; continuing")
        else:
            TURNS.ended("delivery")

    def _pause(self) -> float:
        """Until a resting channel may be tried again, or a group or an escalation is due; at most POLL."""
        now = self.clock.monotonic()
        waits = [channel.rests_until - now for channel in self._channels.values() if channel.rests_until > now]
        if self._soonest is not None:
            waits.append(self._soonest - self.clock.now())
        return max(0.01, min([POLL, *waits]))

    async def _deliver(self, claim: Claim) -> None:
        channel = self._channel(claim.channel)
        work = partial(self._hand_over, claim)
        handing = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            outcome = await self._outcome(claim, handing)
            await self._record(claim, channel, outcome)
        except StoreBusy:
            log.warning("stopped before the outcome was recorded; it will be repeated", notification=claim.message.id)
        finally:
            handing.add_done_callback(channel.leave)
            self._wake.set()

    def _hand_over(self, claim: Claim) -> Receipt:
        """On a thread of the pool. Not after the claim has ended: this process may have been stopped for a while."""
        now = self.clock.now()
        if now >= claim.ends_at:
            raise Unavailable("this server was suspended while it could have delivered it")
        return hand_over(claim.spec, claim.message, self.settings, now, claim.devices)

    async def _outcome(self, claim: Claim, handing: asyncio.Future[Receipt]) -> Receipt | RemoteError:
        done, _ = await asyncio.wait({handing}, timeout=HARD_LIMIT)
        if not done:
            return Unavailable(f"delivery did not end within {HARD_LIMIT:g} s")
        try:
            return handing.result()
        except RemoteError as error:
            return error
        except Exception as error:  # noqa: BLE001  a mistake in a channel's library must not lose the message
            # Neither the text nor the variables of the error: both may hold secrets of the channel.
            where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            name = type(error).__name__
            log.error("a channel failed in an unforeseen way", channel=claim.channel, error=name, where=where)
            return Unavailable(f"delivery failed inside Mainstay ({name})")

    async def _record(self, claim: Claim, channel: _Channel, outcome: Receipt | RemoteError) -> None:
        self.moved_at = self.clock.monotonic()
        if isinstance(outcome, Receipt):
            await self.writer.run(partial(mark_delivered, _LANE, claim, outcome, self.clock), urgent=True)
            self.delivered += 1
            if channel.failures:
                await self.writer.run(partial(hasten, _LANE, claim.channel, self.clock), urgent=True)
            channel.failures, channel.proven = 0, True
            return
        self.failed += 1
        failure = after_failure(outcome, claim.attempt, random.random())  # noqa: S311  spreads repeats, hides nothing
        again = {"attempt": claim.attempt, "again_in": failure.again_in}
        log.warning("not delivered", channel=claim.channel, error=outcome.message, **again)
        if failure.again_in is not None:
            channel.rest(outcome, self.clock.monotonic())
        await self.writer.run(partial(mark_failed, _LANE, claim, outcome, failure, self.clock), urgent=True)
