"""Floods at `/probe/join` over real sockets: whoever sends too much pays for it, and pings are answered meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from django.db import connections
from tests.rigs.watching import ACTOR

from mainstay.accounts import queries as accounts
from mainstay.accounts import token_verbs
from mainstay.frames.addresses import Proxies
from mainstay.runtime.crowd import Crowd
from mainstay.runtime.http_protocol import protocols
from mainstay.watch.join import FRAME_LIMIT, JoinDoor
from mainstay.watch.links import Links

pytestmark = pytest.mark.usefixtures("store")


class Site:
    """The door and one page, on a loopback port."""

    def __init__(self) -> None:
        self.links = Links(lambda _name, _results: None)
        self.links.declare(["fra"])
        self.crowd = Crowd(Proxies(""))
        self._door = JoinDoor(self.links)
        self.port = 0

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/probe/join":
            await self._door(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"OK"})

    @contextlib.contextmanager
    def serving(self) -> Iterator[Site]:
        http, sockets = protocols(self.crowd)
        config = uvicorn.Config(
            self._application, interface="asgi3", http=http, ws=sockets, ws_max_size=FRAME_LIMIT,
            ws_per_message_deflate=False, lifespan="off", log_config=None, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)

        async def serve(listener: socket.socket) -> None:
            await server.serve(sockets=[listener])
            await asyncio.gather(*(asyncio.to_thread(connections.close_all) for _ in range(8)))

        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=lambda: asyncio.run(serve(listener)))
            thread.start()
            try:
                yield self
            finally:
                server.should_exit = True
                thread.join(20)

    def ping(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/ping")
        status = connection.getresponse().status
        connection.close()
        return status

    def knock(self, token: str) -> tuple[socket.socket, bytes]:
        """A socket after the handshake, and the first line of the answer."""
        knocking = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        knocking.sendall(
            b"GET /probe/join?location=fra HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := knocking.recv(4096)):
            answer += piece
        return knocking, answer.partition(b"\r\n")[0]


def _frame(opcode: int, payload: bytes, *, final: bool = True, announced: int | None = None) -> bytes:
    """A client's frame (RFC 6455, 5.2), masked with zeros."""
    length = len(payload) if announced is None else announced
    head = bytes([opcode | (0x80 if final else 0), 0x80 | 127]) + length.to_bytes(8, "big")
    short = bytes([opcode | (0x80 if final else 0), 0x80 | length]) if length < 126 else head
    return short + bytes(4) + payload


@pytest.fixture
def token() -> Iterator[str]:
    yield token_verbs.create_token(ACTOR, "probe", ["probes:join"], limits=['location="fra"'])
    accounts.forget_tokens()


def _pour(connection: socket.socket, pieces: Callable[[], bytes], most: int) -> bool:
    """Send until the other side ends it; False if it took everything."""
    piece, sent = pieces(), 0
    connection.settimeout(1)
    try:
        while sent < most:
            sent += connection.send(piece)
    except TimeoutError:
        return True  # it reads no more
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    "flood",
    [
        lambda: _frame(0x2, b"", announced=2**40),
        lambda: _frame(0x2, os.urandom(FRAME_LIMIT + 1)),
        lambda: _frame(0x2, b"x" * 60_000, final=False),
        lambda: _frame(0x9, b"x" * 200),
        lambda: _frame(0x1, b"not a frame"),
        lambda: b"\xff" * 1000,
    ],
    ids=["announced", "huge", "fragments", "long ping", "text", "garbage"],
)
def test_whoever_breaks_the_rules_is_cut(token: str, flood: Callable[[], bytes]) -> None:
    with Site().serving() as site:
        connection, line = site.knock(token)
        assert b" 101 " in line
        with connection:
            assert _pour(connection, flood, 64 * FRAME_LIMIT)
        assert site.ping() == 200


def test_pings_of_the_protocol_are_answered_and_keep_nobody_out(token: str) -> None:
    with Site().serving() as site:
        connection, _ = site.knock(token)
        pings = _frame(0x9, b"x") * 5_000
        pouring = threading.Thread(target=lambda: _pour(connection, lambda: pings, 10 * len(pings)))
        pouring.start()
        assert [site.ping() for _ in range(5)] == [200] * 5
        connection.shutdown(socket.SHUT_RDWR)
        pouring.join(20)
        connection.close()
        assert site.ping() == 200


def test_strangers_get_no_websocket_and_leave_nothing(token: str) -> None:
    with Site().serving() as site:
        lines = []
        for _ in range(30):
            connection, line = site.knock("mst_nonsense")
            lines.append(line)
            with contextlib.suppress(OSError):
                connection.sendall(_frame(0x2, b"x" * 1000) * 50)
            connection.close()
        assert all(b" 401 " in line for line in lines)
        assert site.ping() == 200
        assert site.links.stations["fra"].link is None
        good, line = site.knock(token)
        assert b" 101 " in line
        good.close()
