"""A clock that tests set."""

from __future__ import annotations


class FakeClock:
    """A clock that stands still until it is told."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at
        self._moved = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - self._moved

    def advance(self, seconds: float) -> None:
        self.at += seconds

    def set(self, seconds: float) -> None:
        """Somebody sets the wall clock, forwards or back; no time passes."""
        self.at += seconds
        self._moved += seconds
