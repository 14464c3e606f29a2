"""The checks `smtp`, `imap` and `pop3` against Dovecot, aiosmtpd, and servers that misbehave."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from pydantic import ValidationError
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates, answers, free_ports, program, running, short_folder, unprivileged

from mainstay.integrations.checks.imap.spec import KIND as IMAP
from mainstay.integrations.checks.smtp.spec import KIND as SMTP_KIND

SECRETS = {"PASSWORD": 'correct horse "battery" \\ staple', "OTHER": "guessed wrongly"}
LOGIN = {"username": "oncall", "password": "${env:PASSWORD}"}
WRONG = {"username": "oncall", "password": "${env:OTHER}"}


@dataclass
class Mail:
    certificates: Certificates
    imap: int
    imaps: int
    pop3: int
    pop3s: int

    def target(self, port: int, **more: Any) -> dict[str, Any]:
        return {"address": f"127.0.0.1:{port}", "server_name": "localhost", "ca": self.certificates.ca, **more}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def mail(certificates: Certificates) -> Iterator[Mail]:
    imap, imaps, pop3, pop3s = free_ports(4)
    inside, outside = unprivileged("dovecot"), unprivileged("dovenull")
    with short_folder() as folder:
        (folder / "users").write_text("oncall:{PLAIN}" + SECRETS["PASSWORD"] + "\n")
        (folder / "conf").write_text(
            f"""
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = mainstay-test
log_path = {folder}/dovecot.log
default_internal_user = {inside}
default_login_user = {outside}
listen = 127.0.0.1
protocols = imap pop3
ssl = yes
ssl_cert = <{certificates.certificate}
ssl_key = <{certificates.key}
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={inside} gid={inside} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
        )
        (folder / "mail").mkdir()
        (folder / "mail").chmod(0o777)
        arguments = [program("dovecot"), "-F", "-c", str(folder / "conf")]
        with running(arguments, lambda: answers(imap) and answers(pop3s), folder / "log"):
            yield Mail(certificates, imap, imaps, pop3, pop3s)


def _authenticate(_server: SMTP, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data.password == SECRETS["PASSWORD"].encode(), handled=False)


class _Handler:
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return "250 taken"


@pytest.fixture
def smtp(certificates: Certificates) -> Iterator[Callable[..., int]]:
    started: list[Controller] = []

    def start(**options: Any) -> int:
        (port,) = free_ports(1)
        controller = Controller(_Handler(), hostname="127.0.0.1", port=port, authenticator=_authenticate, **options)
        controller.start()
        started.append(controller)
        return port

    yield start
    for controller in started:
        controller.stop()


def test_smtp_with_starttls_and_login(smtp: Callable[..., int], certificates: Certificates) -> None:
    port = smtp(tls_context=certificates.server)
    target = {"address": f"127.0.0.1:{port}", "server_name": "localhost", "ca": certificates.ca}
    result = run_filled("smtp", target | LOGIN, {"greeting": "SMTP"}, secrets=SECRETS)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert set(result.phases) == {"lookup", "connect", "wait", "tls", "transfer"}
    assert result.evidence["login"] is True
    assert result.evidence["certificates"][0]["names"] == ["localhost"]
    assert result.evidence["tls"]["verified"] is True
    assert "AUTH" in result.evidence["extensions"]
    wrong = run_filled("smtp", target | WRONG, secrets=SECRETS)
    assert (wrong.verdict, wrong.code) == ("down", "expect.login")
    assert "535" in wrong.message


def test_smtp_by_auth_login_and_without_any(smtp: Callable[..., int]) -> None:
    plain = {"security": "none"} | LOGIN
    port = smtp(auth_require_tls=False, auth_exclude_mechanism=["PLAIN"])
    result = run_filled("smtp", {"address": f"127.0.0.1:{port}"} | plain, secrets=SECRETS)
    assert result.verdict == "up", result.message
    port = smtp(auth_require_tls=False, auth_exclude_mechanism=["PLAIN", "LOGIN"])
    result = run_filled("smtp", {"address": f"127.0.0.1:{port}"} | plain, secrets=SECRETS)
    assert (result.code, "no login by PLAIN or LOGIN" in result.message) == ("expect.login", True)


def test_smtp_with_tls_from_the_first_byte(smtp: Callable[..., int], certificates: Certificates) -> None:
    port = smtp(ssl_context=certificates.server)
    target = {"address": f"127.0.0.1:{port}", "security": "tls", "server_name": "localhost"}
    assert run_filled("smtp", target | {"ca": certificates.ca}).verdict == "up"
    stranger = run_filled("smtp", target)
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")


def test_smtp_that_offers_no_tls(smtp: Callable[..., int]) -> None:
    address = f"127.0.0.1:{smtp()}"
    result = run_filled("smtp", address)
    assert (result.verdict, result.code) == ("down", "expect.starttls")
    assert "security: none" in result.message
    assert run_filled("smtp", {"address": address, "security": "none"}).verdict == "up"


@pytest.mark.parametrize("kind", ["imap", "pop3"])
@pytest.mark.parametrize("secured", ["starttls", "tls", "none"])
def test_dovecot_in_every_way(mail: Mail, kind: str, secured: str) -> None:
    port = getattr(mail, f"{kind}s" if secured == "tls" else kind)
    target = mail.target(port, security=secured)
    result = run_filled(kind, target | LOGIN, {"greeting": "Dovecot"}, secrets=SECRETS)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert result.evidence["login"] is True
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"} | ({"tls"} if secured != "none" else set())
    wrong = run_filled(kind, target | WRONG, secrets=SECRETS)
    assert (wrong.verdict, wrong.code) == ("down", "expect.login"), wrong.message


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_what_is_not_as_expected(mail: Mail, kind: str) -> None:
    port = getattr(mail, kind)
    soon = run_filled(kind, mail.target(port), {"certificate_days": 100})
    assert (soon.verdict, soon.code) == ("degraded", "expect.days")
    assert "under 100" in soon.message
    name = run_filled(kind, mail.target(port) | {"server_name": "mail.other.test"})
    assert (name.verdict, name.code) == ("down", "tls.name_mismatch")
    greeting = run_filled(kind, mail.target(port), {"greeting": "Cyrus"})
    assert (greeting.verdict, greeting.code) == ("down", "expect.greeting")
    slow = run_filled(kind, mail.target(port), {"degraded_after": "0ms"})
    assert (slow.verdict, slow.code) == ("degraded", "expect.latency")


def closes_at_once(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    until_closed(connection)


def garbage(connection: socket.socket) -> None:
    connection.sendall(bytes(range(256)))
    until_closed(connection)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


def endless_lines(connection: socket.socket) -> None:
    connection.sendall(b"220 a\r\n" if connection.getsockname() else b"")
    while True:
        connection.sendall(b"250-x\r\n" * 100)


def says(*lines: bytes) -> Callable[[socket.socket], None]:
    """The first line at once, each further one after something came in; then silence."""

    def serve(connection: socket.socket) -> None:
        for index, line in enumerate(lines):
            if index:
                connection.recv(4096)
            connection.sendall(line)
        until_closed(connection)

    return serve


def half_an_answer(connection: socket.socket) -> None:
    connection.sendall(b"220 ma")
    closes_at_once(connection)


@pytest.mark.parametrize("kind", ["smtp", "imap", "pop3"])
@pytest.mark.parametrize(
    ("serve", "code", "words"),
    [
        (until_closed, "wait.timeout", "the greeting did not arrive within 300 ms"),
        (closes_at_once, "wait.closed", "closed the connection without sending anything"),
        (half_an_answer, "wait.closed", "in the middle of its answer"),
        (garbage, "", ""),
        (endless, "wait.malformed", "a line of more than 8192 bytes"),
        (says(b"HTTP/1.1 400 Bad Request\r\n"), "wait.malformed", "HTTP/1.1 400 Bad Request"),
    ],
)
def test_each_way_to_fail_has_its_code(kind: str, serve: Any, code: str, words: str) -> None:
    with tcp_server(serve) as port:
        result = run_filled(kind, f"127.0.0.1:{port}", limit=0.3)
    assert result.verdict == "down"
    assert result.code == code or (not code and result.code.startswith("wait."))
    assert words in result.message


@pytest.mark.parametrize(
    ("kind", "serve", "code", "words"),
    [
        ("smtp", says(b"554 no\r\n"), "expect.greeting", "rejects clients: 554 no"),
        ("smtp", says(b"220 a\r\n", b"502 never heard\r\n"), "wait.refused", "502 never heard"),
        ("smtp", says(b"220 a\r\n"), "wait.timeout", "the answer to EHLO did not arrive"),
        ("smtp", endless_lines, "wait.too_large", "more than 200 lines"),
        ("smtp", says(b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"454 later\r\n"), "expect.starttls", "454 later"),
        (
            "smtp",
            says(b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"),
            "tls.handshake",
            "between accepting TLS",
        ),
        ("smtp", says(b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"220 go\r\n"), "tls.timeout", "TLS handshake"),
        ("imap", says(b"* BYE full\r\n"), "expect.greeting", "rejects clients: BYE full"),
        ("imap", says(b"* OK a\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK\r\n"), "expect.starttls", "does not offer TLS"),
        ("imap", says(b"* OK a\r\n", b"* BYE bored\r\n"), "wait.closed", "ends the session: BYE bored"),
        ("pop3", says(b"-ERR busy\r\n"), "expect.greeting", "rejects clients: busy"),
        ("pop3", says(b"+OK\r\n", b"-ERR what\r\n"), "expect.starttls", "does not offer TLS"),
    ],
)
def test_servers_that_say_no(kind: str, serve: Any, code: str, words: str) -> None:
    with tcp_server(serve) as port:
        result = run_filled(kind, f"127.0.0.1:{port}", limit=0.5)
    assert (result.verdict, result.code) == ("down", code), result.message
    assert words in result.message


def test_a_server_that_quotes_the_password_in_base_64_gives_nothing_away() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"220 a\r\n")
        connection.recv(4096)
        connection.sendall(b"250-a\r\n250 AUTH PLAIN\r\n")
        connection.sendall(b"535 I do not like " + connection.recv(4096))

    with tcp_server(serve) as port:
        target = {"address": f"127.0.0.1:{port}", "security": "none"} | LOGIN
        result = run_filled("smtp", target, secrets=SECRETS)
    assert result.code == "expect.login"
    assert result.message.endswith("I do not like AUTH PLAIN ***")


def test_a_password_with_a_line_break_is_not_sent_as_a_command() -> None:
    with tcp_server(says(b"+OK\r\n", b"+OK\r\n.\r\n", b"+OK\r\n")) as port:
        target = {"address": f"127.0.0.1:{port}", "security": "none"} | LOGIN
        result = run_filled("pop3", target, secrets={"PASSWORD": "a long one\r\nDELE 1"}, limit=1)
    assert (result.verdict, result.code) == ("unknown", "check.bad_secret")


def test_refused(tmp_path: Path) -> None:
    for kind in ("smtp", "imap", "pop3"):
        assert run_filled(kind, f"127.0.0.1:{free_port()}").code == "connect.refused"


def test_defaults_and_mistakes() -> None:
    assert SMTP_KIND.address(SMTP_KIND.target.model_validate({"address": "mail.test"})) == "mail.test:25"
    with pytest.raises(ValidationError, match="needs both"):
        IMAP.target.model_validate({"address": "mail.test", "username": "a"})
    with pytest.raises(ValidationError, match="must be a reference"):
        IMAP.target.model_validate({"address": "mail.test", "username": "a", "password": "plain"})
