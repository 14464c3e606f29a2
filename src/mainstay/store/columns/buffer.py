"""What waits to be written to a table: a bounded buffer, and one thread that hands it on in batches until written.

At most a second of rows is in memory while the store answers. While it does not, the buffer fills, and when it is full
the oldest rows are dropped and counted, or new ones are refused, as the table is declared. A batch never changes once
it was tried: whoever writes it can tell by its token that it already exists.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from mainstay.kernel.errors import StoreBusy
from mainstay.store.columns.table import Row, Table

log = structlog.get_logger("telemetry")

LIMIT = 300_000  # rows; about half an hour of 10,000 monitors a minute
_ENOUGH = 2_000  # rows that are written at once instead of within a second
_MOST = 20_000  # rows of one batch
_HEAVY = 8_000_000  # characters of text after which a batch ends
_PERIOD = 1.0
_LONGEST_PAUSE = 10.0  # seconds between attempts; on a full disk each may read the whole log again


class NotWritten(Exception):
    """The store did not take a batch; the message says why. `lasting`: it never will, so the batch is given up."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.lasting = reason, lasting


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in the order in which they came; `oldest` in microseconds since the Unix epoch."""

    rows: Sequence[Row]
    oldest: int
    token: str = field(default_factory=lambda: uuid.uuid4().hex)


class Buffer:
    """Thread-safe. Its thread begins with the first row."""

    def __init__(self, table: Table, write: Callable[[Batch], None], row: Callable[[Any], Row] | None = None) -> None:
        """`write` is called on the buffer's own thread and raises NotWritten; `row` makes a row of what is appended."""
        self._table, self._write, self._row, self._limit = table, write, row, LIMIT
        self._texts = tuple(number for number, column in enumerate(table.columns) if column.kind == "text")
        self._waiting: deque[Any] = deque()
        self._batch: Batch | None = None
        self._change = threading.Condition()
        self._closing = False
        self.written = self.lost = self.failures = 0
        self.error = ""
        self._thread: threading.Thread | None = None

    def append(self, items: Sequence[Any]) -> None:
        """Never blocks on the store. StoreBusy if a full buffer refuses what is new; none of it is taken then."""
        with self._change:
            surplus = max(0, len(self) + len(items) - self._limit)
            if surplus and self._table.full == "refuse":
                raise StoreBusy(
                    f"too many rows are waiting to be written to {self._table.name}", hint="try again in a minute"
                )
            self._waiting.extend(items)
            for _ in range(min(surplus, len(self._waiting))):
                self._waiting.popleft()
                self.lost += 1
            if len(self._waiting) >= _ENOUGH:
                self._change.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"columns {self._table.name}", daemon=True)
                self._thread.start()

    def __len__(self) -> int:
        batch = self._batch
        return len(self._waiting) + (len(batch.rows) if batch else 0)

    def flush(self, patience: float = 30.0) -> None:
        """Return once all that was appended before is written or lost, or after `patience` seconds."""
        with self._change:
            target = self.written + self.lost + len(self)
            self._change.notify_all()
            self._change.wait_for(lambda: self.written + self.lost >= target or self._closing, timeout=patience)

    def close(self, patience: float = 8.0) -> None:
        """Write what waits, if the store takes it, and end the thread."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=patience)

    def _run(self) -> None:
        pause = _PERIOD
        while True:
            batch = self._next()
            if batch is None:
                if self._closing:
                    return
                continue
            if self._tried(batch):
                pause = _PERIOD
                continue
            with self._change:
                self._change.wait_for(lambda: self._closing, timeout=pause)
                if self._closing:
                    return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _next(self) -> Batch | None:
        """The batch that was not written yet, or the next one; None if nothing came for a second."""
        with self._change:
            if self._batch is None:
                if len(self._waiting) < _ENOUGH and not self._closing:
                    self._change.wait(timeout=_PERIOD)
                if self._waiting:
                    self._batch = self._gathered()
            return self._batch

    def _gathered(self) -> Batch:
        rows: list[Row] = []
        oldest, weight, at = 1 << 62, 0, self._table.time
        while self._waiting and len(rows) < _MOST and weight < _HEAVY:
            one = self._waiting.popleft()
            row = self._row(one) if self._row else one
            rows.append(row)
            for number in self._texts:
                weight += len(row[number])
            oldest = min(oldest, row[at])
        return Batch(rows, oldest)

    def _tried(self, batch: Batch) -> bool:
        """Hand it on; whether this batch is done with."""
        try:
            self._write(batch)
        except NotWritten as error:
            if self.error != error.reason:
                log.error("rows cannot be written", table=self._table.name, error=error.reason)
            self.error = error.reason
            self.failures += 1
            if error.lasting:
                self._done(lost=len(batch.rows))
            return error.lasting
        self.error = ""
        self._done(written=len(batch.rows))
        return True

    def _done(self, written: int = 0, lost: int = 0) -> None:
        with self._change:
            self._batch = None
            self.written += written
            self.lost += lost
            self._change.notify_all()
