"""What the watch lane has decided and not written yet: a queue, written in order and in batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import structlog

from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.kernel.errors import StoreBusy
from mainstay.nodes.share import Share
from mainstay.store.writer import Writer
from mainstay.watch import verbs
from mainstay.watch.board import Moved
from mainstay.watch.uplink import Change

log = structlog.get_logger("watch")

BATCH = 200  # changes in one transaction
LIMIT = 100_000  # changes that wait
_LANE = system("watch")


class Transitions:
    """`reload` is called with the uids whose rows others have changed, after their queued moves are void."""

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        reload: Callable[[Iterable[str]], Awaitable[None]],
        share: Share | None = None,
    ) -> None:
        self._writer, self._clock, self._reload = writer, clock, reload
        self._fence: verbs.Fence | None = share.fence if share is not None else None
        self._node = share.node if share is not None else ""
        self.dropped = 0  # since the start, because the database was away for very long
        self._queue: deque[Moved | Change] = deque()
        self._moved = 0.0  # monotonic: when the queue was empty, or a batch was written
        self._held: set[str] = set()  # being read anew; what is decided of them meanwhile does not count
        self._wake = asyncio.Event()
        self._done = asyncio.Event()  # a batch was written
        self._trying: list[Moved | Change] = []  # being written, or failed to be
        self._singly = 0  # so many changes are written each on its own

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def age(self) -> float:
        """Seconds for which something has waited while nothing was written."""
        return self._clock.monotonic() - self._moved if self._queue else 0.0

    def put(self, changes: Iterable[Change], moves: Iterable[Moved]) -> None:
        if not self._queue:
            self._moved = self._clock.monotonic()
        self._queue.extend(changes)
        self._queue.extend(move for move in moves if move.uid not in self._held)
        if len(self._queue) > LIMIT:
            self._drop(len(self._queue) - LIMIT)
        self._wake.set()

    def _drop(self, count: int) -> None:
        """The oldest go first. Later ones of the same monitors do not fit their rows then, which are read anew."""
        batch = {id(item) for item in self._trying}
        kept = [item for item in self._queue if id(item) in batch]
        rest = [item for item in self._queue if id(item) not in batch]
        self._queue = deque([*kept, *rest[count:]])
        if not self.dropped:
            log.error("changes waiting for the database are dropped, the oldest first", limit=LIMIT)
        self.dropped += count

    def waiting_uids(self) -> set[str]:
        return {item.uid for item in self._queue if isinstance(item, Moved)}

    async def written(self, uids: set[str], patience: float) -> None:
        """Return once nothing waits of these monitors, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while uids & self.waiting_uids():
                    self._done.clear()
                    await self._done.wait()

    @contextmanager
    def holding(self, uids: set[str]) -> Iterator[None]:
        """Void the moves of these monitors that wait, and those that come until the block ends."""
        self._held |= uids
        kept = [item for item in self._queue if not (isinstance(item, Moved) and item.uid in uids)]
        self._queue.clear()
        self._queue.extend(kept)
        try:
            yield
        finally:
            self._held -= uids

    async def turn(self) -> None:
        if not self._queue:
            await self._wake.wait()
        self._wake.clear()
        await self.flush()

    async def flush(self) -> None:
        """Return once all that waits is written. What a write raises goes to the lane's loop, which logs it and
        calls again; then the batch that failed is written one by one, so that one bad change stops no other."""
        while self._queue:
            if self._trying:
                await self._after_failure()
                continue
            await self._write(1 if self._singly else min(BATCH, len(self._queue)))
            self._singly = max(0, self._singly - 1)

    async def _write(self, size: int) -> None:
        """Write the first changes of the queue; they leave it once they are durable."""
        self._trying = batch = [self._queue[index] for index in range(size)]
        try:
            write = partial(verbs.record_transitions, _LANE, batch, self._clock, fence=self._fence, node=self._node)
            overtaken = await self._writer.run(write, urgent=True)
        except (StoreBusy, asyncio.CancelledError):
            self._trying = []  # nothing is wrong with the changes: the program stops
            raise
        self._trying = []
        self._done.set()
        self._moved = self._clock.monotonic()
        written = {id(item) for item in batch}
        while self._queue and id(self._queue[0]) in written:
            self._queue.popleft()
        if overtaken:
            await self._reload(overtaken)

    async def _after_failure(self) -> None:
        """A change that cannot even be written alone is dropped, and its monitor read anew: its next results
        decide again."""
        failed, self._trying = self._trying, []
        if len(failed) > 1:
            self._singly = len(failed)
            return
        self._singly = max(0, self._singly - 1)
        (item,) = failed
        if self._queue and self._queue[0] is item:
            self._queue.popleft()
        name = item.name if isinstance(item, Moved) else f"uplink/{item.part}"
        log.error("a change cannot be written; it will be decided again", change=name)
        if isinstance(item, Moved):
            await self._reload([item.uid])
