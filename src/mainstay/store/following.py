"""The lanes of followers: one each, with a thread of its own, so that one which is slow or hangs holds up no other.

News of this process, and of other servers, wakes them; every few seconds they look by themselves, for what a command
beside the server wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, InterfaceError, connections

from mainstay.kernel.capability import Lane
from mainstay.kernel.errors import StoreBusy
from mainstay.kernel.wording import counted
from mainstay.store.followers import FOLLOWERS, Follower, Lag, catch_up, lag
from mainstay.store.hub import HUB

if TYPE_CHECKING:
    from mainstay.kernel.clock import Clock
    from mainstay.kernel.event import Happened
    from mainstay.store.running import Running

log = structlog.get_logger("followers")

_LOOK = 5.0  # seconds without news
_PAUSE = 0.5  # between two turns: what comes together is done together
_LATE = 60.0  # seconds after which health tells of it


def lanes(running: Running) -> tuple[Lane, ...]:
    return tuple(_lane(follower, running) for follower in FOLLOWERS.values())


def _lane(follower: Follower, running: Running) -> Lane:
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"follow {follower.name}")

    async def turn() -> None:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def heard(event: Happened) -> None:
            if event.kind in follower.kinds:
                loop.call_soon_threadsafe(news.set)

        unsubscribe = HUB.subscribe(heard)  # before it reads, so that nothing falls between
        try:
            try:
                wait = await loop.run_in_executor(thread, partial(_follow, follower, running.clock))
            except (StoreBusy, DatabaseError, InterfaceError) as error:
                log.warning("a follower waits for the database", follower=follower.name, error=str(error)[:200])
                wait = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(_LOOK, wait or _LOOK))
        finally:
            unsubscribe()

    async def probe() -> str:
        try:
            return _say(await asyncio.to_thread(lag, follower, running.clock.now()))
        except (DatabaseError, InterfaceError):
            return "ok"  # the database's own probe tells of it

    return Lane(follower.name, turn, _PAUSE, alone=True, probe=probe, vital=False)


def _follow(follower: Follower, clock: Clock) -> float | None:
    """Without keeping a connection: most of the time most followers have nothing to do."""
    try:
        return catch_up(follower, clock)
    finally:
        connections.close_all()


def _say(lag: Lag) -> str:
    if lag.seconds < _LATE:
        return "ok"
    waiting = counted(lag.entries, "entry", "entries")
    return f"{waiting} of the journal to read, the oldest for {lag.seconds:.0f} s; the log may say why"
