"""HTTP servers on loopback that behave and misbehave, and one call that checks them the way a prober does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from tests.rigs.check_servers import context_with, order_for

from mainstay.kernel.probing import CheckResult
from mainstay.kernel.secret import resolve
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import PreparedCheck, prepare

Serve = Callable[[socket.socket], None]


def check(
    target: Any,
    expect: dict[str, Any] | None = None,
    *,
    limit: float = 5.0,
    context: Context | None = None,
) -> CheckResult:
    """Run the check `http` once."""
    return checks(target, expect, limit=limit, context=context, times=1)[0]


def checks(
    target: Any,
    expect: dict[str, Any] | None = None,
    *,
    limit: float = 5.0,
    context: Context | None = None,
    times: int = 2,
) -> list[CheckResult]:
    """Run the same prepared check several times in a row."""
    prepared = prepare(order_for("http", target, expect, limit))
    return asyncio.run(_run(prepared, context or context_with(), times))


def check_filled(
    target: dict[str, Any],
    port: int,
    values: dict[str, str],
    expect: dict[str, Any] | None = None,
    *,
    context: Context | None = None,
) -> CheckResult:
    """Run a check whose references are replaced as the main process does it; `{port}` stands for the port."""
    order = order_for("http", _with_port(target, port), expect)
    filled = resolve(order.options, lambda source, name: values[f"${{{source}:{name}}}"])
    filled_order = replace(order, options=filled, secrets=tuple(values.values()))
    return asyncio.run(_run(prepare(filled_order), context or context_with(), 1))[0]


def _with_port(value: Any, port: int) -> Any:
    if isinstance(value, str):
        return value.replace("{port}", str(port))
    if isinstance(value, dict):
        return {key: _with_port(inner, port) for key, inner in value.items()}
    return value


async def _run(prepared: PreparedCheck, context: Context, times: int) -> list[CheckResult]:
    try:
        return [await prepared.run(context) for _ in range(times)]
    finally:
        context.close()


def read_request(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """(request line, headers with lower-case names, body)."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65_536)
        if not received:
            return "", {}, b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in rest)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    return line, headers, body


def answer(
    body: bytes = b"fine\n", status: str = "200 OK", headers: tuple[str, ...] = (), *, length: bool = True
) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def always(*parts: bytes) -> Serve:
    """Reads a request and sends these bytes, whatever was asked."""

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)

    return serve


def by_path(pages: dict[str, bytes], seen: list[tuple[str, dict[str, str], bytes]] | None = None) -> Serve:
    """Answers by path; notes the requests in `seen`."""

    def serve(connection: socket.socket) -> None:
        request = read_request(connection)
        if seen is not None:
            seen.append(request)
        path = request[0].split(" ")[1] if request[0] else ""
        connection.sendall(pages.get(path, answer(b"no such page", "404 Not Found")))

    return serve


def with_tls(serve: Serve, context: ssl.SSLContext) -> Serve:
    def wrapped(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            serve(secured)

    return wrapped
