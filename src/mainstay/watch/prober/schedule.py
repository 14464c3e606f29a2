"""When each check is due. Pure: both clocks are passed in.

A check has slots at k * interval + offset on the wall clock, so a restart or another prober finds the same ones.
The next slot is waited for on the monotonic clock: a jump of the wall clock neither holds checks up nor repeats
them, and the slots after it follow the new wall clock.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.probing import CheckOrder

_SHORTEST_GAP = 0.5  # of an interval: after a jump a check waits for a slot that is at least this far away


def next_slot(order: CheckOrder, now: float) -> float:
    """The first slot after `now`, epoch seconds."""
    return (math.floor((now - order.offset) / order.interval) + 1) * order.interval + order.offset


def following_slot(order: CheckOrder, slot: float, now: float) -> float:
    """The slot after `slot`; after a first run, a jump or missed slots, the next one that leaves a fair gap."""
    following, gap = slot + order.interval, _SHORTEST_GAP * order.interval
    if _on_grid(order, slot) and gap <= following - now <= order.interval + gap:
        return following
    return next_slot(order, now + gap)


def _on_grid(order: CheckOrder, slot: float) -> bool:
    turns = (slot - order.offset) / order.interval
    return abs(turns - round(turns)) * order.interval < 1e-3  # epoch seconds hold a quarter of a microsecond


@dataclass(slots=True)
class Scheduled:
    """One check. `due` is monotonic, `slot` epoch seconds; a heap item with another number is out of date."""

    order: CheckOrder
    due: float
    slot: float
    number: int


@dataclass(slots=True)
class Schedule:
    entries: dict[str, Scheduled] = field(default_factory=dict)
    _heap: list[tuple[float, int, str]] = field(default_factory=list)
    _numbers: int = 0

    def assign(self, order: CheckOrder, now: float, monotonic: float) -> bool:
        """Add or replace, to run first after `first_delay`; False if the order is the one that stands already."""
        current = self.entries.get(order.uid)
        if current is not None and _same(current.order, order):
            return False
        self._push(Scheduled(order, monotonic + order.first_delay, now + order.first_delay, 0))
        return True

    def withdraw(self, uid: str) -> None:
        self.entries.pop(uid, None)
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self.entries):
            self._heap = [(entry.due, entry.number, uid) for uid, entry in self.entries.items()]
            heapq.heapify(self._heap)

    def due(self, now: float, monotonic: float, limit: int) -> Iterator[tuple[CheckOrder, float]]:
        """(order, seconds late) of at most `limit` checks; each has its next slot already when it comes."""
        heap = self._heap
        while heap and limit > 0 and heap[0][0] <= monotonic:
            _due, number, uid = heapq.heappop(heap)
            entry = self.entries.get(uid)
            if entry is None or entry.number != number:
                continue
            late = monotonic - entry.due
            slot = following_slot(entry.order, entry.slot, now)
            self._push(Scheduled(entry.order, monotonic + slot - now, slot, 0))
            limit -= 1
            yield entry.order, late

    def next_due(self) -> float | None:
        """Monotonic time of the earliest check, or None."""
        while self._heap:
            due, number, uid = self._heap[0]
            entry = self.entries.get(uid)
            if entry is not None and entry.number == number:
                return due
            heapq.heappop(self._heap)
        return None

    def _push(self, entry: Scheduled) -> None:
        self._numbers += 1
        entry.number = self._numbers
        self.entries[entry.order.uid] = entry
        heapq.heappush(self._heap, (entry.due, entry.number, entry.order.uid))


def _same(one: CheckOrder, other: CheckOrder) -> bool:
    """Whether only the delay of the first run differs, which has no meaning later."""
    return (
        one.kind == other.kind
        and one.interval == other.interval
        and one.timeout == other.timeout
        and one.offset == other.offset
        and one.options == other.options
        and one.secrets == other.secrets
    )
