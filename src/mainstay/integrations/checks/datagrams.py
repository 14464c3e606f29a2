"""One question and its answer over UDP: a connected socket, the question repeated, packets that do not fit ignored."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from mainstay.integrations.checks.endpoints import format_endpoint
from mainstay.integrations.checks.streams import connection_failure, socket_address
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.integrations.checks.progress import Steps

_DATAGRAM = 65_535  # bytes
_REPEAT_AFTER = 2.0  # seconds; a single lost packet is no failure
_PACKETS_READ = 256  # of one check; a flood must not hold the loop


async def exchange(
    steps: Steps,
    addresses: list[str],
    port: int,
    make: Callable[[], bytes],
    judge: Callable[[bytes], CheckFault | None],
) -> bytes:
    """The first packet that `judge` accepts, phase `wait`; each address has its share of the time left.

    `make` gives the packet to send, anew for each repeat. CheckFault `connect.refused` where nothing listens,
    else what was wrong with the last packet, else `wait.timeout`.
    """
    failure = CheckFault("connect.failed", "there is no address to send to")
    for index, ip in enumerate(addresses):
        last = index == len(addresses) - 1
        share = steps.remaining / (len(addresses) - index)
        steps.evidence["address"] = format_endpoint(ip, port)
        try:
            async with asyncio.timeout(None if last else share):
                return await _exchange_one(steps, ip, port, make, judge)
        except TimeoutError:
            failure = CheckFault("wait.timeout", f"no answer from {ip} port {port}")
        except CheckFault as fault:
            failure = fault
    raise failure


async def _exchange_one(
    steps: Steps, ip: str, port: int, make: Callable[[], bytes], judge: Callable[[bytes], CheckFault | None]
) -> bytes:
    family, address = socket_address(ip, port)
    loop = asyncio.get_running_loop()
    with steps.phase("wait"), socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        try:
            # Connected, so that the system hands us this server's packets only, and its ICMP refusals.
            await loop.sock_connect(connection, address)
            pause = min(_REPEAT_AFTER, steps.timeout / 3)
            sent = 0
            while True:
                sent += 1
                steps.evidence["packets"] = sent
                await loop.sock_sendall(connection, make())
                try:
                    async with asyncio.timeout(pause):
                        return await _fitting(steps, connection, judge)
                except TimeoutError:
                    if steps.if_late is not None:  # something came, and nothing better after it
                        raise steps.if_late from None
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise connection_failure(error, f"{ip} port {port}") from None


async def _fitting(steps: Steps, connection: socket.socket, judge: Callable[[bytes], CheckFault | None]) -> bytes:
    for _ in range(_PACKETS_READ):
        data = await asyncio.get_running_loop().sock_recv(connection, _DATAGRAM)
        fault = judge(data)
        if fault is None:
            return data
        steps.if_late = fault
        await asyncio.sleep(0)  # let other checks run between the packets of a flood
    raise CheckFault("wait.flood", f"none of {_PACKETS_READ} packets that came is an answer")
