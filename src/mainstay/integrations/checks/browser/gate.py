"""The browser's only way out: a SOCKS5 proxy (RFC 1928) on loopback that asks the address guard.

Chromium hands over names, not addresses, so that a name is looked up once, here, and what was looked at is what is
connected to. Everything that a page loads, in frames, redirects and scripts too, comes by here.
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from mainstay.integrations.checks.endpoints import format_endpoint
from mainstay.integrations.checks.streams import first_connection
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.kernel.ports import CheckContext

BYTES_LIMIT = 100 * 1024 * 1024  # in both directions together; then the gate closes
_PIECE = 65_536
_CONNECTIONS = 200
_PATIENCE = 10.0  # seconds for looking a name up and connecting
_NAME = 3  # address type
_SUCCEEDED, _FAILED, _NOT_ALLOWED = range(3)
_UNSUPPORTED = 7


class Gate:
    """`async with` it; `port` listens, `faults` tell by host and port what could not be reached and why."""

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.faults: dict[str, CheckFault] = {}
        self.bytes = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_reason: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= _CONNECTIONS:
            writer.close()
            return
        self._open.add(task)
        try:
            await self._conduct(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the browser or the site went away, or the check is over
        finally:
            self._open.discard(task)
            writer.close()

    async def _conduct(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_PATIENCE):
            found = await _read_request(reader, writer)
        if found is None:
            writer.write(_reply(_UNSUPPORTED))
            return
        host, port = found
        try:
            far_reader, far_writer = await self._reach(host, port)
        except CheckFault as fault:
            self.faults.setdefault(format_endpoint(host, port), fault)
            writer.write(_reply(_NOT_ALLOWED if fault.code == "check.address_refused" else _FAILED))
            await writer.drain()
            return
        try:
            writer.write(_reply(_SUCCEEDED))
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            far_writer.close()

    async def _reach(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first address that takes one. CheckFault says why there is none."""
        try:
            async with asyncio.timeout(_PATIENCE):
                made = await first_connection(await self._context.addresses(host), port, lambda _ip: None)
                return await asyncio.open_connection(sock=made)
        except TimeoutError:
            reason = f"no answer from {host} port {port} within {_PATIENCE:g} s"
            raise CheckFault("connect.timeout", reason) from None

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            self.bytes += len(piece)
            if self.bytes > BYTES_LIMIT:
                raise EOFError
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    @property
    def exhausted(self) -> bool:
        return self.bytes > BYTES_LIMIT


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
    """(host, port) of a CONNECT; None for anything else. asyncio.IncompleteReadError, an EOFError, if cut short."""
    version, count = await reader.readexactly(2)
    await reader.readexactly(count)
    writer.write(b"\x05\x00")  # no authentication: only this machine can connect, and the guard holds for all
    number, command, _, kind = await reader.readexactly(4)
    if version != 5 or number != 5 or command != 1:
        return None
    if kind == _NAME:
        (length,) = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode("ascii", "replace")
    elif kind in (1, 4):
        host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
    else:
        return None
    return host, int.from_bytes(await reader.readexactly(2), "big")


def _reply(status: int) -> bytes:
    return bytes((5, status, 0, 1)) + bytes(6)
