"""The door for pings: a bare ASGI application that answers when the ping is on the disk, and not before.

Requests are put on one queue; everything that is queued while a transaction runs goes into the next one
(group commit), so the cost of a durable write is shared by all who wait for it. Bounds:
    a full queue or too many bytes of bodies held    429, Retry-After
    a database busy for longer than 25 s             503, Retry-After; the ping is still recorded when it can be
    a shared database away for longer than 2 s       200 once the ping is on this server's disk (ping_spool.py)
    a body that takes longer than 30 s               408, nothing is recorded
    a body beyond 64 MB                              413, nothing is recorded
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from mainstay.accounts.doors import Door
from mainstay.frames.addresses import Proxies
from mainstay.heartbeats.coverage import Coverage
from mainstay.heartbeats.directory import Directory, KnownHeartbeat
from mainstay.heartbeats.doors.ping_request import (
    AMBIGUOUS,
    BAD_URL,
    CREATED,
    METHODS,
    NOT_FOUND,
    OK,
    Answer,
    Signal,
    read_signal,
)
from mainstay.heartbeats.doors.ping_spool import CalledOff, PingSpool, SpoolFull, Writing
from mainstay.heartbeats.intake import Covering, Incoming, take_in
from mainstay.heartbeats.rules import Ping, PingKind
from mainstay.heartbeats.settings import PING_BODY_LIMIT, PINGS_KEPT
from mainstay.heartbeats.verbs import PING_KEY, Created, TooManyCreations, create_by_ping
from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock, SystemClock
from mainstay.kernel.errors import Conflict, StoreBusy, UserError
from mainstay.kernel.settings import Settings
from mainstay.kernel.wording import counted
from mainstay.store.writer import Writer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = structlog.get_logger("pings")

QUEUE_LIMIT = 20_000  # pings that wait
HELD_LIMIT = 64 * 1024 * 1024  # bytes of bodies that wait or are being read
BODY_LIMIT = 64 * 1024 * 1024  # bytes of one body that are read, however few of them are kept
BODY_SECONDS = 30.0
BUSY_SECONDS = 25.0
BATCH = 1000  # pings of one transaction
PATIENCE = 2.0  # seconds that a shared database may take before pings go to the spool

_ALLOW = (b"allow", b"GET, HEAD, POST, OPTIONS")
_RETRY = (b"retry-after", b"5")
_CLOSE = (b"connection", b"close")
_PREFLIGHT = Answer(204, b"", ((b"access-control-allow-methods", b"GET, HEAD, POST"), _ALLOW))
_BAD_METHOD = Answer(405, b"method not allowed", (_ALLOW,))
_TOO_SLOW = Answer(408, b"the body took too long", (_CLOSE,))
_TOO_LARGE = Answer(413, b"the body is too large", (_CLOSE,))
_FULL = Answer(429, b"too many pings at once, try again", ((b"retry-after", b"1"),))
_TOO_MANY_CREATED = Answer(429, b"too many heartbeats were created in the last hour", ((b"retry-after", b"600"),))
_FAILED = Answer(500, b"the ping could not be recorded")
_BUSY = Answer(503, b"the database is busy, try again", (_RETRY,))

_ACTOR = system("pings")


class _Gone(Exception):
    """The client went away before its body was complete."""


class _Pending:
    """A ping that waits for its transaction; `waiting` is answered once."""

    __slots__ = ("incoming", "since", "waiting")

    def __init__(self, incoming: Incoming, waiting: asyncio.Future[Answer], since: float) -> None:
        self.incoming = incoming
        self.waiting = waiting
        self.since = since

    def answer(self, answer: Answer) -> None:
        if not self.waiting.done():
            self.waiting.set_result(answer)


class PingApp:
    """Answers everything under /ping/. One instance serves one event loop."""

    door = Door(public=True)  # the address of a ping, or the ping key in it, is the permission

    def __init__(
        self,
        writer: Writer,
        directory: Directory,
        settings: Settings,
        clock: Clock | None = None,
        covering: Covering | None = None,
        *,
        catch_up: Callable[[], Awaitable[None]] | None = None,
        spool: PingSpool | None = None,
    ) -> None:
        self._writer = writer
        self.directory = directory
        self._catch_up = catch_up or _nothing_new
        self.clock = clock or SystemClock()
        self._proxies = Proxies(settings.trusted_proxies)
        self._settings = settings
        self._terms: dict[str, Any] = {"covering": covering or Coverage(), "clock": self.clock}
        self.spool = spool
        # A thread of its own: the others may all wait for the database that is away.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ping-spool")
        self._refused_told = 0
        self._replaying: asyncio.Task[None] | None = None
        self._queue: deque[_Pending] = deque()
        self._in_flight: list[_Pending] = []
        self._committing: asyncio.Task[None] | None = None
        self._held = 0
        self._headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"access-control-allow-origin", b"*"),
            (b"cache-control", b"max-age=0, no-cache, no-store, must-revalidate, private"),
        ]

    @property
    def _body_limit(self) -> int:
        return max(0, self._settings[PING_BODY_LIMIT])

    @property
    def _kept(self) -> int:
        return max(1, self._settings[PINGS_KEPT])

    def _take_in(self, incoming: list[Incoming]) -> frozenset[str]:
        return take_in(_ACTOR, incoming, kept=self._kept, **self._terms)

    @property
    def _taken_headers(self) -> list[tuple[bytes, bytes]]:
        return [*self._headers, (b"ping-body-limit", str(self._body_limit).encode())]

    @property
    def waiting(self) -> int:
        """Pings that are not on the disk yet; health shows it."""
        return len(self._queue) + len(self._in_flight)

    @property
    def spooled(self) -> int:
        """Pings that were answered and lie on this server's disk until the database is back."""
        return self.spool.waiting if self.spool is not None else 0

    async def probe(self) -> str:
        """For health: what waits on this server's disk, and whether any was refused lately."""
        refused = self.spool.refused if self.spool is not None else 0
        fresh, self._refused_told = refused - self._refused_told, refused
        if fresh:
            return f"{counted(fresh, 'ping')} refused: the spool is full"
        return (
            f"{counted(self.spooled, 'ping')} on this server's disk, waiting for the database" if self.spooled else "ok"
        )

    async def start(self) -> None:
        """Read back what a former start of this server left on its disk."""
        if self.spool is not None:
            await self._writer.run(self.spool.open)
            self._replay()

    async def stop(self) -> None:
        """What is not read back yet stays on the disk."""
        if self._replaying is not None:
            self._replaying.cancel()
            await asyncio.gather(self._replaying, return_exceptions=True)
        self._disk.shutdown(wait=False)

    @property
    def is_full(self) -> bool:
        return self.waiting >= QUEUE_LIMIT or self._held >= HELD_LIMIT

    async def find(self, look: Callable[[Directory], KnownHeartbeat | None]) -> KnownHeartbeat | None:
        """What `look` finds in the directory, also if it was declared a moment ago."""
        found = look(self.directory)
        if found is None:
            await self._catch_up()
            found = look(self.directory)
        return found

    async def take(self, incoming: Incoming) -> Answer:
        """Record a ping that came in another way than over HTTP to /ping/: as durable, by the same bounds."""
        if self.is_full:
            return _FULL
        body = (incoming.body or b"")[: self._body_limit]
        self._held += len(body)
        return await self._enqueue(replace(incoming, body=body or None))

    def origin(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> tuple[str, str]:
        """(address, scheme) of the client of a request."""
        client = scope.get("client")
        remote, scheme = self._proxies.origin(client[0] if client else "", scope.get("scheme", "http"), headers)
        return remote[:45], scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except _Gone:
            return
        body = answer.text
        headers = self._taken_headers if answer.status in (200, 201) else self._headers
        if answer.status != 204:
            headers = [*headers, (b"content-length", str(len(body)).encode()), *answer.headers]
        else:
            headers = [*headers, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] not in METHODS:
            return _PREFLIGHT if scope["method"] == "OPTIONS" else _BAD_METHOD
        path = scope.get("raw_path") or scope["path"].encode()
        signal = read_signal(self.directory, path, scope.get("query_string", b""))
        if signal is NOT_FOUND:  # perhaps it was declared a moment ago
            await self._catch_up()
            signal = read_signal(self.directory, path, scope.get("query_string", b""))
        if isinstance(signal, Answer):
            return signal
        if self.is_full:
            return _FULL
        headers = dict(scope["headers"])
        kept, size = b"", 0
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            read = await self._read(receive)
            if isinstance(read, Answer):
                return read
            kept, size = read
        return await self._record(scope, headers, signal, kept, size)

    async def _read(self, receive: Receive) -> tuple[bytes, int] | Answer:
        """The kept part of the body and its whole size; the rest is read and dropped as it comes."""
        kept, size, complete, limit = bytearray(), 0, False, self._body_limit
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not complete and size <= BODY_LIMIT:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    chunk = message.get("body", b"")
                    room = chunk[: limit - len(kept)]
                    kept += room
                    self._held += len(room)
                    size += len(chunk)
                    complete = not message.get("more_body", False)
            complete = complete and size <= BODY_LIMIT
        except TimeoutError:
            complete = False
            return _TOO_SLOW
        finally:
            if not complete:  # nothing of it goes on to the queue
                self._held -= len(kept)
        return (bytes(kept), size) if complete else _TOO_LARGE

    async def _record(
        self, scope: Scope, headers: dict[bytes, bytes], signal: Signal, body: bytes, size: int
    ) -> Answer:
        entry, taken = signal.entry, OK
        if entry is None:
            made = await self._create(signal.create)
            if isinstance(made, Answer):
                self._held -= len(body)
                return made
            entry, taken = made.entry, CREATED if made.fresh else OK
        remote, scheme = self.origin(scope, headers)
        incoming = Incoming(
            entry,
            self._ping(signal, entry.meaning(signal.kind, scope["method"], body)),
            scope["method"],
            scheme,
            remote,
            printable(headers.get(b"user-agent", b"")),
            body or None,
            size,
        )
        answer = await self._enqueue(incoming)
        return taken if answer is OK else answer

    def _ping(self, signal: Signal, kind: PingKind) -> Ping:
        at = self.clock.now() - signal.ago
        return Ping(at, kind, signal.rid, signal.exit_status, duration=signal.took, late=signal.ago)

    def _enqueue(self, incoming: Incoming) -> asyncio.Future[Answer]:
        loop = asyncio.get_running_loop()
        pending = _Pending(incoming, loop.create_future(), time.monotonic())
        self._queue.append(pending)
        if self._committing is None:
            self._committing = loop.create_task(self._commit())
        return pending.waiting

    async def _commit(self) -> None:
        """Write until nothing waits. Only one of these runs at a time."""
        sweeper = asyncio.get_running_loop().create_task(self._sweep())
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                self._in_flight = batch
                await self._write(batch)
                self._in_flight = []
                self._held -= sum(len(pending.incoming.body or b"") for pending in batch)
        finally:
            self._committing = None
            sweeper.cancel()

    async def _write(self, batch: list[_Pending]) -> None:
        if self.spool is not None and self.spool.waiting:  # they come after those
            await self._keep(batch, self.spool)
            return
        try:
            gone = await self._write_in_time(batch)
        except CalledOff as off:
            await self._keep(batch, off.spool)
        except StoreBusy:  # the server is stopping and the database does not answer
            for pending in batch:
                pending.answer(_BUSY)
        except Exception:
            log.exception("pings could not be recorded", pings=len(batch))
            await self._write_singly(batch)
        else:
            for pending in batch:
                pending.answer(NOT_FOUND if pending.incoming.entry.uid in gone else OK)

    async def _write_in_time(self, batch: list[_Pending]) -> frozenset[str]:
        """CalledOff if a shared database does not answer in time; nothing of the batch is in it then."""
        write = partial(self._take_in, [pending.incoming for pending in batch])
        if self.spool is None:
            return await self._writer.run(write, urgent=True)
        job = Writing(write, self.spool)
        running = asyncio.ensure_future(self._writer.run(job, urgent=True))
        while not (await asyncio.wait({running}, timeout=PATIENCE))[0]:
            if job.call_off():
                running.add_done_callback(_read)
                raise CalledOff(self.spool)
        return running.result()

    async def _keep(self, batch: list[_Pending], spool: PingSpool) -> None:
        """Answer as soon as they are on this server's disk."""
        try:
            job = partial(spool.append, [pending.incoming for pending in batch])
            await asyncio.get_running_loop().run_in_executor(self._disk, job)
            answer = OK
        except (SpoolFull, OSError) as error:
            log.error("pings are refused: the spool is full", pings=len(batch), error=str(error))
            answer = _BUSY
        for pending in batch:
            pending.answer(answer)
        self._replay()

    def _replay(self) -> None:
        if self.spooled and (self._replaying is None or self._replaying.done()):
            self._replaying = asyncio.get_running_loop().create_task(self._replay_all())

    async def _replay_all(self) -> None:
        began, count, limit = time.monotonic(), 0, BATCH
        while self.spool is not None and self.spool.waiting:
            read = partial(self.spool.replay, _ACTOR, self.directory.by_uid, limit, kept=self._kept, **self._terms)
            try:
                count += await self._writer.run(read, urgent=True)
            except StoreBusy:  # the server is stopping; they stay on the disk
                return
            except Exception:
                log.exception("pings could not be read back", at_once=limit)
                if limit == 1:  # one that cannot be written must not keep the others, nor all deadlines
                    await self._writer.run(self.spool.skip, urgent=True)
                limit = 1
        log.info("pings were read back from the spool", pings=count, seconds=round(time.monotonic() - began, 1))

    async def _write_singly(self, batch: list[_Pending]) -> None:
        """One ping that cannot be written must not take the others with it."""
        if len(batch) == 1:
            batch[0].answer(_FAILED)
            return
        for pending in batch:
            await self._write([pending])

    async def _sweep(self) -> None:
        """Answer who has waited too long; their pings stay in the queue."""
        while True:
            await asyncio.sleep(1)
            limit = time.monotonic() - BUSY_SECONDS
            for pending in (*self._in_flight, *self._queue):
                if pending.since > limit:
                    break
                pending.answer(_BUSY)

    async def _create(self, slug: str) -> Created | Answer:
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                made = await self._writer.run(partial(create_by_ping, PING_KEY, slug, clock=self.clock), urgent=True)
        except (StoreBusy, TimeoutError):
            return _BUSY
        except TooManyCreations:
            return _TOO_MANY_CREATED
        except Conflict:
            return AMBIGUOUS
        except UserError as error:
            log.warning("a ping could not create its heartbeat", slug=slug, error=error.message)
            return BAD_URL
        self.directory.add(made.entry)
        return made


async def _nothing_new() -> None:
    """For a directory that somebody else fills."""


def _read(called_off: asyncio.Future[frozenset[str]]) -> None:
    if not called_off.cancelled():
        called_off.exception()  # nobody is waiting for it any longer


def printable(raw: bytes) -> str:
    text = raw[:200].decode("latin-1")
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
