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


def to_datetime(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def to_iso(at: float) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z."""
    return to_datetime(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
