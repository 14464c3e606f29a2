"""News within this process: who is subscribed hears of committed events, without asking the database."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mainstay.kernel.event import Event

Listener = Callable[[Event], None]


class Hub:
    """Listeners are called on the thread that committed; they must hand over quickly and never raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; call the result to remove it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(known for known in self._listeners if known is not listener)

        return unsubscribe

    def publish(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


HUB = Hub()
