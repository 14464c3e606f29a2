"""Servers on loopback for the tests of checks, and one call that runs a check the way a prober does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mainstay.integrations.addresses import Guard
from mainstay.integrations.lookup import Lookup
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.runtime.kinds import check_kinds
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

Serve = Callable[[socket.socket], None]


def order_for(kind: str, target: Any, expect: dict[str, Any] | None = None, limit: float = 5.0) -> CheckOrder:
    """An order made of validated documents, in their shortest form, as the store keeps them."""
    check = check_kinds()[kind]
    document = target if isinstance(target, dict) else {check.shorthand: target}
    return CheckOrder(
        uid="m1",
        kind=kind,
        interval=60.0,
        timeout=limit,
        options={
            "target": check.target.model_validate(document).to_document(),
            "expect": check.expect.model_validate(expect or {}).to_document(),
        },
    )


def run_check(
    kind: str, target: Any, expect: dict[str, Any] | None = None, *, limit: float = 5.0, context: Context | None = None
) -> CheckResult:
    return asyncio.run(prepare(order_for(kind, target, expect, limit)).run(context or Context()))


def context_with(names: dict[str, list[str]] | None = None, *, allow: str = "self", ca_file: str = "") -> Context:
    """A context whose resolver knows these names only."""

    def resolve(host: str, family: int) -> list[str]:
        if names is None or host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return names[host]

    return Context(Guard.from_settings(allow), Lookup(resolve), ca_file)


@contextmanager
def tcp_server(serve: Serve, host: str = "127.0.0.1") -> Iterator[int]:
    """The port of a server that hands each connection to `serve` in a thread and closes it afterwards."""
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def work(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            thread = threading.Thread(target=work, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in [accepting, *threads]:
            thread.join(5)


def until_closed(connection: socket.socket) -> None:
    """Say nothing until the other side goes away."""
    while connection.recv(4096):
        pass


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        return int(listener.getsockname()[1])
