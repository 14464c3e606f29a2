"""The check `grpc` against grpcio's server with its own health service, and against servers that misbehave."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from pydantic import ValidationError
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.grpc_server import grpc_server
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates

from mainstay.integrations.checks.grpc.run import question
from mainstay.integrations.checks.grpc.spec import KIND


class _Secretive(health_pb2_grpc.HealthServicer):
    """Answers only those who know the word, as services behind an interceptor do."""

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        if dict(context.invocation_metadata()).get("authorization") != "Bearer sesame-seed":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you? 50% of you are strangers")
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture(scope="module")
def healthy() -> Iterator[int]:
    servicer = health.HealthServicer()
    servicer.set("shop.v1.Orders", health_pb2.HealthCheckResponse.SERVING)
    servicer.set("shop.v1.Stock", health_pb2.HealthCheckResponse.NOT_SERVING)
    servicer.set("shop.v1.New", health_pb2.HealthCheckResponse.UNKNOWN)
    with grpc_server(servicer) as port:
        yield port


def test_the_question_is_what_the_published_library_writes() -> None:
    for service in ("", "a", "shop.v1.Orders", "x" * 120):
        message = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        assert question(service) == b"\0" + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("service", ["", "shop.v1.Orders"])
def test_serving_is_up(healthy: int, service: str) -> None:
    result = run_filled("grpc", {"address": f"127.0.0.1:{healthy}", "service": service})
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert result.evidence == {
        "address": f"127.0.0.1:{healthy}",
        "grpc_status": "OK",
        "serving_status": "SERVING",
    }
    assert {"connect", "wait", "transfer"} <= set(result.phases)


@pytest.mark.parametrize(
    ("service", "expect", "verdict", "code", "says"),
    [
        ("shop.v1.Stock", {}, "down", "expect.serving", "the service shop.v1.Stock says NOT_SERVING, not SERVING"),
        ("shop.v1.New", {}, "down", "expect.serving", "says UNKNOWN"),
        ("shop.v1.Gone", {}, "down", "expect.serving", "says SERVICE_UNKNOWN"),
        ("shop.v1.Stock", {"status": "NOT_SERVING"}, "up", "", ""),
        ("shop.v1.Gone", {"status": "SERVICE_UNKNOWN"}, "up", "", ""),
        ("", {"status": "NOT_SERVING"}, "down", "expect.serving", "the server says SERVING, not NOT_SERVING"),
        ("", {"down_after": "0ms"}, "down", "expect.latency", "more than the 0 ms allowed"),
        ("", {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_what_the_server_says(
    healthy: int, service: str, expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    result = run_filled("grpc", {"address": f"127.0.0.1:{healthy}", "service": service}, expect)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_metadata_and_wrong_credentials() -> None:
    with grpc_server(_Secretive()) as port:
        target = {"address": f"127.0.0.1:{port}", "metadata": {"authorization": "Bearer ${env:TOKEN}"}}
        right = run_filled("grpc", target, secrets={"TOKEN": "sesame-seed"})
        wrong = run_filled("grpc", target, secrets={"TOKEN": "poppy-seed"})
    assert right.verdict == "up", right.message
    assert (wrong.verdict, wrong.code) == ("down", "expect.grpc_status")
    assert wrong.message == (
        "the server rejects the credentials: UNAUTHENTICATED (who are you? 50% of you are strangers)"
    )


def test_a_server_without_the_health_service() -> None:
    with grpc_server() as port:
        result = run_filled("grpc", f"127.0.0.1:{port}")
    assert (result.verdict, result.code) == ("down", "expect.grpc_status")
    assert "does not speak the health protocol: UNIMPLEMENTED" in result.message


def test_tls(tmp_path: Any) -> None:
    certificates = Certificates(tmp_path, ends=10)
    with grpc_server(health.HealthServicer(), certificates) as port:
        target = {"address": f"127.0.0.1:{port}", "tls": True, "server_name": "localhost"}
        good = run_filled("grpc", target | {"ca": certificates.ca})
        soon = run_filled("grpc", target | {"ca": certificates.ca}, {"certificate_days": 20})
        stranger = run_filled("grpc", target)
        careless = run_filled("grpc", target | {"verify": False})
        other = run_filled("grpc", target | {"ca": certificates.ca, "server_name": "other.test"})
        plain = run_filled("grpc", f"127.0.0.1:{port}", limit=2)
    assert good.verdict == "up", good.message
    assert 9 < good.evidence["certificate"]["days_left"] < 11
    assert "tls" in good.phases
    assert (soon.verdict, soon.code) == ("degraded", "expect.certificate_days")
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    assert careless.verdict == "up", careless.message
    assert (other.verdict, other.code) == ("down", "tls.name_mismatch")
    assert plain.verdict == "down"


def test_tls_towards_a_plain_server(healthy: int) -> None:
    result = run_filled("grpc", {"address": f"127.0.0.1:{healthy}", "tls": True}, limit=2)
    assert (result.verdict, result.code) == ("down", "tls.handshake")


def closes_at_once(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    until_closed(connection)


def http_one(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    until_closed(connection)


def garbage(connection: socket.socket) -> None:
    connection.sendall(bytes(range(256)) * 40)
    until_closed(connection)


def settings_then_silence(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    until_closed(connection)


@pytest.mark.parametrize(
    ("serve", "prefix"),
    [
        (until_closed, "wait.timeout"),
        (settings_then_silence, "wait.timeout"),
        (closes_at_once, "wait."),
        (http_one, "wait."),
        (garbage, "wait."),
    ],
)
def test_each_way_to_fail_has_its_code(serve: Any, prefix: str) -> None:
    with tcp_server(serve) as port:
        result = run_filled("grpc", f"127.0.0.1:{port}", limit=0.4)
    assert result.verdict == "down"
    assert result.code.startswith(prefix), (result.code, result.message)


def test_a_web_server_over_tls_is_no_grpc_server(tmp_path: Any) -> None:
    certificates = Certificates(tmp_path)

    def serve(connection: socket.socket) -> None:
        context = certificates.server
        context.set_alpn_protocols(["http/1.1"])
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
            with suppress(OSError):
                until_closed(secured)

    with tcp_server(serve) as port:
        target = {"address": f"127.0.0.1:{port}", "tls": True, "server_name": "localhost", "ca": certificates.ca}
        result = run_filled("grpc", target)
    assert (result.verdict, result.code) == ("down", "wait.malformed"), result.message
    assert result.message == "this is not a gRPC server: it answers HTTP/1.1 200 with text/html"


def test_refused() -> None:
    assert run_filled("grpc", f"127.0.0.1:{free_port()}").code == "connect.refused"


def test_what_cannot_be_meant_is_refused() -> None:
    for target, says in (
        ({"address": "a.test"}, "has no port"),
        ({"address": "a.test:1", "metadata": {"grpc-timeout": "1S"}}, "belongs to the protocol"),
        ({"address": "a.test:1", "metadata": {"authorization": "Bearer x"}}, "holds a credential"),
        ({"address": "a.test:1", "service": "ä"}, "pattern"),
    ):
        with pytest.raises(ValidationError, match=says):
            KIND.target.model_validate(target)
