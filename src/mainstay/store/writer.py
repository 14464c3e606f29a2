"""The lanes' writer: one thread that runs units of work in order, so that loops never wait for a disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from mainstay.kernel.errors import StoreBusy

T = TypeVar("T")
log = structlog.get_logger("writer")

_LONGEST_PAUSE = 2.0


class Writer:
    """Jobs run one after the other. A job that meets a busy database is repeated until it gets through."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self._stopping = False
        self.waiting_since: float | None = None  # monotonic; health shows a database that does not answer

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job and wait for its result; StoreBusy is retried here and reaches the caller only at stop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._persist, job)

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
