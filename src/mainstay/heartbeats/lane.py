"""The heartbeats lane: keeps the ping directory in step with what is declared and judges passed deadlines.

Four turns a second, each a look into an index while nothing is due: what a turn waits is what a person is told
too late. The time between two turns that reached the database is what Mainstay was awake for: a
longer gap (SIGSTOP, a clock jump, a database that did not answer, a restart) is an absence, in which pings
could not be taken in; rules.deadline_passed excuses by it. A lost network of the machine counts the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog

from mainstay.heartbeats.coverage import Coverage
from mainstay.heartbeats.deadlines import claim_due, last_alive, note_alive, set_deadlines_right
from mainstay.heartbeats.directory import Directory
from mainstay.heartbeats.intake import Covering
from mainstay.heartbeats.queries import directory_entries, ping_key_hash
from mainstay.heartbeats.reconcile import behind, reconcile
from mainstay.heartbeats.rules import Absence
from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock, Steps
from mainstay.kernel.event import Happened
from mainstay.kernel.settings import Settings
from mainstay.store.hub import HUB
from mainstay.store.resources.queries import latest_revision
from mainstay.store.work import sliced
from mainstay.store.writer import Writer

log = structlog.get_logger("heartbeats")

EVERY = 0.25  # seconds between turns
LOOK_EVERY = 1.0  # seconds between looks for what other processes declared
GAP = 5.0  # a longer time between two turns is an absence
NOTE_EVERY = 10.0  # seconds between traces of life in the database
_GATHER = 0.05  # seconds in which questions about unknown addresses come together
_PATIENCE = 2.0  # seconds that such a question may wait for the database
SLACK = 0.5  # seconds after a deadline in which a ping that came in time may still be on its way to the disk

_ACTOR = system("heartbeats")


class HeartbeatLane:
    """`turn` is called about every EVERY seconds by the runtime (lanes.forever); `directory` goes to PingApp."""

    def __init__(self, settings: Settings, writer: Writer, clock: Clock, covering: Covering | None = None) -> None:
        self.settings = settings
        self.directory = Directory()
        self._writer = writer
        self._clock, self._steps = clock, Steps(clock)
        self._covering = covering or Coverage()
        # Whether pings may be on their way that came in time: read back from a disk, or on another server's.
        self.hold: Callable[[], bool] = lambda: False
        self._awake_at: float | None = None  # when the last turn was done, by the wall clock
        self._noted_at = 0.0
        self._looked_at = 0.0
        self._absences: deque[Absence] = deque(maxlen=20)
        self._uplink_lost_at: float | None = None
        self._seen: tuple[int, str] | None = None  # revision and hash of the ping key
        self._heard, self._taken_up = 1, 0  # changes of what is declared; they differ until the directory has them all
        self._gathering: asyncio.Task[None] | None = None
        self._silence = (HUB.subscribe(self._hear), HUB.subscribe(self._hear_own, own=True))

    def close(self) -> None:
        for unsubscribe in self._silence:
            unsubscribe()

    def _hear(self, event: Happened) -> None:
        """Called on whatever thread committed: leave a note for the next turn."""
        if event.kind in ("resources.applied", "resources.rolled_back", "token.ping_key_rotated"):
            self._heard += 1

    def _hear_own(self, event: Happened) -> None:
        """Of this server's own network; another one may have one still."""
        if event.kind == "uplink.lost":
            self._uplink_lost_at = self._clock.now()
        elif event.kind == "uplink.restored" and self._uplink_lost_at is not None:
            self._absences.append(Absence(self._uplink_lost_at, self._clock.now(), "uplink_lost"))
            self._uplink_lost_at = None

    async def start(self) -> None:
        """Before the first ping is taken in: make missing rows and fill the directory."""
        await self._writer.run(self._begin)

    async def catch_up(self) -> None:
        """Fill the directory now if something was declared since, be it by another process or server.

        For an address that nobody has: a program that makes a heartbeat pings it in the same breath. One look answers
        for all who ask within _GATHER; without a database nothing new is known, and nobody waits.
        """
        behind = self._heard != self._taken_up
        if not behind and self._writer.waiting_since is not None:
            return
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather(0.0 if behind else _GATHER), name="catch up")
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._gathering), _PATIENCE)

    async def _gather(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._gathering = None  # who comes from now on may ask about what is declared after this look
        await self._writer.run(self._look_again, urgent=True)

    def _look_again(self) -> None:
        if self._heard != self._taken_up or self._declared() != self._seen:
            self._refresh()

    async def turn(self) -> None:
        """Take up news, then judge everything that is due."""
        more = True
        while more:
            more = await self._writer.run(self._work, urgent=True)

    def _begin(self) -> None:
        self._refresh()
        if self._awake_at is None:
            before = last_alive()
            self._awake_at = before if before is not None else self._clock.now()

    def _work(self) -> bool:
        """One round on the writer's thread. True if more deadlines wait."""
        if self._awake_at is None:
            self._begin()
        now = self._clock.now()
        if self._steps.set_back():
            self._go_back(now)
        looks = abs(now - self._looked_at) >= LOOK_EVERY
        if looks:
            self._looked_at = now
        if looks or self._heard != self._taken_up:
            self._look_again()
        absences = (*self._absences, *self._gap(now))
        more = False
        # While the uplink is lost nothing can come in from outside; judged when the network is back.
        if self._uplink_lost_at is None and not self.hold():
            claimed = claim_due(
                _ACTOR, self.directory.by_uid, now - SLACK, absences, covering=self._covering, clock=self._clock
            )
            more = claimed.more
        self._stay_awake(now)
        return more

    def _go_back(self, now: float) -> None:
        """The clock was set back: what ended later than now has not ended so, and excuses nobody any more."""
        changed = set_deadlines_right(_ACTOR, self.directory.by_uid, now, self._clock)
        if changed:
            log.warning("the clock was set back: heartbeat deadlines were recomputed", heartbeats=changed)
        past = [absence for absence in self._absences if absence.until <= now]
        self._absences.clear()
        self._absences.extend(past)
        self._awake_at = min(self._awake_at or now, now)
        if self._uplink_lost_at is not None:
            self._uplink_lost_at = min(self._uplink_lost_at, now)

    def _gap(self, now: float) -> tuple[Absence, ...]:
        """The absence that ends with this turn, if there was one."""
        awake_at = self._awake_at
        return (Absence(awake_at, now),) if awake_at is not None and now - awake_at > GAP else ()

    def _stay_awake(self, now: float) -> None:
        """The turn got through: only now does the time since the last one count as over."""
        if abs(now - self._noted_at) >= NOTE_EVERY:
            note_alive(_ACTOR, now)
            self._noted_at = now
        for absence in self._gap(now):
            self._absences.append(absence)
            log.info("pings could not be accepted for a while", seconds=round(absence.seconds, 1))
        self._awake_at = now

    def _declared(self) -> tuple[int, str]:
        return latest_revision(), ping_key_hash()

    def _refresh(self) -> None:
        heard, self._seen = self._heard, self._declared()
        for uids in sliced(behind()):  # rows follow an apply by themselves, unless the program was ended in between
            reconcile(_ACTOR, uids, self._clock)
        self.directory.replace(directory_entries(), self._seen[1])
        self._taken_up = heard
