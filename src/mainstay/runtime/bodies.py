"""Bodies are read on the event loop before a thread is taken: slow senders must not keep the few threads for pages.

longer than Django takes, or of unknown length   passed on at once; Django refuses it without reading
not complete in BODY_SECONDS                     408
too many bytes of bodies held already            503, Retry-After

What counts is what came, not what was announced: that costs its sender nothing. One network may hold half of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mainstay.frames.addresses import Proxies, network_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS = 30.0
HELD_LIMIT = 64 * 1024 * 1024  # bytes of bodies that are being read


class _TooMuch(Exception):
    """More is being sent than may be held."""


class WholeBodies:
    """An ASGI application around another, which gets each body whole.

    limit: bytes of the longest it takes. proxies: the setting of trusted ones.
    """

    def __init__(self, application: Application, limit: int, proxies: str = "") -> None:
        self._application = application
        self._limit, self._proxies = limit, Proxies(proxies)
        self._held = 0
        self._of: Counter[str] = Counter()  # bytes by network; this machine has no name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["query_string"].isascii():  # not a URL (RFC 3986), and WSGI has no word for it
            await _answer(send, 400, b"The address holds bytes that no address may hold.")
            return
        length = _length(scope)
        if length is None or not 0 < length <= self._limit:
            await self._application(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read(receive, self._network(scope))
        except TimeoutError:
            await _answer(send, 408, b"The body took too long to arrive.")
            return
        except _TooMuch:
            await _answer(send, 503, b"Too much is being sent at once; try again.", (b"retry-after", b"5"))
            return
        if body is not None:
            await self._application(scope, _replay(body, receive), send)

    def _network(self, scope: Scope) -> str:
        """Of the client, or of a proxy that nobody declared: what that says of others counts for nothing."""
        peer = scope["client"][0] if scope.get("client") else ""
        return network_of(self._proxies.origin(peer, "", dict(scope["headers"]))[0])

    async def _read(self, receive: Receive, network: str) -> bytes | None:
        """The whole body; None if the sender went away."""
        parts: list[bytes] = []
        held = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                held += self._hold(network, len(parts[-1]))
                if not message.get("more_body", False):
                    return b"".join(parts)
        finally:
            self._hold(network, -held)

    def _hold(self, network: str, size: int) -> int:
        """Count this many bytes more, or less; _TooMuch if there is no room for them."""
        beside = self._of[network] + size if network else 0
        if size > 0 and (self._held + size > HELD_LIMIT or beside > HELD_LIMIT // 2):
            raise _TooMuch
        self._held += size
        self._of[network] += size
        if not self._of[network]:
            del self._of[network]
        return size


def _length(scope: Scope) -> int | None:
    """The body's length as it was announced; None if that is not known, or no number."""
    headers = dict(scope["headers"])
    announced: bytes = headers.get(b"content-length", b"0")
    known = b"transfer-encoding" not in headers and announced.isdigit() and len(announced) < 20
    return int(announced) if known else None


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
