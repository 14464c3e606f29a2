"""Results of checks over time: every single one, roll-ups and pictures, in tables of the columnar store.

`open_results` is called once by the runtime; pages and lanes use `current()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings
    from mainstay.watch.results.results import Results

_current: Results | None = None


def open_results(settings: Settings) -> Results:
    """Open the store that the settings name and make it the current one; UserError for settings that make no sense."""
    from mainstay.watch.results.results import opened

    results = opened(settings)
    set_current(results)
    return results


def set_current(results: Results | None) -> None:
    global _current  # noqa: PLW0603  one store per process, opened by the runtime
    _current = results


def current() -> Results:
    """The open results. RuntimeError in processes that have none (commands)."""
    if _current is None:
        raise RuntimeError("telemetry is open in the server process only")
    return _current
