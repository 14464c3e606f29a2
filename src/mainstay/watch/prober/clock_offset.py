"""How far this machine's clock is from a server's: the way NTP measures it (RFC 5905, section 8), without the
server's second time stamp, because it answers at once.

Of the exchanges of the last minutes the one with the shortest round trip counts: whatever delayed the others is not
the clocks' doing. The answer is right within half of that round trip.
"""

from __future__ import annotations

from collections import deque

KEPT = 32
_YOUNG = 300.0  # seconds that an exchange counts
_STEP = 0.05  # seconds that the wall clock may move against the steady clock between two looks


class ClockOffset:
    """`offset` is what to add to times of this machine; `round_trip` is 0 while nothing was measured."""

    def __init__(self) -> None:
        self._exchanges: deque[tuple[float, float, float]] = deque(maxlen=KEPT)  # round trip, offset, steady clock
        self._relation: float | None = None  # wall clock less steady clock, at the last look
        self.offset = 0.0
        self.round_trip = 0.0

    def measured(self, sent: float, at: float, now: float, mono: float) -> None:
        """One exchange: asked at `sent`, answered `at` by the server's clock, heard `now`; `mono` is a steady clock."""
        round_trip = now - sent
        if round_trip < 0:
            return  # the clock was set back meanwhile
        self._exchanges.append((round_trip, at - (sent + now) / 2, mono))
        young = [exchange for exchange in self._exchanges if mono - exchange[2] <= _YOUNG]
        self.round_trip, self.offset, _ = min(young)

    def stepped(self, now: float, mono: float) -> float:
        """Seconds that the wall clock was set forward since the last look, 0 if it was not set at all."""
        relation, before = now - mono, self._relation
        self._relation = relation
        if before is None or abs(relation - before) < _STEP:
            return 0.0
        self._exchanges.clear()
        self.offset -= relation - before
        return relation - before
