"""The lanes' writer: one thread that runs units of work, so that loops never wait for a disk.

Urgent jobs (transitions, pings, deadlines, claims of messages) go before upkeep; jobs of one sort keep their order.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from mainstay.kernel.errors import StoreBusy
from mainstay.store import turn

T = TypeVar("T")
log = structlog.get_logger("writer")

_LONGEST_PAUSE = 2.0


class Writer:
    """Jobs run one after the other. A job that meets a busy database is repeated until it gets through."""

    def __init__(self) -> None:
        # Whatever this thread does, what wakes people waits behind it: it goes first where others write too.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer", initializer=turn.go_first)
        self._lock = threading.Lock()
        self._numbers = count()
        self._queue: list[tuple[float, int, Callable[[], Any], Future[Any]]] = []
        self._stopping = False
        self.waiting_since: float | None = None  # monotonic; health shows a database that does not answer

    async def run(self, job: Callable[[], T], *, urgent: bool = False) -> T:
        """Run a job and wait for its result; StoreBusy is retried here and reaches the caller only at stop."""
        done: Future[T] = Future()
        with self._lock:
            heapq.heappush(self._queue, (turn.rank(urgent=urgent), next(self._numbers), job, done))
        self._thread.submit(self._next)
        return await asyncio.wrap_future(done)

    def _next(self) -> None:
        """The most urgent job of those that wait, which need not be the one that this call was made for."""
        with self._lock:
            _, _, job, done = heapq.heappop(self._queue)
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(self._persist(job))
        except BaseException as error:  # noqa: BLE001  it goes to whoever waits for the job
            done.set_exception(error)

    def _persist(self, job: Callable[[], T]) -> T:
        pause, began = 0.05, time.monotonic()
        while True:
            try:
                result = _answered(job)
            except StoreBusy as error:
                if self._stopping:
                    raise
                if self.waiting_since is None:
                    self.waiting_since = began  # the database's own patience is part of the wait
                    log.warning("database is busy, waiting", error=error.message)
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                close_old_connections()
            else:
                self.waiting_since = None
                return result

    def stop(self) -> None:
        """Let queued jobs finish, without waiting for a database that does not answer."""
        self._stopping = True
        with suppress(RuntimeError):  # stopped before
            self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=True)


def _answered(job: Callable[[], T]) -> T:
    """The job, whose reads outside of units of work tell of a lost connection in the same way as units do."""
    try:
        return job()
    except (OperationalError, InterfaceError) as error:
        if connection.vendor != "postgresql":
            raise
        raise StoreBusy(f"the database did not answer: {error}") from error
