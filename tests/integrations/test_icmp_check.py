"""The check `icmp`: its packets, real replies on loopback, and what it says where it may not send."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, order_for, run_check

from mainstay.integrations.checks.icmp.packets import echo_request, internet_checksum, parse_reply
from mainstay.integrations.checks.icmp.run import judge, prepare
from mainstay.integrations.checks.icmp.spec import KIND
from mainstay.integrations.checks.progress import Steps
from mainstay.kernel.probing import CheckFault

TOKEN = b"12345678"


def may_send() -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except PermissionError:
            continue
        return True
    return False


real = pytest.mark.skipif(not may_send(), reason="this system lets nobody but root send ICMP")


def reply_to(request: bytes, version: int = 4) -> bytes:
    return bytes([0 if version == 4 else 129]) + request[1:]


@real
@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1")])
def test_loopback_answers(host: str, address: str) -> None:
    result = run_check("icmp", {"host": host, "count": 2})
    assert (result.verdict, result.code) == ("up", ""), result.message
    assert result.evidence["address"] == address
    assert (result.evidence["sent"], result.evidence["received"], result.evidence["loss_percent"]) == (2, 2, 0)
    assert result.evidence["hop_limit"] == 64
    trip = result.evidence["round_trip"]
    assert 0 < trip["min"] <= trip["mean"] <= trip["max"]
    assert result.phases["wait"] == trip["mean"]
    assert result.duration == pytest.approx(sum(result.phases.values()))


@real
def test_a_name_and_large_packets() -> None:
    context = context_with({"router.test": ["127.0.0.1"]})
    result = run_check("icmp", {"host": "router.test", "size": 8192, "count": 1}, context=context)
    assert result.verdict == "up", result.message
    assert "lookup" in result.phases


@real
def test_slow_replies_are_judged_by_the_mean_round_trip() -> None:
    result = run_check("icmp", {"host": "127.0.0.1", "count": 1}, {"degraded_after": "0ms"})
    assert (result.verdict, result.code) == ("degraded", "expect.latency")
    assert "mean round trip" in result.message


def test_closed_addresses_and_missing_names() -> None:
    closed = run_check("icmp", "127.0.0.1", context=context_with(allow=""))
    assert (closed.verdict, closed.code) == ("unknown", "check.address_refused")
    missing = run_check("icmp", "nowhere.test", context=context_with({}))
    assert (missing.verdict, missing.code) == ("down", "lookup.not_found")


def test_where_it_may_not_send_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = socket.socket

    class Forbidden(plain):  # type: ignore[misc, valid-type]
        def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002
            if proto in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
                raise PermissionError(1, "Operation not permitted")
            super().__init__(family, type, proto, fileno)

    monkeypatch.setattr(socket, "socket", Forbidden)
    for host in ("127.0.0.1", "::1"):
        result = run_check("icmp", host)
        assert (result.verdict, result.code) == ("unknown", "check.not_permitted")
        assert "net.ipv4.ping_group_range" in result.message
        assert "CAP_NET_RAW" in result.message


_AS_NOBODY = """
import sys
sys.path.insert(0, {tests!r})
from tests.rigs.check_servers import run_check
for host in ("127.0.0.1", "::1"):
    result = run_check("icmp", {{"host": host, "count": 1}})
    print(result.verdict, result.code or "-", result.evidence.get("hop_limit"))
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"),
    reason="only root can make a network name space with a ping_group_range of its own",
)
@pytest.mark.parametrize(
    ("group_range", "line"), [("0 2147483647", "up - 64"), ("1 0", "unknown check.not_permitted None")]
)
def test_without_root(group_range: str, line: str) -> None:
    """In a network name space of its own, as the user nobody, with the system's switch open and closed."""
    code = _AS_NOBODY.format(tests=str(Path(__file__).parents[2]))
    script = (
        f'ip link set lo up; echo "{group_range}" > /proc/sys/net/ipv4/ping_group_range; '
        'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
    )
    made = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this machine refuses network name spaces")
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, "sh", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Permission denied" in done.stderr and "python" in done.stderr:
        pytest.skip("the user nobody cannot read this folder")
    assert done.stdout.splitlines() == [line, line], done.stderr


@pytest.mark.parametrize(
    ("trips", "verdict", "code"),
    [
        ({}, "down", "wait.timeout"),
        ({0: 0.01}, "down", "expect.loss"),
        ({0: 0.01, 1: 0.03}, "up", ""),
        ({0: 0.01, 1: 0.03, 2: 0.02, 3: 0.02}, "up", ""),
        ({0: 0.2, 1: 0.4, 2: 0.3, 3: 0.3}, "degraded", "expect.latency"),
        ({0: 2.0, 1: 2.0, 2: 2.0, 3: 2.0}, "down", "expect.latency"),
    ],
)
def test_judgement(trips: dict[int, float], verdict: str, code: str) -> None:
    plan = prepare(
        order_for("icmp", {"host": "192.0.2.1", "count": 4}, {"degraded_after": "100ms", "down_after": "1s"})
    )
    found: Any = ("up", "")
    try:
        judge(plan, Steps(5), trips, 60)
    except CheckFault as fault:
        found = (fault.verdict, fault.code)
    assert found == (verdict, code)


@pytest.mark.parametrize("version", [4, 6])
def test_only_our_replies_count(version: int) -> None:
    request = echo_request(version, 77, 3, TOKEN, 56)
    reply = reply_to(request, version)
    parsed = parse_reply(version, reply, TOKEN)
    assert parsed is not None
    assert parsed.sequence == 3
    assert parse_reply(version, request, TOKEN) is None
    assert parse_reply(version, reply, b"87654321") is None
    assert parse_reply(version, reply[:12], TOKEN) is None


def test_a_raw_packet_comes_with_its_header() -> None:
    header = bytes([0x46]) + bytes(7) + bytes([57]) + bytes(15)  # 24 bytes: one option word
    parsed = parse_reply(4, header + reply_to(echo_request(4, 1, 9, TOKEN, 56)), TOKEN)
    assert parsed is not None
    assert (parsed.sequence, parsed.hop_limit) == (9, 57)


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF
    assert internet_checksum(echo_request(4, 5, 6, TOKEN, 57)) == 0


@given(st.binary(max_size=200))
def test_no_packet_breaks_the_parser(packet: bytes) -> None:
    for version in (4, 6):
        assert parse_reply(version, packet, TOKEN) is None or TOKEN in packet


@pytest.mark.parametrize("host", ["", "a b", "http://x", "host:80", "1.2.3.4/8"])
def test_wrong_hosts_are_refused(host: str) -> None:
    with pytest.raises(ValidationError):
        KIND.target.model_validate({"host": host})
