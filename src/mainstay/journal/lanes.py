"""The lane that seals the journal each day, or each 50,000 entries, and thins what is old.

Segments are written and compared on a thread beside the writer: reading 50,000 entries takes a second or two.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from django.db import connections

from mainstay.alerting.queries import open_since
from mainstay.alerting.verbs import send_report
from mainstay.journal.settings import JOURNAL_DAYS, JOURNAL_SEGMENT_DAYS, SEAL_CHANNEL
from mainstay.kernel.actor import system
from mainstay.kernel.capability import Lane
from mainstay.kernel.clock import Steps
from mainstay.kernel.errors import Conflict, MainstayError, UserError
from mainstay.nodes.queries import nodes
from mainstay.store.seals import sealing
from mainstay.store.seals.files import is_local
from mainstay.store.work import unit_of_work

if TYPE_CHECKING:
    from mainstay.store.running import Running
    from mainstay.store.seals.sealing import Prepared

log = structlog.get_logger("journal")

T = TypeVar("T")
EVERY = 60.0
_AT_ONCE = 2  # segments in one turn, of a journal that was never sealed: others need the processor too
_SLICES = 500  # of rows that are removed in one turn
_PAUSE = 0.05  # seconds between two of them, for others who write
_SWEEP = 3600.0
_DAY = 86_400.0
_ACTOR = system("seals")
_TITLE = "Seal of the journal"


class SealLane:
    """`problem` says why nothing is sealed, or why what is old is not thinned; a person must look then."""

    def __init__(self, running: Running) -> None:
        self._settings, self._writer, self._clock = running.settings, running.writer, running.clock
        self._steps = Steps(running.clock)
        self._sweep_at = 0.0  # monotonic
        self.problem = ""

    async def probe(self) -> str:
        return self.problem or "ok"

    async def turn(self) -> None:
        try:
            self.problem = await _aside(self._obstacle)
            if not self.problem:
                await self._seal()
                await self._thin()
        except MainstayError as error:
            self.problem = error.message
            log.warning("sealing or pruning of the journal is delayed", error=error.message, hint=error.hint)

    def _obstacle(self) -> str:
        if self._settings.database and is_local(self._settings) and len(nodes()) > 1:
            return "several servers need MAINSTAY_JOURNAL_TO, a place for segments that all of them can reach"
        return ""

    async def _seal(self) -> None:
        for _segment in range(_AT_ONCE):
            prepared = await _aside(self._prepare)
            if prepared is None:
                return
            try:
                await self._writer.run(partial(self._commit, prepared))
            except Conflict:
                return  # something was erased meanwhile: the next turn reads it anew

    def _prepare(self) -> Prepared | None:
        return sealing.prepare(self._settings) if sealing.is_due(self._clock.now()) else None

    def _commit(self, prepared: Prepared) -> None:
        """With its message to the channel; if that cannot be, without."""
        channel = self._settings[SEAL_CHANNEL]
        try:
            with unit_of_work(_ACTOR, self._clock):
                document = sealing.commit(_ACTOR, self._settings, prepared, self._clock, channel)
                if channel:
                    send_report(_ACTOR, channel, _TITLE, document, {"seal": json.loads(document)})
        except UserError as error:
            if not channel or isinstance(error, Conflict):
                raise
            log.warning("the seal could not be sent", channel=channel, error=error.message, hint=error.hint)
            sealing.commit(_ACTOR, self._settings, prepared, self._clock)

    async def _thin(self) -> None:
        """By age, once the clock was steady for hours; what an open alert may need stays."""
        days, segment_days = self._settings[JOURNAL_DAYS], self._settings[JOURNAL_SEGMENT_DAYS]
        if days and self._steps.steady():
            now = self._clock.now()
            oldest = await _aside(open_since)
            keep = now if oldest is None else oldest
            await _aside(partial(sealing.move_out, _ACTOR, self._settings, min(keep, now - days * _DAY), self._clock))
            if segment_days:
                before = min(keep, now - max(days, segment_days) * _DAY)
                await _aside(partial(sealing.delete_segments, _ACTOR, self._settings, before, self._clock))
        for _slice in range(_SLICES):
            if not await self._writer.run(partial(sealing.remove_rows, _ACTOR, self._clock)):
                break
            await asyncio.sleep(_PAUSE)
        if self._clock.monotonic() >= self._sweep_at:
            await _aside(partial(sealing.sweep, _ACTOR, self._settings, self._clock))
            self._sweep_at = self._clock.monotonic() + _SWEEP


async def _aside(job: Callable[[], T]) -> T:
    """Run it on a thread of its own, which keeps no connection to the database."""

    def run() -> T:
        try:
            return job()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def lanes(running: Running) -> tuple[Lane, ...]:
    lane = SealLane(running)
    return (Lane("seals", lane.turn, EVERY, alone=True, probe=lane.probe, vital=False),)
