"""The lane of the last word: when this server cannot write, it tells channels itself, from memory, past the outbox.

Once for each trouble and channel, and once more to those that heard it when all has been well for a while. A channel
that could not be reached is tried again. Nothing of it is written: that is what fails.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, close_old_connections

from mainstay.alerting.handover import hand_over
from mainstay.alerting.last_word import Outage, message, remember
from mainstay.kernel.errors import MainstayError, Refused
from mainstay.kernel.ids import new_id
from mainstay.store.resources.queries import latest_revision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.spec import ChannelSpec
    from mainstay.frames.health import Health
    from mainstay.kernel.clock import Clock
    from mainstay.kernel.ports import Notification, Receipt
    from mainstay.kernel.settings import Settings

log = structlog.get_logger("last word")

EVERY = 2.0  # seconds between turns
PATIENCE = 30.0  # seconds for which something must be wrong; a database that is restarted is back sooner
CALM = 60.0  # seconds for which all must be well before it counts as over
AGAIN = 60.0  # seconds after which a channel that was not reached is tried again
TRIES = 60  # of one channel, about its beginning and about its end
REMEMBER = 60.0  # seconds between looks at what is declared and at the vault, if nothing changes
THREADS = 64
_PARTS = ("database", "writer", "lanes", "changes", "delivery")  # without which nobody is told of anything
_READ = 5.0  # seconds that reading may take


@dataclass(slots=True)
class _Telling:
    """One message on its way to its channels. Times are monotonic."""

    message: Notification
    channels: Mapping[str, ChannelSpec]
    tried: dict[str, list[float]] = field(default_factory=dict)
    handing: dict[str, Future[Receipt]] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def due(self, now: float) -> list[str]:
        waiting = self.channels.keys() - self.reached - self.refused - self.handing.keys()
        return sorted(name for name in waiting if self._may_try(self.tried.get(name, []), now))

    def _may_try(self, tried: list[float], now: float) -> bool:
        return not tried or (len(tried) < TRIES and now - tried[-1] >= AGAIN)

    def gather(self) -> None:
        """What became of the deliveries that have ended."""
        for name in [name for name, handing in self.handing.items() if handing.done()]:
            error = self.handing.pop(name).exception()
            if error is None:
                self.reached.add(name)
            elif isinstance(error, Refused):
                self.refused.add(name)
            # Of an error that no channel means to raise the type only: its text may hold a secret.
            why = "" if error is None else str(error) if isinstance(error, MainstayError) else type(error).__name__
            log.warning("told directly", channel=name, status=self.message.status, error=why)


@dataclass(slots=True)
class LastWordLane:
    """`turn` never waits for a delivery, and for the database a few seconds at most."""

    settings: Settings
    health: Health
    clock: Clock
    server: str  # its name, for people
    _channels: Mapping[str, ChannelSpec] = field(default_factory=dict)
    _revision: int = -1
    _read_at: float = float("-inf")  # monotonic, as the others
    _trouble: Outage | None = None
    _wrong_since: float = 0.0
    _well_since: float | None = None
    _firing: _Telling | None = None
    _over: _Telling | None = None
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="last-word")
    )

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def turn(self) -> None:
        wrong, now = await self.health.wrong(_PARTS), self.clock.monotonic()
        if wrong:
            self._stay_wrong(wrong, now)
        elif self._firing is not None:
            self._stay_well(now)
        else:
            self._trouble = None
            await self._remember(now)
        for telling in (self._firing, self._over):
            if telling is not None:
                self._tell(telling, now)

    def _stay_wrong(self, wrong: Mapping[str, str], now: float) -> None:
        self._well_since = None
        if self._trouble is None:
            at = self.clock.now()
            self._trouble, self._wrong_since = Outage(new_id(at), self.server, at, wrong), now
        elif self._firing is None and now - self._wrong_since >= PATIENCE:
            self._trouble = replace(self._trouble, wrong=wrong)
            self._firing = _Telling(message(self._trouble, self.settings), self._channels)
            log.error(
                "this server cannot write; channels are notified directly", channels=list(self._channels), **wrong
            )

    def _stay_well(self, now: float) -> None:
        if self._well_since is None:
            self._well_since = now
        elif now - self._well_since >= CALM and self._trouble is not None and self._firing is not None:
            over = replace(self._trouble, until=self.clock.now() - (now - self._well_since))
            heard = {name: spec for name, spec in self._firing.channels.items() if name in self._firing.reached}
            hearing = {name: spec for name, spec in heard.items() if spec.resolved}
            self._over = _Telling(message(over, self.settings), hearing)
            self._trouble = self._firing = self._well_since = None

    def _tell(self, telling: _Telling, now: float) -> None:
        telling.gather()
        for name in telling.due(now):
            telling.tried.setdefault(name, []).append(now)
            work = partial(hand_over, telling.channels[name], telling.message, self.settings, self.clock.now())
            telling.handing[name] = self._pool.submit(work)

    async def _remember(self, now: float) -> None:
        """Only while all is well; what cannot be read now stays as it was."""
        try:
            async with asyncio.timeout(_READ):
                await asyncio.to_thread(self._read, now)
        except (DatabaseError, MainstayError, TimeoutError) as error:
            log.warning("declared resources cannot be read; the last word goes where it went", error=str(error))

    def _read(self, now: float) -> None:
        close_old_connections()
        revision = latest_revision()
        if revision != self._revision or now - self._read_at >= REMEMBER:
            self._channels = remember(self.settings)
            self._revision, self._read_at = revision, now
