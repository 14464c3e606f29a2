"""Whether a maintenance window covers a heartbeat now."""

from __future__ import annotations

from collections.abc import Mapping


def covering_window(labels: Mapping[str, str], now: float) -> str:
    """Name of a window that covers these labels at `now` (epoch seconds), or empty."""
    from mainstay.windows.queries import covering

    found = covering(labels, now)
    return found.name if found is not None else ""
