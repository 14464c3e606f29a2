"""DNS over UDP: one connected socket, the question repeated while no answer comes, strangers' packets ignored."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from mainstay.integrations.checks.streams import connection_failure, socket_address
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    import dns.message

    from mainstay.integrations.checks.progress import Steps

_DATAGRAM = 65_535
_REPEAT_AFTER = 2.0  # seconds; a single lost packet is no failure


async def ask_over_udp(steps: Steps, query: dns.message.Message, server: str, port: int) -> dns.message.Message:
    """The first answer that fits the question. CheckFault `connect.refused` where nothing listens."""
    family, address = socket_address(server, port)
    wire = query.to_wire()
    with steps.phase("wait"), socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        try:
            # Connected, so that the system hands us this server's packets only, and its ICMP refusals.
            await asyncio.get_running_loop().sock_connect(connection, address)
            return await _repeat(steps, connection, query, wire)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise connection_failure(error, f"{server} port {port}") from None


async def _repeat(
    steps: Steps, connection: socket.socket, query: dns.message.Message, wire: bytes
) -> dns.message.Message:
    """Until the hard limit of the check."""
    pause = min(_REPEAT_AFTER, steps.timeout / 3)
    sent = 0
    while True:
        sent += 1
        steps.evidence["packets"] = sent
        await asyncio.get_running_loop().sock_sendall(connection, wire)
        try:
            async with asyncio.timeout(pause):
                return await _matching(steps, connection, query)
        except TimeoutError:
            continue


async def _matching(steps: Steps, connection: socket.socket, query: dns.message.Message) -> dns.message.Message:
    import dns.exception
    import dns.message

    while True:
        data = await asyncio.get_running_loop().sock_recv(connection, _DATAGRAM)
        try:
            response = dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=False)
        except (dns.exception.DNSException, ValueError) as error:
            steps.if_late = CheckFault("wait.malformed", f"what arrived is not a DNS message: {type(error).__name__}")
        else:
            if query.is_response(response):
                return response
            steps.if_late = CheckFault("wait.malformed", "what arrived belongs to another query")
        await asyncio.sleep(0)  # a flood of strangers' packets must not hold the loop
