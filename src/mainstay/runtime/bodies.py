"""Bodies are read on the event loop before a thread is taken: slow senders must not keep the few threads for pages.

longer than Django takes, or of unknown length   passed on at once; Django refuses it without reading
not complete in BODY_SECONDS                     408
too many bytes of bodies held already            503, Retry-After
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS = 30.0
HELD_LIMIT = 64 * 1024 * 1024  # bytes of bodies that are being read


class WholeBodies:
    """An ASGI application around another, which gets each body whole. `limit`: bytes of the longest it takes."""

    def __init__(self, application: Application, limit: int) -> None:
        self._application = application
        self._limit = limit
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["query_string"].isascii():  # not a URL (RFC 3986), and WSGI has no word for it
            await _answer(send, 400, b"The address holds bytes that no address may hold.")
            return
        length = _length(scope)
        if length is None or not 0 < length <= self._limit:
            await self._application(scope, receive, send)
            return
        if self._held + length > HELD_LIMIT:
            await _answer(send, 503, b"Too much is being sent at once; try again.", (b"retry-after", b"5"))
            return
        self._held += length
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive)
        except TimeoutError:
            await _answer(send, 408, b"The body took too long to arrive.")
            return
        finally:
            self._held -= length
        if body is not None:
            await self._application(scope, _replay(body, receive), send)


def _length(scope: Scope) -> int | None:
    """The body's length as it was announced; None if that is not known, or no number."""
    headers = dict(scope["headers"])
    announced: bytes = headers.get(b"content-length", b"0")
    known = b"transfer-encoding" not in headers and announced.isdigit() and len(announced) < 20
    return int(announced) if known else None


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None if the sender went away."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replaying() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


async def _answer(send: Send, status: int, words: bytes, *headers: tuple[bytes, bytes]) -> None:
    fixed = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(words)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*fixed, (b"connection", b"close"), *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": words})
