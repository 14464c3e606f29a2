"""Names, passwords and texts outside ASCII: every kind sends them, or says what it cannot send, and none breaks."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from tests.rigs.check_servers import tcp_server, until_closed
from tests.rigs.order_rig import run_filled

WORD = "pä€ß-wörd"
SECRET = {"P": WORD}
SIGN_IN = {"username": "jürgen", "password": "${env:P}"}
HELLO = {
    "imap": b"* OK hello\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na1 OK\r\na2 OK\r\na3 OK\r\n",
    "pop3": b"+OK hello\r\n",
    "smtp": b"220 hello\r\n250-hello\r\n250 AUTH PLAIN LOGIN\r\n",
}


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("imap", {"security": "none", **SIGN_IN}),
        ("pop3", {"security": "none", **SIGN_IN}),
        ("smtp", {"security": "none", **SIGN_IN}),
        ("mqtt", SIGN_IN),
        ("redis", SIGN_IN),
        ("mysql", {**SIGN_IN, "database": "täst"}),
        ("postgres", {**SIGN_IN, "database": "täst"}),
        ("mongodb", {**SIGN_IN, "command": {"ping": 1}}),
        ("tcp", {"send": "grüße"}),
        ("udp", {"send": "grüße"}),
        ("websocket", {"headers": {"X-Who": "jürgen", "X-Key": "${env:P}"}}),
        ("grpc", {"metadata": {"x-who": "${env:P}"}}),
        ("promql", {"query": 'up{job="jürgen"}', "headers": {"X-Who": "${env:P}"}}),
        ("http", {"proxy": "http://jürgen:${env:P}@127.0.0.1:{port}"}),
    ],
)
def test_no_kind_breaks(kind: str, target: dict[str, Any]) -> None:
    def serve(connection: socket.socket) -> None:
        connection.settimeout(0.3)
        connection.sendall(HELLO.get(kind, b"\r\n"))
        until_closed(connection)

    with tcp_server(serve) as port:
        address = {"websocket": ("url", f"ws://127.0.0.1:{port}/"), "promql": ("url", f"http://127.0.0.1:{port}")}
        address["http"] = ("url", "http://far.test/")
        key, where = address.get(kind, ("address", f"127.0.0.1:{port}"))
        written = {name: _with_port(value, port) for name, value in target.items()}
        result = run_filled(kind, {key: where, **written}, secrets=SECRET, limit=1.0)
    assert result.verdict in ("up", "down", "unknown")
    assert not result.code.startswith("check."), (result.code, result.message)


def _with_port(value: Any, port: int) -> Any:
    return value.replace("{port}", str(port)) if isinstance(value, str) else value
