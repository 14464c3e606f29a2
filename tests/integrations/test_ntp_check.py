"""The check `ntp` against chronyd, and against servers whose clocks or manners are bad."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import run_check
from tests.rigs.datagram_server import udp_server
from tests.rigs.real_servers import free_ports, program, running, short_folder, unprivileged

from mainstay.integrations.checks.ntp.packets import Reply, clock, difference, read, timestamp
from mainstay.integrations.checks.ntp.spec import KIND


@pytest.fixture(scope="module")
def chrony() -> Iterator[int]:
    (port,) = free_ports(1, socket.SOCK_DGRAM)
    user = unprivileged("_chrony")
    with short_folder(user) as folder:
        (folder / "conf").write_text(
            f"port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 7\ncmdport 0\n"
            f"bindcmdaddress /\npidfile {folder}/pid\nuser {user}\n"
        )
        arguments = [program("chronyd"), "-d", "-x", "-U", "-f", str(folder / "conf")]

        def ready() -> bool:
            return run_check("ntp", f"127.0.0.1:{port}", limit=0.3).verdict == "up"

        with running(arguments, ready, folder / "log", user=user):
            yield port


def test_a_real_server(chrony: int) -> None:
    result = run_check("ntp", f"127.0.0.1:{chrony}")
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert result.evidence["stratum"] == 7
    assert abs(result.evidence["offset"]) < 1  # it takes its time from this machine
    assert 0 <= result.evidence["round_trip"] < 5
    assert set(result.phases) == {"lookup", "wait"}


@pytest.mark.parametrize(
    ("expect", "verdict", "code", "says"),
    [
        ({"stratum": 3}, "down", "expect.stratum", "7 steps from a reference clock, more than 3"),
        ({"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_what_is_not_as_expected(chrony: int, expect: dict[str, Any], verdict: str, code: str, says: str) -> None:
    result = run_check("ntp", f"127.0.0.1:{chrony}", expect)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def answer(
    *, ahead: float = 0.0, first: int = 0x24, stratum: int = 2, reference: bytes = b"\x0a\0\0\1", cookie: bool = True
) -> Callable[[bytes, int], list[bytes]]:
    def serve(data: bytes, _count: int) -> list[bytes]:
        now = timestamp(int((time.time() + ahead) * 1e9))
        echoed = struct.unpack("!Q", data[40:48])[0] if cookie else 1
        return [struct.pack("!BBbbII4sQQQQ", first, stratum, 6, -20, 65536, 32768, reference, now, echoed, now, now)]

    return serve


@pytest.mark.parametrize(
    ("serve", "expect", "verdict", "code", "says"),
    [
        (answer(), {}, "up", "", ""),
        (answer(ahead=60), {}, "down", "expect.offset", "its clock is 60 s ahead of this machine's, more than 1 s"),
        (answer(ahead=-60), {}, "down", "expect.offset", "its clock is 60 s behind this machine's"),
        (answer(ahead=60), {"offset": "2m", "degraded_offset": "30s"}, "degraded", "expect.offset", "more than 30 s"),
        (answer(ahead=60), {"offset": "2m"}, "up", "", ""),
        (answer(ahead=3600 * 24 * 365 * 12), {}, "down", "expect.offset", "ahead of this machine's"),
        (answer(stratum=0, reference=b"RATE"), {}, "down", "expect.kiss", "we query too often (RATE)"),
        (answer(stratum=0, reference=b"DENY"), {}, "down", "expect.kiss", "refuses this client (DENY)"),
        (answer(stratum=0, reference=b"\0\xff\n\0"), {}, "down", "expect.kiss", "not give the time (no code)"),
        (answer(first=0xE4), {}, "down", "expect.synchronized", "its own clock is not set"),
        (answer(stratum=16), {}, "down", "expect.synchronized", "its own clock is not set"),
        (answer(cookie=False), {}, "down", "wait.malformed", "another query"),
        (answer(first=0x23), {}, "down", "wait.malformed", "48 bytes that arrived are not"),
        (lambda _data, _count: [b"hello"], {}, "down", "wait.malformed", "5 bytes that arrived are not"),
        (lambda _data, _count: [], {}, "down", "wait.timeout", "no answer within 300 ms"),
    ],
)
def test_each_answer_has_its_meaning(serve: Any, expect: dict[str, Any], verdict: str, code: str, says: str) -> None:
    with udp_server(serve) as port:
        result = run_check("ntp", f"127.0.0.1:{port}", expect, limit=0.3)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_a_port_where_nothing_listens_is_refused() -> None:
    (port,) = free_ports(1, socket.SOCK_DGRAM)
    assert run_check("ntp", f"127.0.0.1:{port}").code == "connect.refused"


def test_arithmetic_survives_the_year_2036() -> None:
    before, after = timestamp(2_085_978_495 * 10**9), timestamp(2_085_978_497 * 10**9)
    assert before > after  # the seconds have started anew
    assert difference(after, before) == 2.0
    assert difference(before, after) == -2.0
    reply = read(struct.pack("!BBbbII4sQQQQ", 0x24, 1, 0, 0, 0, 0, b"GPS\0", 0, 7, after, after))
    assert isinstance(reply, Reply)
    assert clock(before, reply, before) == (2.0, 0.0)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValidationError, match="above offset"):
        KIND.expect.model_validate({"offset": "1s", "degraded_offset": "2s"})
