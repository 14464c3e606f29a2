"""Who writes next: what wakes people goes before upkeep and bulk work, which still comes to its turn."""

from __future__ import annotations

import heapq
import threading
import time
from itertools import count

PATIENCE = 1.0  # seconds for which others go before what is not urgent

_own = threading.local()


def rank(*, urgent: bool) -> float:
    """Its position in a queue: the smaller, the sooner. Work that has waited for PATIENCE counts as urgent."""
    return time.monotonic() + (0.0 if urgent else PATIENCE)


def go_first() -> None:
    """From now on this thread's turns are urgent."""
    _own.urgent = True


class Turn:
    """A lock for one holder at a time, handed to whoever waits with the smallest rank. Not reentrant."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._numbers = count()
        self._waiting: list[tuple[float, int, threading.Lock]] = []

    def acquire(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            place = rank(urgent=getattr(_own, "urgent", False))
            heapq.heappush(self._waiting, (place, next(self._numbers), mine))
        mine.acquire()  # until whoever has the turn hands it over

    def release(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].release()
            else:
                self._taken = False
