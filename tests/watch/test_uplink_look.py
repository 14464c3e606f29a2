"""A look at the network with real sockets on loopback: uplink targets and a name server."""

from __future__ import annotations

import asyncio
import socket

import dns.flags
import dns.message
import dns.rcode
import pytest

from mainstay.kernel.clock import SystemClock
from mainstay.watch.lanes.uplink import MachineLook, reachable, read_routes, resolver_answers, targets_of


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class NameServer(asyncio.DatagramProtocol):
    """Answers every question with one response code, after dropping the first `deaf` of them."""

    def __init__(self, rcode: dns.rcode.Rcode, deaf: int = 0) -> None:
        self.rcode, self.deaf = rcode, deaf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        reply = dns.message.make_response(dns.message.from_wire(data))
        reply.set_rcode(self.rcode)
        self.transport.sendto(reply.to_wire(), addr)  # type: ignore[attr-defined]


def test_targets_that_listen_and_targets_that_do_not() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        closed = free_port()
        async with server:
            found = await reachable([f"127.0.0.1:{port}", f"127.0.0.1:{closed}"])
            assert found[f"127.0.0.1:{port}"] is True
            assert found.get(f"127.0.0.1:{closed}") is False
            assert await reachable([f"127.0.0.1:{closed}"]) == {f"127.0.0.1:{closed}": False}

    asyncio.run(main())


@pytest.mark.parametrize("target", ["", "nonsense", "127.0.0.1:notaport", "127.0.0.1:99999999", ":", "[::1"])
def test_a_target_that_is_no_endpoint_is_not_reached(target: str) -> None:
    assert asyncio.run(reachable([target])) == {target: False}


def test_no_targets() -> None:
    assert asyncio.run(reachable([])) == {}
    assert targets_of(" , ") == []
    assert targets_of("a:1, b:2") == ["a:1", "b:2"]


@pytest.mark.parametrize(
    ("rcode", "deaf", "answers"),
    [
        (dns.rcode.NOERROR, 0, True),
        (dns.rcode.NXDOMAIN, 0, True),
        (dns.rcode.SERVFAIL, 0, False),
        (dns.rcode.REFUSED, 0, False),
        (dns.rcode.NOERROR, 1, True),
        (dns.rcode.NOERROR, 9, False),
    ],
)
def test_a_name_server(rcode: dns.rcode.Rcode, deaf: int, answers: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(rcode, deaf), local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        try:
            assert await resolver_answers([("127.0.0.1", port)]) is answers
        finally:
            transport.close()

    asyncio.run(main())


def test_one_of_two_name_servers_is_enough() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: NameServer(dns.rcode.NOERROR), local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        try:
            assert await resolver_answers([("127.0.0.1", free_port()), ("127.0.0.1", port)]) is True
        finally:
            transport.close()

    asyncio.run(main())


def test_no_name_server_to_ask_is_no_answer_either_way() -> None:
    assert asyncio.run(resolver_answers([])) is None


def test_a_look_at_this_machine() -> None:
    evidence = asyncio.run(MachineLook([], SystemClock())(resolver=False))
    assert evidence.targets == {}
    assert evidence.resolver is None
    assert evidence.routes == read_routes()
