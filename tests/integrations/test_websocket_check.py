"""The check `websocket` against the server of the library `websockets`, and against servers that misbehave."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from mainstay.integrations.checks.websocket.spec import KIND

Handler = Callable[[ServerConnection], None]


@contextmanager
def websocket_server(handler: Handler, **options: Any) -> Iterator[int]:
    with serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message.upper() if isinstance(message, str) else message)


def chatty(connection: ServerConnection) -> None:
    """Other news first, one of them in parts, with a ping in between."""
    connection.send("news")
    connection.send(["first ", "second ", "third"])
    connection.ping()
    connection.send(b"\x00binary")
    echo(connection)


def silent(connection: ServerConnection) -> None:
    connection.recv()
    with connection:
        for _ in connection:
            pass


def leaves(connection: ServerConnection) -> None:
    connection.recv()
    connection.close(1013, "try again later")


def large(connection: ServerConnection) -> None:
    connection.recv()
    connection.send("x" * 2_000_000)


def test_an_upgrade_is_enough() -> None:
    with websocket_server(echo) as port:
        result = run_filled("websocket", f"ws://127.0.0.1:{port}/live?room=1")
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert set(result.phases) == {"lookup", "connect", "wait"}
    assert result.evidence["status"] == 101


@pytest.mark.parametrize("text", ["ping", "x" * 300, "long " * 2000])
def test_a_message_and_its_answer(text: str) -> None:
    with websocket_server(echo) as port:
        target = {"url": f"ws://127.0.0.1:{port}", "send": text}
        result = run_filled("websocket", target, {"contains": text[:900].upper(), "pong": True})
    assert result.verdict == "up", result.message
    assert result.evidence["received"] == len(text)
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"}


def test_what_is_expected_may_come_after_other_messages() -> None:
    with websocket_server(chatty) as port:
        target = {"url": f"ws://127.0.0.1:{port}", "send": "hello"}
        parts = run_filled("websocket", target, {"contains": "first second third"})
        last = run_filled("websocket", target, {"regex": "^HELLO$"})
    assert (parts.verdict, parts.evidence["messages"]) == ("up", 2), parts.message
    assert (last.verdict, last.evidence["messages"]) == ("up", 4), last.message


def test_headers_subprotocols_and_secrets() -> None:
    def only_ann(_connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") == "Bearer open sesame" and request.path == "/live":
            return None
        return Response(401, "Unauthorized", _connection.respond(401, "who?").headers)

    options = {"process_request": only_ann, "subprotocols": ["graphql-ws"]}
    with websocket_server(echo, **options) as port:
        target = {
            "url": f"ws://127.0.0.1:{port}/live",
            "headers": {"Authorization": "Bearer ${env:TOKEN}"},
            "subprotocols": ["mqtt", "graphql-ws"],
            "send": "${env:TOKEN}",
        }
        right = run_filled("websocket", target, {"contains": "OPEN"}, secrets={"TOKEN": "open sesame"})
        wrong = run_filled("websocket", target, secrets={"TOKEN": "open poppy"})
        none = run_filled("websocket", target | {"subprotocols": []}, secrets={"TOKEN": "open sesame"})
    assert (right.verdict, right.evidence["subprotocol"]) == ("up", "graphql-ws"), right.message
    assert (wrong.verdict, wrong.code) == ("down", "expect.upgrade")
    assert "answers 401" in wrong.message
    assert none.code == "expect.upgrade"  # this server demands one of its subprotocols


def test_tls(tmp_path: Any) -> None:
    certificates = Certificates(tmp_path, ends=10)
    with websocket_server(echo, ssl=certificates.server) as port:
        target = {"url": f"wss://127.0.0.1:{port}", "server_name": "localhost", "send": "a"}
        stranger = run_filled("websocket", target)
        soon = run_filled("websocket", target | {"ca": certificates.ca}, {"contains": "A"})
        good = run_filled("websocket", target | {"ca": certificates.ca}, {"contains": "A", "certificate_days": 5})
        plain = run_filled("websocket", f"ws://127.0.0.1:{port}", limit=0.5)
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    assert (soon.verdict, soon.code) == ("degraded", "expect.days")
    assert good.verdict == "up", good.message
    assert set(good.phases) == {"lookup", "connect", "tls", "wait", "transfer"}
    assert plain.verdict == "down"
    assert plain.code.startswith("wait.")


@pytest.mark.parametrize(
    ("handler", "expect", "verdict", "code", "says"),
    [
        (echo, {"contains": "PONG"}, "down", "expect.contains", "`PONG` is not in the 4 bytes"),
        (silent, {"contains": "PONG"}, "down", "transfer.timeout", "a message did not arrive within 500 ms"),
        (leaves, {"contains": "PONG"}, "down", "transfer.closed", "closed the WebSocket with 1013: try again later"),
        (
            large,
            {"contains": "PONG"},
            "down",
            "transfer.too_large",
            "a message that is too large: frame with 2000000 bytes",
        ),
        (echo, {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_each_way_to_fail_has_its_code(
    handler: Handler, expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    with websocket_server(handler) as port:
        result = run_filled("websocket", {"url": f"ws://127.0.0.1:{port}", "send": "ping"}, expect, limit=0.5)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def answers(*pieces: bytes) -> Callable[[socket.socket], None]:
    """Each piece after something came in; `ACCEPT` is what the key demands."""

    def serve_raw(connection: socket.socket) -> None:
        for template in pieces:
            piece = template
            request = connection.recv(4096)
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
            if key is not None:
                digest = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
                piece = piece.replace(b"ACCEPT", base64.b64encode(digest))
            connection.sendall(piece)
        until_closed(connection)

    return serve_raw


def cut(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgr")


def floods(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        connection.sendall(b"X-More: of it\r\n" * 100)


GOOD = b"HTTP/1.1 101 Yes\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n"


@pytest.mark.parametrize(
    ("serve_raw", "code", "says"),
    [
        (until_closed, "wait.timeout", "the answer to the upgrade did not arrive"),
        (cut, "wait.closed", "in the middle of its answer"),
        (floods, "wait.too_large", "more than 200 headers"),
        (answers(b"SSH-2.0-OpenSSH\r\n"), "wait.malformed", "it says `SSH-2.0-OpenSSH`"),
        (answers(bytes(range(256)) * 64), "wait.malformed", ""),
        (answers(b"HTTP/1.1 200 OK\r\n\r\n"), "expect.upgrade", "answers 200 instead of upgrading"),
        (answers(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n"), "expect.upgrade", "points to /login"),
        (answers(b"HTTP/1.1 101 Yes\r\n\r\n"), "wait.malformed", "not as a WebSocket server does"),
        (answers(GOOD.replace(b"ACCEPT", b"eA==") + b"\r\n"), "wait.malformed", "not as a WebSocket"),
        (answers(GOOD + b"Sec-WebSocket-Extensions: x\r\n\r\n"), "wait.malformed", "an extension that nobody"),
        (answers(GOOD + b"Sec-WebSocket-Protocol: x\r\n\r\n"), "expect.subprotocol", "selects the subprotocol `x`"),
        (answers(GOOD + b"\r\n", b"\xc1\x01x"), "transfer.malformed", "reserved bits must be 0"),
        (answers(GOOD + b"\r\n", b"\x80\x01x"), "transfer.malformed", "unexpected continuation frame"),
        (answers(GOOD + b"\r\n", b"\x89\x7e\x01\x00" + bytes(256)), "transfer.malformed", "control frame too long"),
        (answers(GOOD + b"\r\n", b"\x81\x05a"), "transfer.timeout", "a message did not arrive"),
    ],
)
def test_servers_that_break_the_protocol(serve_raw: Any, code: str, says: str) -> None:
    with tcp_server(serve_raw) as port:
        target = {"url": f"ws://127.0.0.1:{port}", "send": "hello"}
        result = run_filled("websocket", target, {"contains": "never"}, limit=0.3)
    assert (result.verdict, result.code) == ("down", code), result.message
    assert says in result.message


@pytest.mark.parametrize(
    ("frames", "code"), [(b"\x88\x02\x03\xe8", 1000), (b"\x89\x00\x88\x02\x03\xf5", 1013), (b"\x88\x00", 1005)]
)
def test_the_code_of_closing_is_one_of_those_expected(frames: bytes, code: int) -> None:
    with tcp_server(answers(GOOD + b"\r\n", frames)) as port:
        target = f"ws://127.0.0.1:{port}"
        good, bad = (run_filled("websocket", target, {"close": [1001, wanted]}) for wanted in (code, 4000))
    assert (good.verdict, good.message, good.evidence["close"]) == ("up", "", code)
    assert (bad.verdict, bad.code) == ("down", "expect.close")
    assert bad.message == f"the server closes with the code {code}, expected 1001 or 4000"


def test_refused() -> None:
    assert run_filled("websocket", f"ws://127.0.0.1:{free_port()}").code == "connect.refused"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"url": "http://a.test"}, "ws://, wss://"),
        ({"url": "ws://u:${env:P}@a.test"}, "is not sent"),
        ({"url": "ws://a.test?token=abc"}, "looks like a credential"),
        ({"url": "ws://a.test", "headers": {"Authorization": "Bearer x"}}, "holds a credential"),
        ({"url": "ws://a.test", "headers": {"Upgrade": "x"}}, "belongs to the upgrade"),
        ({"url": "ws://a.test", "subprotocols": ["a b"]}, "not the name of a subprotocol"),
    ],
)
def test_what_cannot_be_meant_is_refused(target: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.target.model_validate(target)
