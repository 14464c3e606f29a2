"""The door of probers at other places: `GET /probe/join?location=NAME` as a WebSocket, opened by the prober.

    Authorization: Bearer <token>   with the scope probes:join, limited to this one location
    binary messages                 MessagePack of one frame each, see kernel/probing.py

Who has no such token is answered before there is a WebSocket: 401, 403 or 404; a request that asks for no WebSocket
gets 426. Afterwards the link ends with one of these codes (RFC 6455, 7.4.2: 4000 to 4999 are ours):

    4400  a frame that cannot be read, holds too many results     4403  the token is revoked, over or limited otherwise
          or comes out of turn; why is said in words
    4404  the location is not declared any more                4408  no Hello in time
    4409  another prober is at this location                   4429  frames pile up that the prober does not read
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs

import msgspec
import structlog
from django.conf import settings
from django.db import close_old_connections, connections
from uvicorn.protocols.utils import ClientDisconnected

from mainstay.accounts.doors import Door, session_actor, token_actor
from mainstay.frames.addresses import client_address
from mainstay.frames.limits import Rates
from mainstay.kernel.errors import MainstayError
from mainstay.kernel.probing import Batch, FromRemote, Hello

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FRAME_LIMIT = 4 * 1024 * 1024  # bytes of one message of a prober; the server's WebSocket layer keeps it
HELLO_SECONDS = 10.0
RESULTS_A_SECOND = 5_000.0  # of one link, ten times as many at once; who sends more is read more slowly
_LEAST = 50  # results that a frame counts for at least
_QUEUED = 5_000  # frames that wait for a prober that does not read
_UNREADABLE, _REFUSED, _NO_HELLO, _CROWDED = 4400, 4403, 4408, 4429


class Reception(Protocol):
    """Who takes probers in; on the event loop."""

    def knows(self, location: str) -> bool:
        """Whether a location of this name is declared."""

    def joined(self, link: Link, hello: Hello) -> int:
        """Take a prober in, and send it its orders; 0, or the code to refuse it with."""

    def heard(self, link: Link, frame: FromRemote) -> None: ...

    def left(self, link: Link) -> None: ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks: where it says it is, and how it proves that it may."""

    location: str
    authorization: str
    address: str

    def may_join(self) -> bool:
        """Whether its token is good for this location now; reads the database, so call it on a thread."""
        close_old_connections()
        actor = token_actor(self.authorization, self.address)
        return actor is not None and bool(actor.limits) and actor.may_some(_SCOPE) and actor.sees(self.labels)

    @property
    def labels(self) -> dict[str, str]:
        return {"location": self.location}


_SCOPE = "probes:join"
_log = structlog.get_logger(__name__)


class Link:
    """One prober that is connected. `send` and `cut` from the event loop; neither waits."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.location = visitor.location
        self.since = time.time()
        self._queue: asyncio.Queue[bytes | tuple[int, str]] = asyncio.Queue()
        self._ending = False

    def send(self, frame: Any) -> None:
        if self._queue.qsize() >= _QUEUED:
            self.cut(_CROWDED)
        elif not self._ending:
            self._queue.put_nowait(_ENCODER.encode(frame))

    def cut(self, code: int, why: str = "") -> None:
        """End the link with this code, without a word of what still waits to be sent. `why`: for the prober's log."""
        if not self._ending:
            self._ending = True
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait((code, why.encode("ascii", "replace").decode()[:100]))  # RFC 6455, 5.5: 123 bytes

    async def write(self, send: Send) -> None:
        """Pass on what is sent until the link is cut."""
        while True:
            item = await self._queue.get()
            if isinstance(item, tuple):
                await send({"type": "websocket.close", "code": item[0], "reason": item[1]})
                return
            await send({"type": "websocket.send", "bytes": item})


_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[FromRemote] = msgspec.msgpack.Decoder(FromRemote)


class JoinDoor:
    """An ASGI application for `/probe/join`."""

    door = Door(_SCOPE)

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._rates = Rates(lambda: RESULTS_A_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        headers = dict(scope["headers"])
        visitor = Visitor(
            asked.get("location", [""])[0][:100],
            headers.get(b"authorization", b"").decode("latin-1"),
            client_address(scope, settings.MAINSTAY.trusted_proxies),
        )
        if scope["type"] == "http":
            await _answer(send, "http.response", *await asyncio.to_thread(_without_websocket, scope, visitor))
            return
        await receive()  # websocket.connect
        refusal = await asyncio.to_thread(_refusal, visitor)
        if refusal is None and not self._reception.knows(visitor.location):
            refusal = (404, "no location of this name is declared")
        if refusal is not None:
            await _answer(send, "websocket.http.response", *refusal)
            await receive()  # that it is refused
            await receive()  # that the connection has ended: uvicorn complains of an application that ends before
            return
        await send({"type": "websocket.accept"})
        with suppress(ClientDisconnected):
            await self._serve(Link(visitor), receive, send)

    async def _serve(self, link: Link, receive: Receive, send: Send) -> None:
        writing = asyncio.create_task(link.write(send), name=f"link to {link.location}")
        reading = asyncio.create_task(self._read(link, receive), name=f"link from {link.location}")
        try:
            await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
            if not writing.done() and (end := reading.result()):
                link.cut(*end)
                await asyncio.wait((writing,), timeout=5.0)
        finally:
            self._reception.left(link)
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _read(self, link: Link, receive: Receive) -> tuple[int, str] | None:
        """Hear what comes until the prober leaves; the code to end the link with and why, None if it has ended."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                first = await _frame(receive)
            if first is None:
                return None
            if not isinstance(first, Hello) or first.location != link.location:
                return _UNREADABLE, "the first frame is not a hello from this location"
            if refused := self._reception.joined(link, first):
                return refused, ""
            return await self._hear(link, receive)
        except TimeoutError:
            return _NO_HELLO, ""
        except _Unreadable as fault:
            _log.warning("location.unreadable", location=link.location, reason=str(fault)[:200])
            return _UNREADABLE, str(fault)

    async def _hear(self, link: Link, receive: Receive) -> tuple[int, str] | None:
        key = str(id(link))
        while (frame := await _frame(receive)) is not None:
            if isinstance(frame, Hello):
                raise _Unreadable("a second hello")
            self._reception.heard(link, frame)
            count = max(_LEAST, len(frame.results) if isinstance(frame, Batch) else 0)
            # Whoever sends too much fills its own buffers; and between two frames everybody else has a turn.
            await asyncio.sleep(self._rates.take(key, time.monotonic(), count))
        return None


class _Unreadable(Exception):
    """A frame that is none, or beyond bounds; the message is for the prober."""


async def _frame(receive: Receive) -> FromRemote | None:
    """The next frame; None at the end."""
    message = await receive()
    if message["type"] == "websocket.disconnect":
        return None
    data = message.get("bytes")
    if data is None:
        raise _Unreadable("frames must be binary")
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Unreadable(str(error)) from None


def _without_websocket(scope: Scope, visitor: Visitor) -> tuple[int, str]:
    """What a plain request gets; who may not pass the door learns nothing."""
    close_old_connections()
    try:
        if visitor.authorization:
            actor = token_actor(visitor.authorization, visitor.address)
        else:
            cookies = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
            from starlette.requests import cookie_parser

            actor = session_actor(cookie_parser(cookies), visitor.address)
        if actor is None:
            return 401, "this needs an API token with the scope probes:join"
        actor.require(_SCOPE, visitor.labels)
    except MainstayError as error:
        return error.status, error.message
    finally:
        connections.close_all()
    return 426, "probers connect by WebSocket here: use `mainstay probe --join`"


def _refusal(visitor: Visitor) -> tuple[int, str] | None:
    try:
        actor = token_actor(visitor.authorization, visitor.address)
        if actor is None:
            return 401, "this needs an API token with the scope probes:join"
        if actor.may_some(_SCOPE) and not actor.limits:
            return (
                403,
                f'limit a prober to its location: create a token with --limit location="{visitor.location}"',
            )
        actor.require(_SCOPE, visitor.labels)
    except MainstayError as error:
        return error.status, error.message
    finally:
        connections.close_all()
    return None


async def _answer(send: Send, kind: str, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status == 426:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="mainstay"'))
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": words.encode()})
