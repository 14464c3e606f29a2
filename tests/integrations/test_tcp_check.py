"""The check `tcp` against real servers on loopback."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, free_port, run_check, tcp_server, until_closed

from mainstay.integrations.checks.streams import _alternating
from mainstay.integrations.checks.tcp.spec import KIND
from mainstay.kernel.patterns import stored


def banner(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example.com ready\r\n")
    until_closed(connection)


def echo(connection: socket.socket) -> None:
    while data := connection.recv(4096):
        connection.sendall(data.upper())


def closes_at_once(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    until_closed(connection)


def resets(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_a_banner(connection: socket.socket) -> None:
    connection.sendall(b"220 ma")
    closes_at_once(connection)


def garbage(connection: socket.socket) -> None:
    connection.sendall(bytes(range(256)) * 4)
    until_closed(connection)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


def test_a_port_that_accepts_is_up() -> None:
    with tcp_server(until_closed) as port:
        result = run_check("tcp", f"127.0.0.1:{port}")
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert set(result.phases) == {"lookup", "connect"}
    assert result.evidence == {"address": f"127.0.0.1:{port}"}
    assert result.duration >= result.phases["connect"] > 0


@contextmanager
def black_hole(host: str, port: int) -> Iterator[None]:
    """An address whose listener takes up no connection: its queue is full."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener, ExitStack() as waiting:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            connection = waiting.enter_context(socket.socket(listener.family))
            connection.setblocking(False)
            connection.connect_ex((host, port))
        yield


def test_an_address_that_swallows_everything_costs_a_quarter_of_a_second() -> None:
    names = {"app.test": ["::1", "127.0.0.1"]}
    with tcp_server(until_closed) as port, black_hole("::1", port):
        result = run_check("tcp", f"app.test:{port}", context=context_with(names), limit=8)
    assert (result.verdict, result.evidence["address"]) == ("up", f"127.0.0.1:{port}"), result.message
    assert 0.2 < result.phases["connect"] < 1.5


def test_of_addresses_that_all_fail_the_last_is_told() -> None:
    port = free_port()
    result = run_check("tcp", f"app.test:{port}", context=context_with({"app.test": ["::1", "127.0.0.1"]}))
    assert (result.verdict, result.code) == ("down", "connect.refused")
    assert result.evidence["address"] == f"127.0.0.1:{port}"
    with black_hole("127.0.0.1", port):
        late = run_check("tcp", f"127.0.0.1:{port}", limit=0.3)
    assert (late.verdict, late.code) == ("down", "connect.timeout")


def test_versions_of_ip_take_turns() -> None:
    assert _alternating(["a:1", "a:2", "a:3", "1.1", "1.2"]) == ["a:1", "1.1", "a:2", "1.2", "a:3"]
    assert _alternating(["1.1", "a:1", "1.2"]) == ["1.1", "a:1", "1.2"]
    assert _alternating([]) == []


def test_ipv6() -> None:
    with tcp_server(until_closed, "::1") as port:
        result = run_check("tcp", f"[::1]:{port}")
    assert (result.verdict, result.evidence["address"]) == ("up", f"[::1]:{port}")


@pytest.mark.parametrize(
    ("expect", "send"),
    [
        ({"contains": "ready"}, None),
        ({"regex": r"^220 \S+\.example\.com"}, None),
        ({"contains": "220", "regex": "ready"}, None),
    ],
)
def test_words_that_the_target_says_first(expect: dict[str, Any], send: str | None) -> None:
    with tcp_server(banner) as port:
        result = run_check("tcp", {"address": f"127.0.0.1:{port}", "send": send}, expect)
    assert result.verdict == "up", result.message
    assert result.evidence["excerpt"] == "220 mail.example.com ready\n"
    assert "wait" in result.phases


def test_send_and_expect() -> None:
    with tcp_server(echo) as port:
        result = run_check("tcp", {"address": f"127.0.0.1:{port}", "send": "ping\r\n"}, {"contains": "PING"})
    assert result.verdict == "up", result.message
    assert set(result.phases) == {"lookup", "connect", "send", "wait"}


@pytest.mark.parametrize(
    ("serve", "expect", "verdict", "code", "says"),
    [
        (until_closed, {"contains": "220"}, "down", "wait.timeout", "no answer within 300 ms"),
        (closes_at_once, {"contains": "220"}, "down", "wait.closed", "closed the connection without sending anything"),
        (half_a_banner, {"contains": "ready"}, "down", "expect.contains", "`ready` is not in the 6 bytes"),
        (banner, {"contains": "421"}, "down", "expect.contains", "`421` is not in the 28 bytes"),
        (banner, {"regex": "^421"}, "down", "expect.regex", "`^421` does not match"),
        (garbage, {"contains": "220"}, "down", "expect.contains", "is not in the 1024 bytes"),
        (endless, {"contains": "220"}, "down", "expect.contains", "is not in the 65536 bytes"),
        (resets, {"contains": "220"}, "down", "wait.reset", "reset the connection"),
        (banner, {"contains": "220", "down_after": "0ms"}, "down", "expect.latency", "more than the 0 ms allowed"),
        (banner, {"degraded_after": "0ms", "down_after": 9}, "degraded", "expect.latency", "more than the 0 ms"),
    ],
)
def test_each_way_to_fail_has_its_code(serve: Any, expect: dict[str, Any], verdict: str, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        result = run_check("tcp", {"address": f"127.0.0.1:{port}", "send": "hello"}, expect, limit=0.3)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_garbage_is_shown_without_control_characters() -> None:
    with tcp_server(garbage) as port:
        result = run_check("tcp", f"127.0.0.1:{port}", {"contains": "220"}, limit=0.3)
    shown = result.evidence["excerpt"]
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert len(shown) <= 401


def test_refused() -> None:
    result = run_check("tcp", f"127.0.0.1:{free_port()}")
    assert (result.verdict, result.code) == ("down", "connect.refused")
    assert "refuses connections" in result.message


def test_a_listener_that_never_accepts_runs_into_the_limit() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        filling = []
        for _ in range(4):  # fill its queue, so that further connections are not answered
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            filling.append(one)
        result = run_check("tcp", f"127.0.0.1:{full.getsockname()[1]}", limit=0.3)
        for one in filling:
            one.close()
    assert (result.verdict, result.code) == ("down", "connect.timeout")
    assert result.duration < 5


def test_the_second_address_is_tried_when_the_first_refuses() -> None:
    context = context_with({"twice.test": ["::1", "127.0.0.1"]})
    with tcp_server(until_closed) as port:
        result = run_check("tcp", f"twice.test:{port}", context=context)
    assert (result.verdict, result.evidence["address"]) == ("up", f"127.0.0.1:{port}")


def test_a_name_that_does_not_exist_is_down() -> None:
    result = run_check("tcp", "nowhere.test:80", context=context_with({}))
    assert (result.verdict, result.code) == ("down", "lookup.not_found")


def test_a_closed_address_is_unknown_and_never_connected() -> None:
    with tcp_server(until_closed) as port:
        result = run_check("tcp", f"hidden.test:{port}", context=context_with({"hidden.test": ["127.0.0.1"]}, allow=""))
    assert (result.verdict, result.code) == ("unknown", "check.address_refused")
    assert "an address of this machine" in result.message


def test_a_dead_resolver_is_unknown_and_delays_no_other_check() -> None:
    from mainstay.integrations.addresses import Guard
    from mainstay.integrations.lookup import Lookup
    from mainstay.watch.prober.context import Context

    released = threading.Event()

    def resolve(host: str, family: int) -> list[str]:
        released.wait(30)
        return ["127.0.0.1"]

    context = Context(Guard(), Lookup(resolve))
    began = time.monotonic()
    try:
        result = run_check("tcp", "slow.test:80", limit=0.2, context=context)
    finally:
        released.set()
    assert (result.verdict, result.code) == ("unknown", "lookup.timeout")
    assert time.monotonic() - began < 20


def test_tls_inside() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)

    def serve(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as secured:
            secured.sendall(b"+OK ready\r\n")
            secured.recv(100)

    with tcp_server(serve) as port:
        target = {"address": f"127.0.0.1:{port}", "tls": True, "server_name": "localhost"}
        trusted = run_check("tcp", target | {"ca": authority.cert_pem.bytes().decode()}, {"contains": "+OK"})
        stranger = run_check("tcp", target, {"contains": "+OK"})
        careless = run_check("tcp", target | {"verify": False}, {"contains": "+OK"})
    assert trusted.verdict == "up", trusted.message
    assert trusted.evidence["tls"]["verified"] is True
    assert set(trusted.phases) == {"lookup", "connect", "tls", "wait"}
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    assert careless.verdict == "up"
    assert careless.evidence["tls"]["verified"] is False


def test_tls_towards_a_plain_server() -> None:
    with tcp_server(banner) as port:
        result = run_check("tcp", {"address": f"127.0.0.1:{port}", "tls": True})
    assert (result.verdict, result.code) == ("down", "tls.handshake")
    assert "does not speak TLS" in result.message


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("db.example.com", "has no port"),
        ("db.example.com:0", "is not a port"),
        ("db.example.com:http", "is not a port"),
        ("http://db.example.com:80", "is a URL"),
        ("2001:db8::1", "has no port"),
        ("[2001:db8::1:22", "IPv6 is written"),
        ("a b:22", "neither a host name nor an IP address"),
        (":22", "neither a host name nor an IP address"),
        ("x" * 301 + ":22", "at most 300"),
    ],
)
def test_wrong_targets_are_refused_with_a_reason(target: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.target.model_validate({"address": target})


def test_a_pattern_that_explodes_elsewhere_is_matched_at_once() -> None:
    def bait(connection: socket.socket) -> None:
        connection.sendall(b"a" * 60)
        until_closed(connection)

    with tcp_server(bait) as port:
        result = run_check("tcp", f"127.0.0.1:{port}", {"regex": "(a+)+$b"})
    assert (result.verdict, result.code) == ("down", "expect.regex")


def test_a_pattern_that_an_older_version_took_is_told() -> None:
    with stored():
        result = run_check("tcp", "127.0.0.1:9", {"regex": "(?=a)b"})
    assert (result.verdict, result.code) == ("unknown", "check.bad_pattern")
    assert "`(?=a)b` is not a regular expression" in result.message


def test_a_wrong_pattern_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        KIND.expect.model_validate({"regex": "("})
