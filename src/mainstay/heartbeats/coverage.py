"""Whether a maintenance window covers a heartbeat now."""

from __future__ import annotations

from collections.abc import Mapping

from mainstay.store.resources.queries import latest_revision
from mainstay.windows.queries import Window, covering, declared


class Coverage:
    """Asks the declared windows, which are read and parsed anew only after something was declared."""

    def __init__(self) -> None:
        self._windows: tuple[int, list[Window]] = (-1, [])

    def __call__(self, labels: Mapping[str, str], now: float) -> str:
        """Name of a window that covers these labels at `now` (epoch seconds), or empty."""
        revision = latest_revision()
        if self._windows[0] != revision:
            self._windows = (revision, declared())
        found = covering(labels, now, self._windows[1])
        return found.name if found is not None else ""
