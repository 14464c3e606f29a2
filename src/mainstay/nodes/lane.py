"""The nodes lane: beats, takes and gives leases, and tells this process what the others have done.

Only on PostgreSQL. Beats have a thread and a connection of their own, and so have looks: neither a busy database nor
an event loop that loads 50,000 monitors may make this server look dead. What it learns it hands on: the shards to the
watch lane (`share`), events of other servers to the hub. While the database does not answer, nothing changes here:
this server goes on with what it had, and what it writes is fenced.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from mainstay.frames.lanes import forever
from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.kernel.errors import StoreBusy
from mainstay.nodes import rules, verbs
from mainstay.nodes.queries import Standing, is_known, set_here, standing
from mainstay.nodes.share import Share
from mainstay.store.hub import HUB
from mainstay.store.journal import Filter, entries
from mainstay.store.writer import Writer

log = structlog.get_logger("nodes")
T = TypeVar("T")

LOOK = 0.5  # seconds between looks at leases and news
UPKEEP = "task/upkeep"  # scheduled snapshots, seals, pruning
CONFIG = "task/config"  # following the configuration file
_HANGS = 20.0  # seconds without a turn after which the event loop counts as stuck
_NEWS_AT_ONCE = 500  # entries of the journal; who was away for longer hears of the newest
_LANE = system("nodes")


class NodesLane:
    """`take_over` is told which sessions live, once another one is gone, and frees what that one had claimed.

    `start` joins, takes what is free and keeps on: loading many monitors takes longer than a lease lives.
    `stop` leaves."""

    def __init__(
        self,
        me: verbs.Identity,
        writer: Writer,
        clock: Clock,
        *,
        vitals: Callable[[], verbs.Vitals],
        hand_over: Callable[[Iterable[int]], Awaitable[None]],
        take_over: Callable[[Collection[str]], object],
        tasks: Collection[str] = (UPKEEP,),
    ) -> None:
        self.me = me
        self.share = Share(me.session, me.name)
        self._writer, self._clock = writer, clock
        self._vitals, self._hand_over, self._take_over, self._tasks = vitals, hand_over, take_over, tasks
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nodes")
        self._held: dict[str, int] = {}  # lease -> token
        self._beat_at = float("-inf")  # monotonic, when the newest successful beat began
        self._steady_from = float("inf")
        self._returned_at = float("-inf")  # monotonic, when the database took a beat again after it had not
        self._seen = 0  # newest entry of the journal that was told
        self._telling: set[asyncio.Task[None]] = set()
        self._turning: asyncio.Task[None] | None = None
        self._giving: asyncio.Task[None] | None = None
        self._going: frozenset[str] = frozenset()  # leases that are being given up
        self._beats = threading.Thread(target=self._beat_on, name="beats", daemon=True)
        self._leaving = threading.Event()
        self._turned_at = float("-inf")  # monotonic, of the newest turn: a server whose loop hangs does not beat
        self._told: set[str] = set()  # sessions that are gone, as far as they were told
        self._replaced = False
        self._unknown = False  # no row stands for this start any more
        self.living: frozenset[str] = frozenset({me.session})
        self.unsettled = False  # pings may be on their way from another server's disk
        self.taken_over = 0  # shards taken from servers that vanished, since the start

    # -- life --

    async def start(self) -> None:
        """Conflict if this server may not join."""
        await self._do(partial(verbs.join, _LANE, self.me, (UPKEEP, CONFIG)))
        set_here(self.me.id)
        self._steady_from = self._beat_at = self._clock.monotonic()
        await self.turn()
        self._turning = asyncio.create_task(forever("nodes", self.turn, LOOK), name="nodes")
        self._beats.start()

    async def turn(self) -> None:
        self._turned_at = self._clock.monotonic()
        try:
            found = await self._do(self._look)
        except (DatabaseError, InterfaceError, StoreBusy) as error:
            log.warning("the database did not answer", error=str(error)[:200])
            self.unsettled = True  # until a look says otherwise
            return
        if self._unknown:
            await self._lose_all()
            return
        self.living = found.living | {self.me.session}
        self.unsettled = found.unsettled
        await self._act(found)
        self._tell_of_lost(found)

    async def stop(self) -> None:
        """Give everything back, so that others go on at once. The watch lane has written what it had decided."""
        self._leaving.set()
        for task in (*self._telling, self._turning, self._giving):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        try:
            await asyncio.wait_for(self._do(partial(verbs.leave, _LANE, self.me)), rules.TTL)
        except (DatabaseError, InterfaceError, StoreBusy, TimeoutError) as error:
            log.warning("could not shut down cleanly; others take over in a few seconds", error=str(error)[:200])
        self._held = {}
        self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=False)

    # -- what others ask --

    def holds(self, task: str) -> bool:
        """Whether this server is the one that does this task now."""
        return task in self._held and self.touch_age < rules.TTL

    @property
    def touch_age(self) -> float:
        """Seconds since the database took a beat."""
        return self._clock.monotonic() - self._beat_at

    @property
    def shards(self) -> int:
        return sum(rules.shard_number(name) is not None for name in self._held)

    async def probe(self) -> str:
        if self._replaced:
            return "another process has taken this server's place: was its data folder copied?"
        if self.touch_age > rules.TTL:
            return f"no contact with the database for {self.touch_age:.0f} s: others may check its monitors"
        return "ok"

    # -- one turn --

    def _beat_on(self) -> None:
        """On a thread of its own, until this server leaves."""
        while not self._leaving.wait(rules.BEAT):
            began = self._clock.monotonic()
            if began - self._turned_at > _HANGS:
                continue
            try:
                self._unknown = not verbs.beat(_LANE, self.me, self._vitals())
            except (DatabaseError, InterfaceError) as error:
                log.warning("the database did not accept a heartbeat", error=str(error)[:200])
                close_old_connections()
                continue
            self._note_touch(began)
        connections.close_all()

    def _look(self) -> Standing:
        """On the thread."""
        out_of_touch = self.touch_age >= rules.TTL  # the database is back, and has not taken a beat yet
        found = standing(0.0 if out_of_touch else self._clock.monotonic() - self._returned_at)
        self._relay(found.journal)
        return found

    def _relay(self, newest: int) -> None:
        """Tell this process what others have written to the journal."""
        if not self._seen or newest < self._seen:
            self._seen = newest
        if newest > self._seen:
            after = max(self._seen, newest - _NEWS_AT_ONCE)
            for entry in entries(Filter(after_seq=after), limit=_NEWS_AT_ONCE, newest_first=False):
                HUB.relay(entry, entry.seq)
                self._seen = entry.seq

    def _note_touch(self, began: float) -> None:
        away = began - self._beat_at
        if away >= rules.TTL:
            log.warning("contact with the database restored", seconds=round(away, 1))
            self._steady_from = self._returned_at = began
        self._beat_at = began

    async def _act(self, found: Standing) -> None:
        mine = [lease for lease in found.leases if lease.holder == self.me.session and lease.name not in self._going]
        self._hold({lease.name: lease.token for lease in mine})
        steady = self.touch_age < rules.TTL and self._clock.monotonic() - self._steady_from >= rules.TTL
        moves = rules.moves(self.me.session, found.members, found.leases, self._tasks, steady=steady)
        if moves.take:
            taken = await self._do(partial(verbs.take, _LANE, self.me.session, moves.take))
            known = {member.session for member in found.members}
            self.taken_over += sum(lease.name in taken and lease.holder in known for lease in moves.take)
            self._hold(self._held | taken)
            if taken:
                log.info("leases taken", leases=len(taken), held=len(self._held))
        if moves.give and (self._giving is None or self._giving.done()):
            self._giving = asyncio.create_task(self._give(moves.give), name="give leases")

    async def _give(self, names: Collection[str]) -> None:
        shards = [number for name in names if (number := rules.shard_number(name)) is not None]
        await self._hand_over(shards)
        self._going = frozenset(names)
        self._hold({name: token for name, token in self._held.items() if name not in names})
        try:
            await self._do(partial(verbs.give, _LANE, self.me.session, names))
        finally:
            self._going = frozenset()
        log.info("leases given", leases=len(names), held=len(self._held))

    def _hold(self, held: dict[str, int]) -> None:
        if lost := self._held.keys() - held.keys():
            log.info("leases are no longer held", leases=len(lost))
        self._held = held
        numbered = {rules.shard_number(name): token for name, token in held.items()}
        self.share.want({number: token for number, token in numbered.items() if number is not None})

    async def _lose_all(self) -> None:
        """Another start of this server has taken its place, or it was removed while it was out of touch."""
        self._hold({})
        if self._replaced or await self._do(partial(is_known, self.me.id)):
            if not self._replaced:
                log.error("another process has taken this server's place; this one no longer checks anything")
            self._replaced = True
            return
        await self._do(partial(verbs.join, _LANE, self.me, (UPKEEP, CONFIG)))
        self._unknown = False

    def _tell_of_lost(self, found: Standing) -> None:
        """By the writer, which may have to wait for its turn; a beat must not."""
        gone = {member.session for member in found.members} - self.living
        if fresh := gone - self._told:
            self._spawn(partial(self._take_over, self.living))
        self._told = gone if not fresh else self._told | fresh
        if self._telling:
            return
        if found.vanished:
            self._spawn(partial(verbs.note_lost, _LANE, found.vanished))
        if self.me.session in found.lost:
            self._spawn(partial(verbs.note_returned, _LANE, self.me))

    def _spawn(self, job: Callable[[], object]) -> None:
        async def run() -> None:
            await self._writer.run(job, urgent=True)

        task = asyncio.create_task(run())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _do(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _fresh, job)


def _fresh(job: Callable[[], T]) -> T:
    """A connection that was lost is made anew for the next job."""
    try:
        return job()
    except (DatabaseError, InterfaceError, StoreBusy):
        close_old_connections()
        raise
