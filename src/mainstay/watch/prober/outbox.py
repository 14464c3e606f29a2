"""Results on their way to the main process: sent in batches, kept within a bound while it does not read."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mainstay.kernel.probing import RESULTS_PER_FRAME, CheckResult, Results

if TYPE_CHECKING:
    from mainstay.watch.prober.wire import Pipe

_FLUSH_EVERY = 0.03  # seconds that a result may wait for others
_KEPT = 50_000  # results, some 20 MB


class Outbox:
    def __init__(self, pipe: Pipe, *, kept: int = _KEPT) -> None:  # type: ignore[type-arg]  # either end will do
        self._pipe = pipe
        self._kept = kept
        self._up: deque[CheckResult] = deque()
        self._news: deque[CheckResult] = deque()  # whatever is not `up`: sent at once and kept longest
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0

    def add(self, result: CheckResult) -> None:
        if result.verdict == "up":
            self._up.append(result)
        else:
            self._news.append(result)
        if len(self._up) + len(self._news) > self._kept:
            (self._up or self._news).popleft()
            self.dropped += 1
        if result.verdict != "up" or len(self._up) >= RESULTS_PER_FRAME:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_EVERY, self._on_time)

    def flush(self) -> None:
        """Send what is there, news first, as far as the pipe takes it."""
        while (self._news or self._up) and not self._pipe.full:
            batch: list[CheckResult] = []
            for waiting in (self._news, self._up):
                while waiting and len(batch) < RESULTS_PER_FRAME:
                    batch.append(waiting.popleft())
            self._pipe.send(Results(batch))

    def _on_time(self) -> None:
        self._timer = None
        self.flush()
        if self._news or self._up:  # the pipe is full: look again
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_EVERY, self._on_time)

    @property
    def waiting(self) -> int:
        return len(self._up) + len(self._news)
