"""Through which all doors of sources write: bounded, many requests in one transaction, answered after its commit.

a body larger than the door takes      Refused 413
a body that takes longer than 30 s     Refused 408
too much that waits, or too often      Refused 429, with seconds to wait
a database busy for longer than 25 s   Refused 503; it is still recorded when it can be
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog
from starlette.requests import ClientDisconnect, Request

from mainstay.frames.addresses import client_address
from mainstay.frames.limits import Rates
from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock, SystemClock
from mainstay.kernel.errors import StoreBusy
from mainstay.kernel.event import Happened
from mainstay.kernel.settings import Settings
from mainstay.kernel.wording import counted
from mainstay.sources.directory import KEYS_EVERY, Directory, Source, source_of
from mainstay.sources.formats.reading import Batch
from mainstay.sources.verbs import AT_ONCE, KEPT_BODY, Body, Sent, take_in
from mainstay.store.hub import HUB
from mainstay.store.resources.queries import latest_revision, resources
from mainstay.store.secrets import SecretSource
from mainstay.store.writer import Writer

T = TypeVar("T")
log = structlog.get_logger("sources")

BODY_SECONDS = 30.0
BUSY_SECONDS = 25.0
QUEUE_LIMIT = 50_000  # alerts that wait
HELD_LIMIT = 64 * 1024 * 1024  # bytes of bodies that are being read
REQUESTS_AT_ONCE = 200  # of one transaction
LARGE = 64 * 1024  # bytes of a body that is read on a thread, beside the event loop
_ACTOR = system("sources")


class Refused(Exception):
    """It is not taken in; each door says so in its own words."""

    def __init__(self, status: int, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.message, self.wait = status, message, wait


@dataclass(slots=True)
class _Pending:
    sent: Sent
    waiting: asyncio.Future[None]
    since: float

    def end(self, error: Refused | None = None) -> None:
        if self.waiting.done():
            return
        if error is None:
            self.waiting.set_result(None)
        else:
            self.waiting.set_exception(error)


class Intake:
    """One instance serves one event loop."""

    def __init__(self, writer: Writer, settings: Settings, clock: Clock | None = None) -> None:
        self.directory = Directory()
        self.clock = clock or SystemClock()
        self.settings = settings
        self._writer = writer
        self._secrets = SecretSource(settings)
        self._rates = Rates(lambda: settings.reports_per_key)
        self._queue: deque[_Pending] = deque()
        self._in_flight: list[_Pending] = []
        self._waiting = 0
        self._held = 0
        self._committing: asyncio.Task[None] | None = None
        self._seen = -1
        self._heard = True
        self._keys_at = float("-inf")
        self._silence = HUB.subscribe(self._hear)

    def close(self) -> None:
        self._silence()

    @property
    def waiting(self) -> int:
        """Alerts that are not on the disk yet."""
        return self._waiting

    # What is declared --------------------------------------------------------------------------------------

    def _hear(self, event: Happened) -> None:
        if event.kind in ("resources.applied", "resources.rolled_back"):
            self._heard = True

    async def turn(self) -> None:
        """Take up what was declared since, and new values of keys."""
        await self._writer.run(self._look)

    def _look(self) -> None:
        revision, now = latest_revision(), self.clock.monotonic()
        if self._heard or revision != self._seen or now - self._keys_at >= KEYS_EVERY:
            self._heard = False
            self.directory.replace(source_of(one, self._secrets) for one in resources("alert_source"))
            self._seen, self._keys_at = revision, now

    async def find(self, look: Callable[[Directory], Source | None]) -> Source | None:
        """What `look` finds, also if it was declared a moment ago."""
        found = look(self.directory)
        if found is None and self._heard:
            await self._writer.run(self._look, urgent=True)
            found = look(self.directory)
        return found

    # Requests ----------------------------------------------------------------------------------------------

    def address(self, request: Request) -> str:
        """Of the client; empty if a proxy that nobody declared hides it."""
        return client_address(request.scope, self.settings.trusted_proxies)

    async def body(self, request: Request, limit: int) -> bytes:
        """All of it; Refused if it is too large or too slow, or too much is held."""
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced[:20]) > limit:
            raise Refused(413, f"the body is larger than {limit} bytes")
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    size += len(chunk)
                    self._held += len(chunk)
                    if size > limit:
                        raise Refused(413, f"the body is larger than {limit} bytes")
                    if self._held > HELD_LIMIT:
                        raise Refused(429, "too much is being sent at once", 1.0)
                    parts.append(chunk)
        except TimeoutError:
            raise Refused(408, "the body took too long") from None
        except ClientDisconnect:
            raise Refused(400, "the client went away") from None
        finally:
            self._held -= size
        return b"".join(parts)

    async def read(self, reader: Callable[[], T], size: int) -> T:
        """Read a body; a large one beside the event loop."""
        return reader() if size < LARGE else await asyncio.to_thread(reader)

    async def write(self, job: Callable[[], T]) -> T:
        """Do what a person asked for, on the writer's thread. Refused while the database is busy."""
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                return await self._writer.run(job, urgent=True)
        except (StoreBusy, TimeoutError):
            raise Refused(503, "the database is busy, try again", 5.0) from None

    async def take(self, source: Source, batch: Batch, shown: Body | None = None, by: str = "") -> None:
        """Record what a request says; returns once it is durable. Refused if there is too much."""
        count = len(batch.reports) + len(batch.changes)
        wait = self._rates.take(source.uid, time.monotonic())
        if wait or self._waiting + count > QUEUE_LIMIT:
            raise Refused(429, "too much at once, try again", wait or 1.0)
        loop = asyncio.get_running_loop()
        sent = Sent(source.uid, source.name, batch.reports, batch.changes, shown, by)
        pending = _Pending(sent, loop.create_future(), time.monotonic())
        self._queue.append(pending)
        self._waiting += count
        if self._committing is None:
            self._committing = loop.create_task(self._commit())
        try:
            await pending.waiting
        finally:
            self._waiting -= count

    async def note(self, source: Source, shown: Body) -> None:
        """Keep a body of which nothing could be read, for the page of its source."""
        await self.take(source, Batch(), shown)

    def shown(self, source: Source, request: Request, body: bytes, batch: Batch) -> Body:
        """What the page of the source shows of a request."""
        problems = f"; left out: {batch.problems[0]}" if batch.problems else ""
        parts = [counted(len(batch.reports), "alert")] if batch.reports or not batch.changes else []
        parts += [counted(len(batch.changes), "change")] if batch.changes else []
        return self.refusal(source, request, body, " and ".join(parts) + problems, refused=bool(batch.problems))

    def refusal(self, source: Source, request: Request, body: bytes, why: str, *, refused: bool = True) -> Body:
        text = body[: KEPT_BODY * 2].decode("utf-8", "replace").replace("\0", " ")
        agent = request.headers.get("user-agent", "").replace("\0", " ")
        masked = source.masker.text(text[:KEPT_BODY])
        return Body(masked, len(body), why.replace("\0", " ")[:300], refused, self.address(request), agent[:200])

    # Writing -----------------------------------------------------------------------------------------------

    async def _commit(self) -> None:
        """Write until nothing waits. Only one of these runs at a time."""
        sweeper = asyncio.get_running_loop().create_task(self._sweep())
        try:
            while self._queue:
                self._in_flight = self._next()
                await self._write(self._in_flight)
                self._in_flight = []
        finally:
            self._committing = None
            sweeper.cancel()

    def _next(self) -> list[_Pending]:
        taken: list[_Pending] = []
        count = 0
        while self._queue and len(taken) < REQUESTS_AT_ONCE and count < AT_ONCE:
            taken.append(self._queue.popleft())
            count += len(taken[-1].sent.reports)
        return taken

    async def _write(self, batch: list[_Pending]) -> None:
        try:
            for some in _units([one.sent for one in batch]):
                await self._writer.run(partial(take_in, _ACTOR, some, self.clock), urgent=True)
        except StoreBusy:  # the server is stopping and the database does not answer
            for one in batch:
                one.end(Refused(503, "the database is busy, try again", 5.0))
        except Exception:
            log.exception("reports could not be recorded", requests=len(batch))
            if len(batch) == 1:
                batch[0].end(Refused(500, "it could not be recorded"))
                return
            for one in batch:  # one that cannot be written must not take the others with it
                await self._write([one])
        else:
            for one in batch:
                one.end()

    async def _sweep(self) -> None:
        """Answer who has waited too long; what they sent stays in the queue."""
        while True:
            await asyncio.sleep(1)
            limit = time.monotonic() - BUSY_SECONDS
            for one in (*self._in_flight, *self._queue):
                if one.since > limit:
                    break
                one.end(Refused(503, "the database is busy, try again", 5.0))


def _units(batch: list[Sent]) -> list[list[Sent]]:
    """In transactions of at most AT_ONCE alerts: a request may hold more than others should wait for."""
    if len(batch) > 1 or len(batch[0].reports) <= AT_ONCE:
        return [batch]
    whole = batch[0]
    parts = [whole.reports[start : start + AT_ONCE] for start in range(0, len(whole.reports), AT_ONCE)]
    return [[replace(whole, reports=part, changes=(), body=None)] for part in parts[:-1]] + [
        [replace(whole, reports=parts[-1])]
    ]
