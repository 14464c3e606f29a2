"""Where `MAINSTAY_PROBE_ALLOW` closes this machine, no writing of its address in a request to `/probe` gets past it.

The server counts who connects; the system's own resolver is asked, which takes more writings than a URL has.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from tests.rigs.check_servers import tcp_server
from tests.rigs.http_servers import answer, by_path

from mainstay.foreign.compat.probe import MODULES, probe_response
from mainstay.integrations.addresses import Guard
from mainstay.integrations.lookup import Lookup
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

WRITINGS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "%31%32%37.0.0.1",
    "127%2E0%2E0%2E1",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    "localhost%2e",
    "%6cocalhost",
    "\u24dbocalhost",
    "user:word@127.0.0.1",
    "0.0.0.0",
    "0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
]


class Doorbell:
    """Who connected, by either family; connections are taken one by one."""

    def __init__(self, server: socket.socket) -> None:
        self.port = server.getsockname()[1]
        self._server = server
        self._peers: list[int] = []

    def serve(self) -> None:
        while True:
            try:
                connection, peer = self._server.accept()
            except OSError:
                return
            with connection:
                self._peers.append(peer[1])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nSSH-2.0-\r\n")

    def others(self) -> int:
        """How many came since we asked last; we come ourselves to know that those before us were counted."""
        with socket.create_connection(("127.0.0.1", self.port)) as ours:
            assert ours.recv(1)
            count = self._peers.index(ours.getsockname()[1])
        self._peers.clear()
        return count


@pytest.fixture(scope="module")
def doorbell() -> Iterator[Doorbell]:
    """A server on every address of this machine."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        bell = Doorbell(server)
        thread = threading.Thread(target=bell.serve)
        thread.start()
        yield bell
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def probe(target: str, module: str, *, allow: str = "") -> str:
    async def ask() -> str:
        context = Context(Guard.from_settings(allow), Lookup())

        async def run_once(order: CheckOrder) -> CheckResult:
            return await prepare(order).run(context)

        query = {"target": target, "module": module, "debug": "true"}
        return (await probe_response(query, {"x-prometheus-scrape-timeout-seconds": "2.5"}, run_once)).body

    return asyncio.run(ask())


@pytest.mark.parametrize("module", ["http_2xx", "tcp_connect", "tls_connect", "dns_tcp", "grpc_plain"])
def test_no_writing_reaches_a_closed_machine(doorbell: Doorbell, module: str) -> None:
    assert module in MODULES
    assert "probe_success 1" in probe(f"127.0.0.1:{doorbell.port}", "tcp_connect", allow="self")
    assert doorbell.others() == 1, "open, it is reached"
    targets = [f"{writing}:{doorbell.port}" for writing in WRITINGS]
    if module == "http_2xx":
        targets += [f"{begin}{target}/" for begin in ("HTTP://", "http:/\\", "http://a.example@") for target in targets]
    for target in targets:
        assert "probe_success 0" in probe(target, module), target
    assert doorbell.others() == 0


def test_what_is_refused_is_said(doorbell: Doorbell) -> None:
    for target in ("127.0.0.1", "LOCALHOST.", "[::ffff:7f00:1]"):
        assert "code=check.address_refused" in probe(f"http://{target}:{doorbell.port}/", "http_2xx"), target


def test_no_redirect_reaches_a_closed_machine(doorbell: Doorbell) -> None:
    """From a network that is open beside it."""
    for writing in WRITINGS:
        location = f"http://{writing}:{doorbell.port}/".encode().decode("latin-1")
        moved = answer(b"", status="302 Found", headers=(f"Location: {location}",))
        seen: list[tuple[str, dict[str, str], bytes]] = []
        with tcp_server(by_path({"/": moved}, seen), host="127.0.0.2") as opened:
            told = probe(f"http://127.0.0.2:{opened}/", "http_2xx", allow="127.0.0.2/32")
        assert len(seen) == 1
        assert "probe_success 0" in told, writing
    assert doorbell.others() == 0
