"""The check `redis` against a real Redis, and against servers that misbehave."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from pydantic import ValidationError
from tests.rigs import misbehaving
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates, answers, free_ports, program, running, short_folder, unprivileged

from mainstay.integrations.checks.redis.spec import KIND

SECRETS = {"PASSWORD": "correct-horse", "ONCALL": "battery staple", "OTHER": "guessed wrongly"}


@dataclass
class Redis:
    port: int
    tls: int
    certificates: Certificates

    def target(self, **more: Any) -> dict[str, Any]:
        return {"address": f"127.0.0.1:{self.port}", "password": "${env:PASSWORD}", **more}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    port, tls = free_ports(2)
    user = unprivileged("redis")
    with short_folder(user) as folder:
        for source in (certificates.certificate, certificates.key, certificates.ca_file):
            shutil.copy(source, folder / source.name)
        (folder / "redis.conf").write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nsave ''\nrequirepass {SECRETS['PASSWORD']}\n"
            f"tls-port {tls}\ntls-cert-file {folder}/server.pem\ntls-key-file {folder}/server.key\n"
            f"tls-ca-cert-file {folder}/ca.pem\ntls-auth-clients no\n"
            f'user oncall on ">{SECRETS["ONCALL"]}" ~jobs:* +@read +ping\n'
        )
        arguments = [program("redis-server"), str(folder / "redis.conf")]
        with running(arguments, lambda: answers(port) and answers(tls), folder / "log", user=user):
            with redis.Redis(port=port, password=SECRETS["PASSWORD"]) as client:
                client.set("jobs:state", "running")
                client.set("jobs:note", "two words")
                client.rpush("jobs:waiting", "a", "b", "c")
                client.set("large", "x" * 2_000_000)
            yield Redis(port, tls, certificates)


@pytest.mark.parametrize(
    ("target", "expect", "value"),
    [
        ({}, {}, "PONG"),
        ({"command": "GET jobs:state"}, {"value": "running"}, "running"),
        ({"command": "LLEN jobs:waiting"}, {"value": "< 5"}, "3"),
        ({"command": "LRANGE jobs:waiting 0 -1"}, {"value": "a"}, "a"),
        ({"command": "ECHO 'hello there'"}, {"value": "=~ ^hello there$"}, "hello there"),
        ({"command": "EXISTS jobs:none"}, {"value": 0}, "0"),
        ({"command": "GET none"}, {}, "null"),
        ({"command": "EVAL 'return {{1, {2}}, 3}' 0"}, {"value": 1}, "1"),
        ({"username": "oncall", "password": "${env:ONCALL}", "command": "get jobs:note"}, {"value": "two words"}, None),
        ({"database": 3, "command": "EXISTS jobs:state"}, {"value": 0}, "0"),
    ],
)
def test_what_a_command_gives(server: Redis, target: dict[str, Any], expect: dict[str, Any], value: str | None) -> None:
    result = run_filled("redis", server.target(**target), expect, secrets=SECRETS)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert value is None or result.evidence["value"] == value
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"}


@pytest.mark.parametrize(
    ("target", "expect", "verdict", "code", "says"),
    [
        ({"password": None}, {}, "down", "expect.login", "NOAUTH"),
        ({"password": "${env:OTHER}"}, {}, "down", "expect.login", "refuses AUTH: WRONGPASS"),
        ({"username": "sender"}, {}, "down", "expect.login", "WRONGPASS"),
        (
            {"username": "oncall", "password": "${env:ONCALL}", "command": "GET other"},
            {},
            "down",
            "expect.login",
            "NOPERM",
        ),
        ({"database": 99}, {}, "down", "expect.database", "refuses SELECT: ERR"),
        ({"command": "NONSENSE"}, {}, "down", "expect.command", "refuses NONSENSE: ERR unknown command"),
        ({"command": "GET none"}, {"value": "x"}, "down", "expect.value", "the value is `null`"),
        ({"command": "GET jobs:state"}, {"value": "idle"}, "down", "expect.value", "the value is `running`"),
        ({"command": "GET large"}, {}, "down", "transfer.too_large", "2000000 bytes"),
        ({"command": "BLPOP nothing 9"}, {}, "down", "transfer.timeout", "the answer to BLPOP did not arrive"),
        ({}, {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_what_is_not_as_expected(
    server: Redis, target: dict[str, Any], expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    result = run_filled("redis", server.target(**target), expect, secrets=SECRETS, limit=0.6)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_tls(server: Redis) -> None:
    target = server.target(address=f"127.0.0.1:{server.tls}", tls=True, server_name="localhost")
    trusted = target | {"ca": server.certificates.ca}
    good = run_filled("redis", trusted, secrets=SECRETS)
    assert good.verdict == "up", good.message
    assert set(good.phases) == {"lookup", "connect", "tls", "wait", "transfer"}
    stranger = run_filled("redis", target, secrets=SECRETS)
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    soon = run_filled("redis", trusted, {"certificate_days": 100}, secrets=SECRETS)
    assert (soon.verdict, soon.code) == ("degraded", "expect.days")
    plain = run_filled("redis", server.target(tls=True), secrets=SECRETS, limit=1)
    assert (plain.verdict, plain.code) == ("down", "tls.timeout")  # it waits for the end of a line


def echo_of_secrets(connection: socket.socket) -> None:
    connection.sendall(b"-ERR bad " + connection.recv(4096).replace(b"\r\n", b" ") + b"\r\n")
    until_closed(connection)


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (until_closed, "wait.timeout", "the answer to AUTH did not arrive within 300 ms"),
        (misbehaving.closes_at_once, "wait.closed", "without sending anything"),
        (misbehaving.then_closes(b"+O"), "wait.closed", "in the middle of its answer"),
        (misbehaving.garbage, "wait.malformed", "not a Redis server"),
        (misbehaving.endless, "wait.malformed", "a line of more than 8192 bytes"),
        (misbehaving.web_server, "wait.malformed", "HTTP/1.1 400"),
        (misbehaving.says(b"-LOADING Redis is loading\r\n"), "wait.refused", "LOADING"),
        (misbehaving.says(b"*1\r\n" * 40), "transfer.too_large", "lists in lists"),
        (misbehaving.says(b"$99999999999\r\n"), "transfer.too_large", "99999999999 bytes"),
        (misbehaving.says(b"*9999999\r\n"), "transfer.too_large", "9999999 elements"),
        (misbehaving.says(b"$5x\r\n"), "wait.malformed", "$5x"),
        (misbehaving.says(b"+OK\r\n", b"$5\r\nab"), "transfer.timeout", "the answer to PING"),
        (echo_of_secrets, "expect.login", "***"),
    ],
)
def test_servers_that_misbehave(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        target = {"address": f"127.0.0.1:{port}", "password": "${env:PASSWORD}"}
        result = run_filled("redis", target, secrets=SECRETS, limit=0.3)
    assert (result.verdict, result.code) == ("down", code), result.message
    assert says in result.message


def test_refused_and_mistakes() -> None:
    assert run_filled("redis", f"127.0.0.1:{free_port()}").code == "connect.refused"
    assert KIND.address(KIND.target.model_validate({"address": "cache.test"})) == "cache.test:6379"
    with pytest.raises(ValidationError, match="not closed"):
        KIND.target.model_validate({"address": "cache.test", "command": "GET 'a"})
