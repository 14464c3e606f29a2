"""The watch lane: orders to probers, results to decisions, decisions to the writer, in order and without loss.

Everything that touches the database runs on the writer's thread or on the lane's reading thread; the loop
itself only decides, in memory. While the database does not answer, results go on being judged and what must
be written waits in a queue, in order. The rules are in `watch/rules.py`, what is in memory in `watch/board.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

import structlog
from django.db import DatabaseError, close_old_connections, connections
from msgspec.structs import replace

from mainstay.frames.lanes import forever
from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.kernel.event import Happened
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.kernel.secret import SecretMissing
from mainstay.kernel.settings import Settings
from mainstay.nodes.share import Share
from mainstay.store.hub import HUB
from mainstay.store.secrets import SecretSource
from mainstay.store.work import sliced
from mainstay.store.writer import Writer
from mainstay.watch import directory as reading
from mainstay.watch import verbs
from mainstay.watch.board import Board, Tracked
from mainstay.watch.declared import behind, follow_resources
from mainstay.watch.directory import Directory
from mainstay.watch.facts import share_of
from mainstay.watch.lanes.groups import Groups
from mainstay.watch.lanes.transitions import Transitions
from mainstay.watch.lanes.uplink import Guard, Look, MachineLook, targets_of
from mainstay.watch.lanes.usual import UsualTimes
from mainstay.watch.lanes.voting import Voting
from mainstay.watch.results.results import Results
from mainstay.watch.settings import UPLINK_TARGETS
from mainstay.watch.state import Excused, Reason
from mainstay.watch.telling import Finding
from mainstay.windows.queries import Window, active

log = structlog.get_logger("watch")
T = TypeVar("T")

POLL = 0.75  # seconds between looks for a new revision or a person's wish
TICK = 1.0  # windows and silence
WRITE_PAUSE = 0.02  # between two rounds of writing; keeps a fault from spinning
SAVE = 10.0  # counters
COMPARE = 15.0  # rows with what is in memory, where others may have written them
SECRETS = 15.0  # orders that refer to secrets are filled anew
LONGEST_TICK = 2.0  # more time between two ticks was spent asleep: nothing could have been heard
AT_ONCE = 50  # first checks a second after a start
SPREAD = 20.0  # seconds over which the first checks of up to AT_ONCE * SPREAD monitors are spread
LOOK_PAUSE = 0.25  # between two looks at the uplink
STOP_PATIENCE = 5.0
_LANE = system("watch")
_NEWS = ("resources.", "monitor.went_paused", "monitor.resumed")


class ProberPool(Protocol):
    """The part of runtime.probers that this lane uses."""

    def assign(self, orders: list[CheckOrder]) -> None: ...

    def withdraw(self, uids: list[str]) -> None: ...

    def recheck(self, uid: str, delay: float) -> None: ...

    def place(self, placed: Mapping[str, tuple[str, ...]]) -> list[str]: ...

    def recheck_at(self, location: str, uid: str, delay: float) -> None: ...


class WatchLane:
    """`start` loads and assigns; `run` works until it is cancelled; `stop` writes what is left."""

    def __init__(
        self,
        settings: Settings,
        probers: ProberPool,
        telemetry: Results,
        writer: Writer,
        clock: Clock,
        *,
        look: Look | None = None,
        share: Share | None = None,
    ) -> None:
        self.board = Board()
        self._probers, self._telemetry, self._writer, self._clock = probers, telemetry, writer, clock
        targets = targets_of(settings[UPLINK_TARGETS])
        self._directory = Directory(SecretSource(settings), settings.location)
        self._directory.share = self._share = share
        self._syncing = asyncio.Lock()
        self._orders: dict[str, CheckOrder] = {}
        self._transitions = Transitions(writer, clock, self._reload, share)
        self._guard = Guard(self.board, look or MachineLook(targets, clock), targets, clock)
        self._groups = Groups(self.board)
        self.voting = Voting(self.board, probers, settings.location)
        self._usual = UsualTimes(telemetry, clock)
        self._active: list[Window] = []
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="watch-reader")
        self._news = asyncio.Event()
        self._ticked = clock.monotonic()
        self._started = False
        self._unsubscribe: Callable[[], None] = lambda: None

    # -- life --

    async def start(self) -> None:
        """Load what is declared and remembered, and order the first checks."""
        loop = asyncio.get_running_loop()

        def hear(event: Happened) -> None:
            if event.kind.startswith(_NEWS):
                loop.call_soon_threadsafe(self._news.set)

        self._unsubscribe = HUB.subscribe(hear)
        if self._share is not None:
            self._share.on_change = self._news.set
        lost = await self._read(partial(reading.lost_parts, self._node))
        self._guard.remember(lost, await self._read(partial(reading.reached_targets, self._clock.now(), self._node)))
        self._started = True
        await self._sync()
        self._ticked = self._clock.monotonic()

    async def run(self) -> None:
        if not self._started:
            await self.start()
        turns = {
            "watch.write": (self._transitions.turn, WRITE_PAUSE),
            "watch.news": (self._news_turn, 0.0),
            "watch.tick": (self._tick_turn, TICK),
            "watch.save": (self._save_turn, SAVE),
            "watch.secrets": (self._secrets_turn, SECRETS),
            "watch.uplink": (self._look_turn, LOOK_PAUSE),
            "watch.usual": (self._usual.turn, TICK),
        }
        if self._share is not None:
            turns["watch.compare"] = (self._compare_turn, COMPARE)
        async with asyncio.TaskGroup() as group:
            for name, (turn, every) in turns.items():
                group.create_task(forever(name, turn, every), name=name)

    async def stop(self) -> None:
        """Write what is decided and the counters, if the database answers within a few seconds."""
        self._unsubscribe()
        self._started = False
        writing = asyncio.create_task(self._write_rest())
        await asyncio.wait([writing], timeout=STOP_PATIENCE)
        if not writing.done():
            writing.cancel()
            await asyncio.wait([writing])
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.error("the last changes were not written", error=str(error))
        if self.waiting:
            log.warning(
                "stopped with changes that could not be written; they will be decided again", count=self.waiting
            )
        await asyncio.get_running_loop().run_in_executor(self._reader, connections.close_all)
        self._reader.shutdown(wait=False)

    async def _write_rest(self) -> None:
        await self._transitions.flush()
        await self._save_turn()

    # -- what others ask --

    def snapshot(self, uid: str) -> Tracked | None:
        """The monitor as it is in memory: declared facts, state, newest result. Read it, never change it."""
        return self.board.entries.get(uid)

    def all(self) -> Iterable[Tracked]:
        return list(self.board.entries.values())

    def recheck(self, uid: str) -> None:
        """Check now, beside the schedule."""
        if uid in self._orders:
            self._probers.recheck(uid, 0.0)
        else:
            self._groups.recheck(uid, self._clock.monotonic())

    @property
    def dropped(self) -> int:
        """Changes that were decided and given up since the start; their monitors are decided about anew."""
        return self._transitions.dropped

    @property
    def waiting(self) -> int:
        """Changes that are decided and not written yet."""
        return len(self._transitions)

    @property
    def waited(self) -> float:
        """Seconds for which decided changes have waited while none was written."""
        return self._transitions.age

    # -- results --

    def take(self, results: Sequence[CheckResult]) -> None:
        """Judge results as they come in; called by the probers, on the loop. After `stop` they are not heard."""
        if not self._started:
            return
        now, mono, board = self._clock.now(), self._clock.monotonic(), self.board
        voted = self.voting.ballots
        for result in results:
            if voted and result.uid in voted:
                self._count(self.voting.here, result)
            else:
                board.take(self._usual.judged(result), now, mono)
        self._ship()

    def take_from(self, location: str, results: Sequence[CheckResult]) -> None:
        """Results of another place: they count as its votes, and are kept as its own history."""
        if not self._started:
            return
        for result in results:
            if result.uid in self.voting.ballots:
                self._count(location, result)
        self._ship()

    def _count(self, location: str, result: CheckResult) -> None:
        now, mono = self._clock.now(), self._clock.monotonic()
        self._telemetry.append([self.voting.sample(location, result)])
        counted = self.voting.take(location, result, now, mono)
        if counted is not None:
            self.board.take(self._usual.judged(counted), now, mono)

    def reach(self, location: str, *, lost: bool) -> None:
        """Whether a location can be heard; told again and again."""
        self.voting.reach(location, self._clock.now(), lost=lost)
        self._ship()

    @property
    def places(self) -> Mapping[str, reading.Location]:
        """The declared locations by name."""
        return self._directory.locations

    def _ship(self) -> None:
        """Hand out what the board wants done; groups follow the members that moved, and groups of groups those."""
        moved = self._hand_out()
        while moved and (results := self._groups.follow(moved, self._clock.now(), self._clock.monotonic())):
            for result in results:
                self.board.take(result, self._clock.now(), self._clock.monotonic())
            moved = self._hand_out()

    def _hand_out(self) -> list[str]:
        """The names of the monitors that moved."""
        out = self.board.drain()
        if out.samples:
            self._telemetry.append(out.samples)
        if out.uplink or out.moved:
            self._transitions.put(out.uplink, out.moved)
        for uid, delay in out.rechecks.items():
            if uid in self._orders:
                self._probers.recheck(uid, delay)
            else:
                self._groups.recheck(uid, self._clock.monotonic() + delay)
        if out.look:
            self._guard.ask(resolver=out.look_up)
        return [moved.name for moved in out.moved]

    # -- writing --

    async def _reload(self, uids: Iterable[str]) -> None:
        """Somebody else changed these rows: read them, and drop what was decided without knowing that."""
        fresh = set(uids)
        with self._transitions.holding(fresh):
            for uid in fresh:
                found = await self._read(partial(reading.stored_state, uid))
                if found is not None:
                    self.board.reload(uid, *found)
        await self._order(fresh)
        self._cover(changed=True)

    async def _save_turn(self) -> None:
        if self._writer.waiting_since is not None:
            return
        reached = self._guard.to_save(self._clock.now())
        if reached is not None:
            await self._writer.run(partial(verbs.remember_reached, _LANE, reached, self._clock, node=self._node))
        dirty, self.board.dirty = self.board.dirty, set()
        latest = []
        waiting = self._transitions.waiting_uids()
        for uid in dirty:
            entry = self.board.entries.get(uid)
            if entry is not None and uid not in waiting:
                latest.append(verbs.Latest(uid, entry.version, entry.state, entry.last))
        for start in range(0, len(latest), 1000):
            some = latest[start : start + 1000]
            await self._writer.run(partial(verbs.save_counters, _LANE, some, self._clock, fence=self._fence))
        self.board.dirty |= dirty & waiting

    # -- what is declared, and what people ask for --

    async def _news_turn(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._news.wait()
        self._news.clear()
        revision, wishes = await self._read(reading.news)
        if wishes:
            mine = self._share.owns if self._share is not None else None
            take = partial(verbs.take_requests, _LANE, self._clock, mine=mine)
            await self._fulfil(await self._writer.run(take, urgent=True))
        if revision != self._directory.revision or (self._share is not None and not self._share.is_adopted):
            await self._sync()

    async def _fulfil(self, wishes: Iterable[tuple[str, str]]) -> None:
        reload = {uid for uid, wish in wishes if wish == "reload"}
        if reload:
            await self._reload(reload)
        for uid, wish in wishes:
            if wish == "check":
                self.recheck(uid)

    async def _sync(self) -> None:
        """Take up what is declared now. Whoever did not change keeps state, counters and its next slot."""
        async with self._syncing:
            await self._take_up()

    async def _take_up(self) -> None:
        await self._read(self._directory.refresh)
        monitors = self._directory.monitors
        if self._share is not None:
            self._stand_down(self._share.adopt(self._directory.shards, self._directory.tokens))
        before = set(self.board.entries)
        unknown = monitors.keys() if self._share is None else monitors.keys() - before
        read_states = partial(reading.stored_states, None if self._share is None else unknown)
        stored = await self._read(read_states)
        if await self._read(behind):
            # Rows follow an apply by themselves; this mends what came about in another way.
            while await self._writer.run(partial(follow_resources, _LANE)):
                pass
            stored = await self._read(read_states)
        self.board.declare((monitor.watched for monitor in monitors.values()), stored)
        self._groups.declare({uid: one.quorum for uid, one in monitors.items() if one.quorum is not None})
        self._usual.declare({uid: one.usual for uid, one in monitors.items() if one.usual is not None})
        terms = {uid: one.terms for uid, one in monitors.items() if one.terms is not None}
        for uid in self.voting.declare(terms, self._clock.monotonic()):
            if uid in monitors:  # of those that are gone the orders are withdrawn below
                self._orders.pop(uid, None)
        await self._switch()
        if withdrawn := [uid for uid in self._orders if uid not in monitors]:
            self._withdraw(withdrawn)
        fresh = [uid for uid in monitors if uid not in before]
        await self._order(monitors, first=fresh)
        self._cover(changed=True)
        self._guard.learn()
        log.info("monitors taken over", monitors=len(monitors), new=len(fresh), revision=self._directory.revision)

    # -- with several servers: each checks its share --

    def _stand_down(self, gone: set[str]) -> None:
        """Others have these monitors now, or had them: what is decided and not written does not count."""
        if gone:
            self._withdraw([uid for uid in gone if uid in self._orders])
            with self._transitions.holding(gone):
                self.board.forget(gone)
            log.info("monitors handed over", monitors=len(gone))

    async def hand_over(self, shards: Iterable[int]) -> None:
        """Before their leases are given up: check their monitors no more, and write what is decided about them."""
        if self._share is None:
            return
        uids = self._share.uids(shards) & self.board.entries.keys()
        async with self._syncing:
            self._withdraw([uid for uid in uids if uid in self._orders])
            await self._transitions.written(uids, STOP_PATIENCE)
            await self._save_turn()

    async def _compare_turn(self) -> None:
        """Mend what is in memory where a row was written by somebody else: a monitor may have come from another
        share by a new parent, while its decisions were still on their way."""
        waiting = self._transitions.waiting_uids()
        versions = await self._read(reading.stored_versions)
        waiting |= self._transitions.waiting_uids()
        for uid, entry in list(self.board.entries.items()):
            if uid not in waiting and versions.get(uid, entry.version) > entry.version:
                await self._reload([uid])

    @property
    def _node(self) -> str:
        return self._share.node if self._share is not None else ""

    @property
    def _fence(self) -> verbs.Fence | None:
        return self._share.fence if self._share is not None else None

    async def _switch(self) -> None:
        """`enabled: false` pauses, and its removal resumes what it had paused."""
        off, on = [], []
        for uid, monitor in self._directory.monitors.items():
            state = self.board.entries[uid].state
            if not monitor.enabled and state.state != "paused":
                off.append(monitor.watched.facts.name)
            elif monitor.enabled and state.paused_by == verbs.CONFIGURATION:
                on.append(monitor.watched.facts.name)
        for some in sliced(off, verbs.ORDERED_AT_ONCE):  # each a job of its own: what is urgent goes in between
            job = partial(verbs.pause_monitors, _LANE, some, self._clock, by=verbs.CONFIGURATION)
            await self._writer.run(job)
        for some in sliced(on, verbs.ORDERED_AT_ONCE):
            await self._writer.run(partial(verbs.resume_monitors, _LANE, some, self._clock, configured=True))
        if off or on:
            self._refresh_from(await self._read(reading.stored_states))

    def _refresh_from(self, stored: reading.Stored) -> None:
        for uid, entry in self.board.entries.items():
            if uid in stored and stored[uid][1] != entry.version:
                self.board.reload(uid, *stored[uid])

    async def _order(self, uids: Iterable[str], first: Sequence[str] = ()) -> None:
        """Give the probers the orders of these monitors that are new or changed; take back those of paused ones."""
        entries = self.board.entries
        known = [uid for uid in uids if uid in entries]
        paused = [uid for uid in known if entries[uid].state.state == "paused"]
        filled = await self._read(partial(self._directory.orders, [uid for uid in known if uid not in set(paused)]))
        spread = len(first) / AT_ONCE if len(first) <= AT_ONCE * SPREAD else max(SPREAD, len(first) / 200)
        starting = set(first)
        assigned, withheld = [], []
        for uid, order in filled.items():
            if isinstance(order, SecretMissing):
                withheld.append((uid, str(order)))
            elif self._orders.get(uid) != order:
                self._orders[uid] = order
                delay = share_of(uid, "start") * min(spread, order.interval) if uid in starting else 0.0
                assigned.append(replace(order, first_delay=delay))
                entries[uid].checked, entries[uid].heard = True, self.board.attended
        if assigned:
            self._probers.assign(assigned)
        self._withdraw([uid for uid in (*paused, *(uid for uid, _ in withheld)) if uid in self._orders])
        now = self._clock.now()
        for uid, why in withheld:
            entries[uid].checked = False
            if entries[uid].state.reason != Reason.NOT_CHECKABLE:
                self.board.signal(uid, Excused(Reason.NOT_CHECKABLE), now, Finding("check.secret_missing", why))
        self._ship()

    def _withdraw(self, uids: Sequence[str]) -> None:
        for uid in uids:
            self._orders.pop(uid, None)
        if uids:
            self._probers.withdraw(list(uids))

    async def _secrets_turn(self) -> None:
        """Secrets are changed without anybody telling: fill the orders that refer to some anew."""
        secret = [uid for uid, monitor in self._directory.monitors.items() if monitor.secret]
        if secret:
            await self._order(secret)

    # -- time --

    async def _tick_turn(self) -> None:
        mono = self._clock.monotonic()
        elapsed, self._ticked = min(max(mono - self._ticked, 0.0), LONGEST_TICK), mono
        for result in self._groups.due(self._clock.now(), mono):
            self.board.take(result, self._clock.now(), mono)
        for result in self.voting.due(self._clock.now(), mono):
            self.board.take(result, self._clock.now(), mono)
        self.board.attend(elapsed, self._clock.now())
        self._cover()
        self._ship()

    def _cover(self, *, changed: bool = False) -> None:
        """Begin and end maintenance. Who is covered is asked only when a window opens or closes or monitors change."""
        now = self._clock.now()
        windows = active(self._directory.windows, now)
        if windows == self._active and not changed:
            return
        self._active = windows
        covering = {}
        for uid, entry in self.board.entries.items() if windows else ():
            labels = entry.watched.facts.window_labels
            found = next((window.name for window in windows if window.fits(labels)), "")
            if found:
                covering[uid] = found
        self.board.cover(covering, now)
        self._ship()

    async def _look_turn(self) -> None:
        try:
            await self._guard.turn()
        finally:
            self._ship()

    async def _read(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, _reading, job)


def _reading(job: Callable[[], T]) -> T:
    try:
        return job()
    except DatabaseError:
        close_old_connections()
        raise
