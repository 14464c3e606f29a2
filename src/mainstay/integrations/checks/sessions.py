"""A conversation with a server over one stream: where it is, how it is secured, and how much is read of it."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.certificates import load_reader, shake_hands, trust
from mainstay.integrations.checks.endpoints import split_endpoint
from mainstay.integrations.checks.progress import describe_seconds, find_addresses
from mainstay.integrations.checks.streams import connect, connection_failure
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mainstay.integrations.checks.progress import Steps
    from mainstay.integrations.checks.streams import Stream
    from mainstay.kernel.ports import CheckContext

LINE_LIMIT = 8192  # bytes of one line
SESSION_LIMIT = 262_144  # bytes that one check reads


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`tls`: TLS may be spoken on it, at once or later."""

    host: str
    port: int
    tls: bool
    server_name: str
    verify: bool
    ca: str

    @classmethod
    def of(cls, target: Mapping[str, Any], default_port: int | None, *, tls: bool) -> Endpoint:
        host, port = split_endpoint(target["address"], default_port)
        if tls:
            load_reader()
        return cls(
            host=host,
            port=port,
            tls=tls,
            server_name=target.get("server_name") or host,
            verify=target.get("verify", True),
            ca=target.get("ca") or "",
        )

    async def connect(self, steps: Steps, context: CheckContext) -> Stream:
        """Phases `lookup` and `connect`."""
        return await connect(steps, await find_addresses(steps, context, self.host), self.port)

    async def secure(self, steps: Steps, context: CheckContext, stream: Stream) -> None:
        """Phase `tls`."""
        steps.if_late = None
        await shake_hands(steps, stream, trust(self.ca, context.ca_file, self.verify), self.server_name)

    @asynccontextmanager
    async def opened(self, steps: Steps, context: CheckContext) -> AsyncIterator[Stream]:
        """A connection for as long as it is needed, secured at once where TLS may be spoken on it."""
        stream = await self.connect(steps, context)
        try:
            if self.tls:
                await self.secure(steps, context, stream)
            yield stream
        finally:
            stream.close()


class Talk:
    """Reads lines or exact sizes; what goes wrong becomes a finding named by the phase it happens in."""

    def __init__(self, steps: Steps, stream: Stream, *, who: str = "the server", limit: int = SESSION_LIMIT) -> None:
        self.stream = stream
        self.received = 0
        self._steps = steps
        self._who = who
        self._limit = limit
        self._rest = bytearray()

    @property
    def unread(self) -> int:
        """Bytes that came and were not asked for yet."""
        return len(self._rest)

    def awaiting(self, what: str) -> None:
        """Say what did not come if the time runs out from here on."""
        limit = describe_seconds(self._steps.timeout)
        self._steps.if_late = CheckFault(f"{self._steps.current}.timeout", f"{what} did not arrive within {limit}")

    async def send(self, data: bytes) -> None:
        try:
            await self.stream.send(data)
        except (OSError, ssl.SSLError) as error:
            raise self._broken(error) from None

    async def line(self) -> bytes:
        """Up to the next LF, without CR and LF. CheckFault if it is too long or does not come."""
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if searched > LINE_LIMIT:
                raise CheckFault(self._code("malformed"), f"{self._who} sent a line of more than {LINE_LIMIT} bytes")
            await self._more()
        found = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return found.removesuffix(b"\r")

    async def exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            await self._more()
        found = bytes(self._rest[:size])
        del self._rest[:size]
        return found

    async def some(self) -> bytes:
        """What is there, or else the next piece."""
        if not self._rest:
            await self._more()
        found = bytes(self._rest)
        self._rest.clear()
        return found

    async def _more(self) -> None:
        if self.received >= self._limit:
            raise CheckFault(self._code("too_large"), f"{self._who} sent more than {self._limit} bytes")
        try:
            piece = await self.stream.receive()
        except (OSError, ssl.SSLError) as error:
            raise self._broken(error) from None
        if not piece:
            words = "in the middle of its answer" if self._rest else "without an answer" if self.received else ""
            sentence = f"{self._who} closed the connection {words or 'without sending anything'}"
            raise CheckFault(self._code("closed"), sentence)
        self.received += len(piece)
        self._rest += piece

    def _broken(self, error: OSError) -> CheckFault:
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "unknown reason").replace("_", " ").lower()
            return CheckFault(self._code("reset"), f"{self._who} aborted TLS: {reason}")
        return connection_failure(error, self._who, self._steps.current)

    def _code(self, what: str) -> str:
        return f"{self._steps.current}.{what}"
