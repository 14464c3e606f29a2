"""The check `mysql` against a real MariaDB, against a stand-in for MySQL 8's logins, and servers that misbehave."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
import pytest
from pymysql import _auth
from tests.rigs import misbehaving
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates, answers, free_ports, program, running, short_folder, unprivileged

from mainstay.integrations.checks.mysql.packets import proof_of
from mainstay.integrations.checks.mysql.spec import KIND

SECRETS = {"PASSWORD": "s3cret ü with spaces", "OTHER": "a wrong guess"}


@dataclass
class MariaDb:
    port: int
    certificates: Certificates
    connect: Callable[[], pymysql.Connection[Any]]

    def target(self, **more: Any) -> dict[str, Any]:
        return {
            "address": f"127.0.0.1:{self.port}",
            "username": "monitor",
            "password": "${env:PASSWORD}",
            "database": "shop",
            **more,
        }

    def tls_target(self, **more: Any) -> dict[str, Any]:
        return self.target(tls=True, server_name="localhost", ca=self.certificates.ca) | more


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    (port,) = free_ports(1)
    user = unprivileged("mysql")
    with short_folder(user) as folder:
        for source in (certificates.certificate, certificates.key):
            shutil.copy(source, folder / source.name)
        options = [f"--datadir={folder}/data", f"--user={user}", "--innodb-log-file-size=4M"]
        subprocess.run(
            [program("mariadb-install-db"), "--no-defaults", "--skip-test-db", *options,
             "--auth-root-authentication-method=normal"],
            check=True, capture_output=True,
        )  # fmt: skip
        arguments = [
            program("mariadbd"), "--no-defaults", *options, f"--port={port}", "--bind-address=127.0.0.1",
            f"--socket={folder}/socket", f"--pid-file={folder}/pid", f"--ssl-cert={folder}/server.pem",
            f"--ssl-key={folder}/server.key", "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0",
            "--skip-log-bin", "--max-allowed-packet=16M",
        ]  # fmt: skip

        def connect() -> pymysql.Connection[Any]:
            return pymysql.connect(unix_socket=f"{folder}/socket", user="root", autocommit=True)

        def ready() -> bool:
            if not answers(port):
                return False
            connect().close()
            return True

        with running(arguments, ready, folder / "log", user=user):
            with connect() as connection, connection.cursor() as cursor:
                password = SECRETS["PASSWORD"]
                cursor.execute("CREATE DATABASE shop")
                cursor.execute("CREATE USER monitor@localhost IDENTIFIED BY %s", (password,))
                cursor.execute("CREATE USER tlsonly@localhost IDENTIFIED BY %s REQUIRE SSL", (password,))
                cursor.execute("CREATE USER open@localhost")
                for name in ("monitor", "tlsonly", "open"):
                    cursor.execute(f"GRANT ALL ON shop.* TO {name}@localhost")
                cursor.execute("CREATE TABLE shop.jobs (id int, state text)")
                cursor.execute("INSERT INTO shop.jobs SELECT seq, 'done' FROM mysql.seq_1_to_42")
            yield MariaDb(port, certificates, connect)


@pytest.mark.parametrize("tls", [True, False])
def test_signing_in(server: MariaDb, tls: bool) -> None:
    target = server.tls_target() if tls else server.target()
    result = run_filled("mysql", target, secrets=SECRETS)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert (result.evidence["rows"], result.evidence["value"]) == (1, "1")
    assert "MariaDB" in result.evidence["server"]
    assert not result.evidence["server"].startswith("5.5.5-")
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"} | ({"tls"} if tls else set())
    wrong = run_filled("mysql", target | {"password": "${env:OTHER}"}, secrets=SECRETS)
    assert (wrong.verdict, wrong.code) == ("down", "expect.login")
    assert "(1045)" in wrong.message


@pytest.mark.parametrize(
    ("target", "expect"),
    [
        ({"query": "SELECT count(*) FROM jobs WHERE state = 'done'"}, {"value": 42}),
        ({"query": "SELECT count(*) FROM jobs"}, {"value": ">= 42", "rows": 1}),
        ({"query": "SELECT state FROM jobs"}, {"value": "=~ ^d", "rows": "> 41"}),
        ({"query": "SELECT id FROM jobs WHERE state = 'stuck'"}, {"rows": 0}),
        ({"query": "SELECT NULL"}, {"value": "!= x"}),
        ({"query": "SELECT 1; SELECT 2"}, {"value": 2}),
        ({"query": "SELECT repeat('x', 70000)"}, {"value": "=~ ^x+$"}),
        ({"query": "DO 1"}, {"rows": 0}),
        ({"username": "open", "password": None, "database": None}, {}),
    ],
)
def test_what_a_query_gives(server: MariaDb, target: dict[str, Any], expect: dict[str, Any]) -> None:
    result = run_filled("mysql", server.target(**target), expect, secrets=SECRETS)
    assert (result.verdict, result.message) == ("up", "")


@pytest.mark.parametrize(
    ("target", "expect", "verdict", "code", "says"),
    [
        ({"query": "SELECT 41"}, {"value": 42}, "down", "expect.value", "the value is `41`, expected == 42"),
        ({"query": "SELECT 1"}, {"rows": 0}, "down", "expect.rows", "the query returned 1 row"),
        ({"query": "SELECT * FROM nowhere"}, {}, "down", "expect.query", "doesn't exist (1146)"),
        ({"query": "DELETE FROM jobs"}, {}, "down", "expect.query", "READ ONLY transaction (1792)"),
        ({"query": "DROP TABLE jobs"}, {}, "down", "expect.query", "READ ONLY transaction (1792)"),
        ({"query": "SELECT repeat('x', 3000000)"}, {}, "down", "transfer.too_large", "more than 1048576"),
        ({"query": "TRUNCATE jobs"}, {}, "down", "expect.query", "READ ONLY transaction (1792)"),
        ({"query": "INSERT INTO jobs VALUES (1, '')"}, {}, "down", "expect.query", "READ ONLY transaction (1792)"),
        ({"query": "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE jobs"}, {}, "down", "expect.query", ""),
        ({"database": "nowhere"}, {}, "down", "expect.database", "(1044)"),
        ({"username": "tlsonly"}, {}, "down", "expect.login", "(1045)"),
        ({}, {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_what_is_not_as_expected(
    server: MariaDb, target: dict[str, Any], expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    result = run_filled("mysql", server.target(**target), expect, secrets=SECRETS)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_a_query_that_takes_too_long_ends_here_and_on_the_server(server: MariaDb) -> None:
    result = run_filled("mysql", server.target(query="SELECT sleep(20)"), secrets=SECRETS, limit=0.5)
    assert (result.verdict, result.code) == ("down", "transfer.timeout"), result.message
    with server.connect() as connection, connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sleep%'")
            if cursor.fetchone() == (0,):
                break


def test_certificates(server: MariaDb) -> None:
    assert run_filled("mysql", server.tls_target(username="tlsonly"), secrets=SECRETS).verdict == "up"
    stranger = run_filled("mysql", server.tls_target(ca=None), secrets=SECRETS)
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    other = run_filled("mysql", server.tls_target(server_name="db.other.test"), secrets=SECRETS)
    assert (other.verdict, other.code) == ("down", "tls.name_mismatch")
    soon = run_filled("mysql", server.tls_target(), {"certificate_days": 100}, secrets=SECRETS)
    assert (soon.verdict, soon.code) == ("degraded", "expect.days")


def test_proofs_are_those_of_the_published_client() -> None:
    salt = bytes(range(1, 21))
    for password in ("x", "a longer one"):
        secret = password.encode()
        assert proof_of("mysql_native_password", password, salt) == _auth.scramble_native_password(secret, salt)
        assert proof_of("caching_sha2_password", password, salt) == _auth.scramble_caching_sha2(secret, salt)
    assert proof_of("caching_sha2_password", "", salt) == b""


SALT = b"abcdefghijklmnopqrst"


def packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes((number,)) + body


def greeting(plugin: bytes = b"caching_sha2_password") -> bytes:
    """HandshakeV10 of MySQL 8, with TLS."""
    return packet(
        0,
        b"\x0a8.0.40\0\x07\0\0\0" + SALT[:8] + b"\0\xff\xff\xff\x02\0\xff\xcf\x15" + bytes(10) + SALT[8:] + b"\0"
        + plugin + b"\0",
    )  # fmt: skip


OK = b"\0\0\0\2\0\0\0"


def mysql_8(connection: socket.socket, certificates: Certificates, *, cached: bool) -> None:
    """A login by caching_sha2_password as MySQL 8 carries it out, and answers to three statements."""
    connection.sendall(greeting())
    request = connection.recv(36)
    with certificates.server.wrap_socket(connection, server_side=True) as secured:
        assert int.from_bytes(request[4:8], "little") & 0x800
        said = secured.recv(4096)
        password = SECRETS["PASSWORD"].encode()
        number = said[3] + 1
        right = said[36 + len("monitor") + 2 :].startswith(_auth.scramble_caching_sha2(password, SALT))
        if cached and right:
            secured.sendall(packet(number, b"\x01\x03") + packet(number + 1, OK))
        else:
            secured.sendall(packet(number, b"\x01\x04"))
            if secured.recv(4096)[4:] != password + b"\0":
                secured.sendall(packet(number + 2, b"\xff\x15\x04#28000Access denied"))
                return
            secured.sendall(packet(number + 2, OK))
        assert b"max_execution_time" in secured.recv(4096)
        secured.sendall(packet(1, b"\xff\xa9\x04#HY000Unknown system variable"))  # as before MySQL 5.7.8
        assert b"SESSION TRANSACTION READ ONLY" in secured.recv(4096)
        secured.sendall(packet(1, OK))
        secured.recv(4096)
        column = b"\x03def\0\0\0\x011\0\x0c\x3f\0\1\0\0\0\x08\x81\0\0\0\0"
        end = b"\xfe\0\0\2\0"
        secured.sendall(packet(1, b"\1") + packet(2, column) + packet(3, end) + packet(4, b"\x011") + packet(5, end))
        secured.recv(4096)


@pytest.mark.parametrize("cached", [True, False])
def test_the_login_of_mysql_8(server: MariaDb, cached: bool) -> None:
    def serve(connection: socket.socket) -> None:
        mysql_8(connection, server.certificates, cached=cached)

    with tcp_server(serve) as port:
        target = server.tls_target(address=f"127.0.0.1:{port}", database=None)
        result = run_filled("mysql", target, {"value": 1}, secrets=SECRETS)
        wrong = run_filled("mysql", target | {"password": "${env:OTHER}"}, secrets=SECRETS)
    assert (result.verdict, result.message) == ("up", "")
    assert (wrong.verdict, wrong.code) == ("down", "expect.login")


def starts(*pieces: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.sendall(pieces[0])
        for piece in pieces[1:]:
            connection.recv(4096)
            connection.sendall(piece)
        until_closed(connection)

    return serve


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (until_closed, "wait.timeout", "the greeting did not arrive within 300 ms"),
        (misbehaving.closes_at_once, "wait.closed", "without sending anything"),
        (misbehaving.garbage, "wait.malformed", "not a MySQL server"),
        (misbehaving.endless, "", ""),
        (misbehaving.zeros, "wait.malformed", "not a MySQL server"),
        (misbehaving.web_server, "wait.malformed", "not a MySQL server"),
        (starts(b"\x40\0\0\0\x0a8.0"), "wait.timeout", "the greeting"),
        (starts(packet(0, b"\xff\x10\x04Too many connections")), "wait.refused", "Too many connections (1040)"),
        (starts(packet(0, b"\xff\x6a\x04Host is not allowed")), "expect.login", "not allowed (1130)"),
        (starts(greeting()), "wait.timeout", "the answer to the login"),
        (starts(greeting(), packet(2, b"\x01\x04")), "expect.login", "plain-text password"),
        (starts(greeting(), packet(2, b"\xfemysql_clear_password\0")), "expect.login", "plain-text password"),
        (starts(greeting(), packet(2, b"\xfe")), "expect.login", "an old method"),
        (starts(greeting(), packet(2, b"\xfeclient_ed25519\0" + bytes(32))), "expect.login", "by client_ed25519"),
        (starts(greeting(), packet(2, b"\x09")), "wait.malformed", "not part of a login"),
        (starts(greeting(), packet(9, OK)), "wait.malformed", "out of sequence"),
        (starts(greeting(), packet(2, OK), b"\xff\xff\xff\x01"), "transfer.too_large", "at once"),
        (starts(greeting(), packet(2, OK), packet(1, b"\xfd\1")), "transfer.malformed", "cannot be read"),
    ],
)
def test_servers_that_misbehave(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        target = {"address": f"127.0.0.1:{port}", "password": "${env:PASSWORD}"}
        result = run_filled("mysql", target, secrets=SECRETS, limit=0.3)
    assert result.verdict == "down"
    assert result.code == code or not code, result.message
    assert says in result.message


def test_a_server_without_tls() -> None:
    plain = bytearray(greeting())
    plain[4 + 1 + 7 + 4 + 8 + 1 + 1] &= ~0x08  # the capability SSL
    with tcp_server(starts(bytes(plain))) as port:
        result = run_filled("mysql", {"address": f"127.0.0.1:{port}", "tls": True}, limit=0.5)
    assert (result.verdict, result.code) == ("down", "expect.tls")


def test_refused_and_defaults() -> None:
    assert run_filled("mysql", f"127.0.0.1:{free_port()}").code == "connect.refused"
    assert KIND.address(KIND.target.model_validate({"address": "db.test"})) == "db.test:3306"
