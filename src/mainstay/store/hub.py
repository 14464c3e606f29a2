"""News within this process: who is subscribed hears of committed events, without asking the database.

With several servers on one database, each also publishes what the others have committed (nodes/lane.py).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from mainstay.kernel.event import Happened

Listener = Callable[[Happened], None]
_REMEMBERED = 2000  # numbers of our own events; relayed within a second or so


class Hub:
    """Listeners are called on the thread that committed; they must hand over quickly and never raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[tuple[Listener, bool], ...] = ()
        self._own: deque[int] = deque(maxlen=_REMEMBERED)

    def subscribe(self, listener: Listener, *, own: bool = False) -> Callable[[], None]:
        """Add a listener; call the result to remove it. `own`: only of what this process did."""
        entry = (listener, own)
        with self._lock:
            self._listeners = (*self._listeners, entry)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(known for known in self._listeners if known is not entry)

        return unsubscribe

    def publish(self, event: Happened, seq: int = 0) -> None:
        """What this process has committed; `seq` is its number in the journal."""
        if seq:
            self._own.append(seq)
        for listener, _ in self._listeners:
            listener(event)

    def relay(self, event: Happened, seq: int) -> None:
        """What stands in the journal, whoever wrote it; what was published here is not told twice."""
        if seq in self._own:
            return
        for listener, own in self._listeners:
            if not own:
                listener(event)


HUB = Hub()
