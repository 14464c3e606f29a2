"""Time as a port: rules take `now`, lanes take a Clock, so tests decide what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the Unix epoch, as the wall clock has it (it may jump)."""

    def monotonic(self) -> float:
        """Seconds that never go backwards, for delays."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Steps:
    """How the wall clock was set, measured by the steady one between two questions.

    What is stored for later is stored by the wall clock, because the steady one begins anew with the machine. So
    whoever waits for such a time asks here, and brings it back when the clock was set back. Whoever deletes or gives
    up what is old asks here too: a clock that was set forward made nothing older.
    """

    SMALL = 2.0  # seconds; less is the usual work of a time server
    STEADY = 6 * 3600.0  # seconds in which a person, or a time server, may put a wrong clock right

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: float | None = None
        self._set_at = 0.0  # monotonic

    def step(self) -> float:
        """Seconds by which it was set since the last question, below 0 for back; minus infinity the first time, because
        it may have been set back before the start."""
        mono = self._clock.monotonic()
        offset, before = self._clock.now() - mono, self._offset
        self._offset = offset
        by = float("-inf") if before is None else offset - before
        if abs(by) <= self.SMALL:
            return 0.0
        self._set_at = mono
        return by

    def set_back(self) -> bool:
        """Whether it was since the last question; True the first time."""
        return self.step() < 0

    def steady(self) -> bool:
        """Whether it was not set for STEADY seconds. The first question counts as such a setting."""
        self.step()
        return self._clock.monotonic() - self._set_at >= self.STEADY


def lasts(until: float, seconds: float, now: float) -> bool:
    """Whether what was made to last so many seconds, and ends at `until`, is not over at `now` (all epoch seconds).

    Made later than now, by a clock that was ahead, it counts as over: else it would last longer by as much.
    """
    return now < until <= now + seconds + Steps.SMALL


def to_datetime(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def to_iso(at: float) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z."""
    return to_datetime(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
