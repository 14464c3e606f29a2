"""Telemetry: raw results and their roll-ups, behind one interface.

`open_telemetry` is called once by the runtime; pages and lanes use `current()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings
    from mainstay.store.telemetry.port import Telemetry

_current: Telemetry | None = None


def open_telemetry(settings: Settings) -> Telemetry:
    """Open the store that the settings name and make it the current one; UserError for settings that make no sense."""
    from mainstay.store.telemetry.opening import opened

    store = opened(settings)
    set_current(store)
    return store


def set_current(telemetry: Telemetry | None) -> None:
    global _current  # noqa: PLW0603  one store per process, opened by the runtime
    _current = telemetry


def current() -> Telemetry:
    """The open telemetry. RuntimeError in processes that have none (commands)."""
    if _current is None:
        raise RuntimeError("telemetry is open in the server process only")
    return _current
