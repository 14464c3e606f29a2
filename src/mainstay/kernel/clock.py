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
    whoever waits for such a time asks here, and brings it back when the clock was set back.
    """

    SMALL = 2.0  # seconds; less is the usual work of a time server

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: float | None = None

    def set_back(self) -> bool:
        """Whether it was since the last question; True the first time, because it may have been before the start."""
        offset, before = self._clock.now() - self._clock.monotonic(), self._offset
        self._offset = offset
        return before is None or offset - before < -self.SMALL


def to_datetime(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def to_iso(at: float) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z."""
    return to_datetime(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
