"""HTTP/1.1 as uvicorn speaks it, with bounds that uvicorn does not have: on heads, on time, on connections.

head of more than HEAD_LIMIT bytes      431
head not complete in HEAD_SECONDS       408 (the connection of somebody who says nothing at all is closed)
body not complete in BODY_SECONDS       408, or the end of the connection where the answer has begun
answer of which nothing is read for READ_SECONDS    the connection ends
no room in the crowd                    503
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mainstay.runtime.crowd import Crowd

HEAD_LIMIT = 64 * 1024  # bytes of request line and headers
HEAD_SECONDS = 30.0
BODY_SECONDS = 60.0
READ_SECONDS = 30.0
CLOSE_SECONDS = 2.0  # that the other side of a WebSocket has to answer its close

_TOO_LARGE = (431, "Request Header Fields Too Large", "The request's address and headers are too long.")
_TOO_SLOW = (408, "Request Timeout", "The request took too long to arrive.")
_TOO_MANY = (503, "Service Unavailable", "Too many connections are open; try again in a moment.")


class _HeadTooLarge(Exception):
    """Raised in a callback of the parser, to end its work."""


class BoundedHttp(HttpToolsProtocol):
    crowd: Crowd

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True  # of a request that has not begun either
        self._head = 0  # bytes of it that came so far
        self._steps = 0  # heads and bodies that were complete
        self._patience: asyncio.TimerHandle | None = None  # until a head, or a body, is complete
        self._unread: asyncio.TimerHandle | None = None  # until something of the answer is read
        self._too_large = self._answered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        if self.crowd.come(transport, self.client[0] if self.client else ""):
            self._be_patient()
        else:
            self._refuse(*_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.leave(self.transport)
        self._stop_waiting()
        self._stop_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        if self._in_head and self._patience is None:
            self._be_patient()
        steps = self._steps
        super().data_received(data)
        if not self._in_head or self._steps != steps:
            self._head = 0
            return
        self._head += len(data)
        if self._head > HEAD_LIMIT:
            self._refuse(*_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._steps += 1
        self.crowd.work(self.transport)
        self._be_patient(BODY_SECONDS)
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_LIMIT:
            self._too_large = True
            raise _HeadTooLarge
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._steps += 1
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self.pipeline and self._in_head:
            self.crowd.rest(self.transport)
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_unread()
        self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_unread()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for whatever ended the parser's work."""
        if self._too_large:
            self._refuse(*_TOO_LARGE)
        elif not self._answered:
            self._answered = True
            super().send_400_response(msg)

    def _be_patient(self, seconds: float = 0.0) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(seconds or HEAD_SECONDS, self._give_up)

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete and (self._in_head or cycle.response_started)
        if (self._head or not self._in_head) and not answering:
            self._refuse(*_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, status: int, phrase: str, words: str) -> None:
        if self._answered:
            return
        self._answered = True
        self._stop_waiting()
        head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(words)}\r\n\r\n{words}".encode())
        self.transport.close()


class BoundedSocket(WebSocketsSansIOProtocol):
    """A WebSocket stays in the crowd that its connection came into as HTTP."""

    crowd: Crowd

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = CLOSE_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.leave(self.transport)
        super().connection_lost(exc)


def protocols(crowd: Crowd) -> tuple[type[BoundedHttp], type[BoundedSocket]]:
    """Both for one server: uvicorn makes an object of them for each connection, and hands nothing on to it."""

    class Http(BoundedHttp):
        pass

    class Socket(BoundedSocket):
        pass

    Http.crowd = Socket.crowd = crowd
    return Http, Socket
