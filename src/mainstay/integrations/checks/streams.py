"""A byte stream to a target: connected within the limit of time, plain or TLS, read in bounded pieces.

TLS runs through memory buffers rather than asyncio's transports: that times the handshake alone, and keeps
the certificates that the other side sent even where they are refused.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import deque
from contextlib import ExitStack, suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.endpoints import format_endpoint
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.integrations.checks.progress import Steps

_HEAD_START = 0.25  # seconds that an address has before the next one is tried as well (RFC 8305, 8)
PIECE = 16_384  # bytes read at once

# The checking machine is short of something: that says nothing about the target.
_OWN_SHORTAGE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


def socket_address(ip: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """(family, address for connect) of a literal, an IPv6 zone such as fe80::1%eth0 included; never blocks."""
    rows = socket.getaddrinfo(ip, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
    family, _, _, _, address = rows[0]
    return family, address


async def connect(steps: Steps, addresses: list[str], port: int) -> Stream:
    """The first connection that is made, phase `connect`. CheckFault if none is; the check's own limit is the last."""

    def tell(ip: str) -> None:
        steps.evidence["address"] = format_endpoint(ip, port)

    with steps.phase("connect"):
        return Stream(await first_connection(addresses, port, tell))


async def first_connection(addresses: list[str], port: int, tell: Callable[[str], None]) -> socket.socket:
    """Race the addresses (RFC 8305): the next one is tried when one fails, or keeps waiting. Without a limit of time.

    `tell` hears of each that is tried, and of the one that won. CheckFault `connect.*` tells of the last that failed.
    """
    attempts: dict[asyncio.Task[socket.socket], str] = {}
    failure = CheckFault("connect.failed", "there is no address to connect to")
    waiting = deque(_alternating(addresses))
    try:
        while waiting or attempts:
            if waiting:
                ip = waiting.popleft()
                tell(ip)
                attempts[asyncio.create_task(_connect_one(ip, port))] = ip
            patience = _HEAD_START if waiting else None
            done, _ = await asyncio.wait(attempts, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                ip = attempts.pop(task)
                try:
                    made = task.result()
                except OSError as error:
                    failure = connection_failure(error, f"{ip} port {port}")
                else:
                    tell(ip)
                    return made
    finally:
        for task in attempts:
            task.add_done_callback(_discard)
            task.cancel()
    raise failure


def _discard(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _alternating(addresses: list[str]) -> list[str]:
    """In their order, but one of each version of IP in turn (RFC 8305, 4)."""
    first = [ip for ip in addresses if (":" in ip) == (":" in addresses[0])]
    second = [ip for ip in addresses if ip not in first]
    return [ip for pair in zip_longest(first, second) for ip in pair if ip is not None]


async def _connect_one(ip: str, port: int) -> socket.socket:
    family, address = socket_address(ip, port)
    connection = socket.socket(family, socket.SOCK_STREAM)
    with ExitStack() as unless_connected:
        unless_connected.callback(connection.close)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, address)
        unless_connected.pop_all()
    return connection


def connection_failure(error: OSError, where: str, phase: str = "connect") -> CheckFault:
    """What an operating system's error on a connection means."""
    if error.errno in _OWN_SHORTAGE:
        reason = f"this machine could not open a connection: {error.strerror}"
        return CheckFault("check.resources", reason, verdict="unknown")
    if isinstance(error, ConnectionRefusedError):
        return CheckFault(f"{phase}.refused", f"{where} refuses connections: nothing listens there")
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return CheckFault(f"{phase}.reset", f"{where} reset the connection")
    if error.errno in _UNREACHABLE:
        return CheckFault(f"{phase}.unreachable", f"there is no route to {where}: {error.strerror}")
    if error.errno == errno.ETIMEDOUT:
        return CheckFault(f"{phase}.timeout", f"no answer from {where}")
    return CheckFault(f"{phase}.failed", f"{where}: {error.strerror or error}")


class Stream:
    """Owns its socket; close it. Not for several tasks at once."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._rest = b""  # read, but beyond what was asked for

    @property
    def tls(self) -> ssl.SSLObject | None:
        return self._tls

    @property
    def local_address(self) -> str:
        """Our own end of the connection, without its port."""
        return str(self._connection.getsockname()[0])

    @property
    def peer_address(self) -> str:
        """The other end, without its port."""
        return str(self._connection.getpeername()[0])

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Shake hands. Raises ssl.SSLError or OSError; `tls` is set either way, for its certificates."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                with suppress(OSError):  # let the other side read why
                    await self._flush()
                raise
            else:
                return await self._flush()

    async def send(self, data: bytes) -> None:
        if self._tls is None:
            await asyncio.get_running_loop().sock_sendall(self._connection, data)
            return
        self._tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """Up to PIECE bytes; empty when the other side has closed. Raises OSError."""
        if self._tls is None:
            return await asyncio.get_running_loop().sock_recv(self._connection, PIECE)
        while True:
            try:
                return self._tls.read(PIECE)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def receive_exactly(self, size: int) -> bytes:
        """`size` bytes, fewer only where the other side closes before."""
        data = self._rest
        while len(data) < size:
            piece = await self.receive()
            if not piece:
                break
            data += piece
        self._rest = data[size:]
        return data[:size]

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await asyncio.get_running_loop().sock_sendall(self._connection, self._outgoing.read())

    async def _fill(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._connection, PIECE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def close(self) -> None:
        self._connection.close()
