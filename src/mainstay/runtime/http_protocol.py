"""HTTP/1.1 as uvicorn speaks it, with bounds on a request's head: uvicorn has none with this parser.

more than HEAD_LIMIT bytes      431
not complete in HEAD_SECONDS    408 (the connection of somebody who says nothing at all is closed)
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 64 * 1024  # bytes of request line and headers
HEAD_SECONDS = 30.0

_TOO_LARGE = (431, "Request Header Fields Too Large", "The request's address and headers are too long.")
_TOO_SLOW = (408, "Request Timeout", "The request took too long to arrive.")


class _HeadTooLarge(Exception):
    """Raised in a callback of the parser, to end its work."""


class BoundedHttp(HttpToolsProtocol):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True  # of a request that has not begun either
        self._head = 0  # bytes of it that came so far
        self._steps = 0  # heads and bodies that were complete
        self._patience: asyncio.TimerHandle | None = None
        self._too_large = self._answered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
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
        self._stop_waiting()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_LIMIT:
            self._too_large = True
            raise _HeadTooLarge
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._steps += 1
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for whatever ended the parser's work."""
        if self._too_large:
            self._refuse(*_TOO_LARGE)
        elif not self._answered:
            self._answered = True
            super().send_400_response(msg)

    def _be_patient(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._head and not answering:
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
