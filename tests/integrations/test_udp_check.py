"""The check `udp` against real sockets on loopback."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, run_check
from tests.rigs.datagram_server import Answer, udp_server
from tests.rigs.order_rig import run_filled

from mainstay.integrations.checks.udp.spec import KIND


def echo(data: bytes, _count: int) -> list[bytes]:
    return [data.upper()]


def silent(_data: bytes, _count: int) -> list[bytes]:
    return []


def loses_the_first(data: bytes, count: int) -> list[bytes]:
    return [data.upper()] if count else []


def flood(_data: bytes, _count: int) -> list[bytes]:
    return [b"noise"] * 400


def garbage(_data: bytes, _count: int) -> list[bytes]:
    return [bytes(range(256))]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_is_up(host: str) -> None:
    with udp_server(echo, host) as port:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        result = run_check("udp", {"address": address, "send": "ping"}, {"contains": "PING", "regex": "^P"})
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert result.evidence == {"address": address, "packets": 1, "received": 4, "excerpt": "PING"}
    assert set(result.phases) == {"lookup", "wait"}


def test_a_lost_packet_is_sent_again() -> None:
    with udp_server(loses_the_first) as port:
        result = run_check("udp", {"address": f"127.0.0.1:{port}", "send": "ping"}, limit=1)
    assert (result.verdict, result.evidence["packets"]) == ("up", 2), result.message


def test_bytes_may_be_given_as_hexadecimal() -> None:
    with udp_server(lambda data, _count: [data[::-1]]) as port:
        target = {"address": f"127.0.0.1:{port}", "send_hex": "ff fe 00"}
        assert run_check("udp", target, {"contains_hex": "00fe"}).verdict == "up"
        wrong = run_check("udp", target, {"contains_hex": "aa"}, limit=0.3)
    assert (wrong.code, wrong.message) == ("expect.contains", "`aa` is not in the 3 bytes received")


@pytest.mark.parametrize(
    ("answer", "expect", "verdict", "code", "says"),
    [
        (silent, {}, "down", "wait.timeout", "no answer within 300 ms"),
        (echo, {"contains": "PONG"}, "down", "expect.contains", "`PONG` is not in the 4 bytes"),
        (echo, {"regex": "^PONG"}, "down", "expect.regex", "`^PONG` does not match"),
        (garbage, {"contains": "PONG"}, "down", "expect.contains", "is not in the 256 bytes"),
        (flood, {"contains": "PONG"}, "down", "", ""),
        (echo, {"down_after": "0ms"}, "down", "expect.latency", "more than the 0 ms allowed"),
        (echo, {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_each_way_to_fail_has_its_code(
    answer: Answer, expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    with udp_server(answer) as port:
        result = run_check("udp", {"address": f"127.0.0.1:{port}", "send": "ping"}, expect, limit=0.3)
    assert result.verdict == verdict, result.message
    assert result.code == code or not code
    assert says in result.message


def test_a_port_where_nothing_listens_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for expect in ({}, {"answer": False}):
        result = run_check("udp", f"127.0.0.1:{port}", expect, limit=1)
        assert (result.verdict, result.code) == ("down", "connect.refused")


def test_a_service_that_never_answers_may_be_silent() -> None:
    with udp_server(silent) as port:
        result = run_check("udp", {"address": f"127.0.0.1:{port}", "send": "<14>hello"}, {"answer": False}, limit=0.4)
    assert (result.verdict, result.evidence["answered"]) == ("up", False)
    assert set(result.phases) == {"lookup"}


def test_the_second_address_is_tried() -> None:
    with udp_server(echo) as port:
        context = context_with({"twice.test": ["::1", "127.0.0.1"]})
        result = run_check("udp", {"address": f"twice.test:{port}", "send": "x"}, context=context)
    assert (result.verdict, result.evidence["address"]) == ("up", f"127.0.0.1:{port}")


def test_a_secret_that_comes_back_is_masked() -> None:
    with udp_server(echo) as port:
        target = {"address": f"127.0.0.1:{port}", "send": "status ${env:GAME_PASSWORD}"}
        result = run_filled("udp", target, secrets={"GAME_PASSWORD": "HUNTER2X"})
    assert result.verdict == "up"
    assert result.evidence["excerpt"] == "STATUS ***"


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValidationError, match="not hexadecimal"):
        KIND.target.model_validate({"address": "a.test:1", "send_hex": "xy"})
    with pytest.raises(ValidationError, match="either send or send_hex"):
        KIND.target.model_validate({"address": "a.test:1", "send": "a", "send_hex": "aa"})
    with pytest.raises(ValidationError, match="a service that answers"):
        KIND.expect.model_validate({"answer": False, "contains": "a"})
    with pytest.raises(ValidationError, match="above down_after"):
        KIND.expect.model_validate({"degraded_after": "2s", "down_after": "1s"})
