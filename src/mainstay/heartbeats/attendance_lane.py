"""The attendance lane: once a minute it charges to each heartbeat the time that passed, for uptime and bars.

Only time in which this process was awake is charged: what a heartbeat was while nobody looked is not known.
"""

from __future__ import annotations

from mainstay.heartbeats.charges import charges, standing
from mainstay.kernel.clock import Clock
from mainstay.store.writer import Writer
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Charge

EVERY = 60.0
_LONGEST = 2 * EVERY  # more between two turns was spent asleep or without the database


class AttendanceLane:
    def __init__(self, telemetry: Results, writer: Writer, clock: Clock) -> None:
        self._telemetry, self._writer, self._clock = telemetry, writer, clock
        self._turned: float | None = None  # wall clock
        self._known: dict[str, Charge] = {}

    async def turn(self) -> None:
        """Charge the time since the last turn; the first one only looks."""
        found = await self._writer.run(standing)
        at, began = self._clock.now(), self._turned
        if began is not None and 0 < at - began <= _LONGEST:
            self._telemetry.append(charges(self._known, found, began, at))
        self._turned, self._known = at, {one.uid: one.charge for one in found}
