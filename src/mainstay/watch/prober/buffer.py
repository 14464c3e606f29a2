"""Results on their way to a server elsewhere: kept until it confirms them, within a bound, the oldest dropped first.

Batches are numbered. What was sent and not confirmed is sent again over the next link, under the same number, so the
server knows what it has already.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from mainstay.kernel.probing import RESULTS_PER_FRAME, Batch, CheckResult

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 50_000  # results, some 20 MB
WINDOW = 16  # batches on their way
_BYTES = 2 * 1024 * 1024  # of a batch; half of what a server takes
_ENCODER = msgspec.msgpack.Encoder()


class Buffer:
    """The outbox of an engine whose results leave the machine. `on_news` is called when there is something to send."""

    def __init__(self, on_news: Callable[[], None], *, kept: int = KEPT) -> None:
        self._on_news, self._kept = on_news, kept
        self._fresh: deque[CheckResult] = deque()
        self._sent: deque[tuple[int, deque[CheckResult]]] = deque()  # oldest first
        self._on_way = 0  # results in `_sent`
        self._number = 0
        self.dropped = 0
        self._emptied = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._fresh) + self._on_way

    def add(self, result: CheckResult) -> None:
        self._fresh.append(result)
        if self.waiting > self._kept:
            self._drop_oldest()
        self._on_news()

    def flush(self) -> None:
        self._on_news()

    def next_batch(self, offset: float) -> bytes | None:
        """The next batch to send, encoded; None if there is nothing, or enough is on its way."""
        if not self._fresh or len(self._sent) >= WINDOW:
            return None
        results = deque(self._fresh.popleft() for _ in range(min(RESULTS_PER_FRAME, len(self._fresh))))
        data = _packed(self._number + 1, results, offset)
        while len(data) > _BYTES and len(results) > 1:
            for _ in range(len(results) // 2):
                self._fresh.appendleft(results.pop())
            data = _packed(self._number + 1, results, offset)
        if len(data) > _BYTES:
            results[0].evidence = {"cut": "the result is too large to be sent"}
            data = _packed(self._number + 1, results, offset)
        self._number += 1
        self._sent.append((self._number, results))
        self._on_way += len(results)
        return data

    def confirmed(self, number: int) -> None:
        """The server has everything up to this batch."""
        while self._sent and self._sent[0][0] <= number:
            self._on_way -= len(self._sent.popleft()[1])
        if not self.waiting:
            self._emptied.set()

    async def empty(self) -> None:
        """Return once the server has everything."""
        while self.waiting:
            self._emptied.clear()
            await self._emptied.wait()

    def unconfirmed(self, offset: float) -> list[bytes]:
        """The batches that were sent and not confirmed, to be sent again."""
        return [_packed(number, results, offset) for number, results in self._sent]

    def shift(self, seconds: float) -> None:
        """This machine's clock was set forward: the results were found by the clock before."""
        for results in (self._fresh, *(results for _, results in self._sent)):
            for result in results:
                result.at += seconds

    def clear(self) -> None:
        self._fresh.clear()
        self._sent.clear()
        self._on_way = 0

    def _drop_oldest(self) -> None:
        self.dropped += 1
        if not self._sent:
            self._fresh.popleft()
            return
        results = self._sent[0][1]
        results.popleft()
        self._on_way -= 1
        if not results:
            self._sent.popleft()


def _packed(number: int, results: deque[CheckResult], offset: float) -> bytes:
    return _ENCODER.encode(Batch(number, list(results), offset))
