from __future__ import annotations

import dataclasses
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from tests.rigs.channel_rigs import SECRET, Mailbox, mail_server, notification, text_of
from tests.rigs.check_servers import tcp_server

from mainstay.frames.boot import current_settings
from mainstay.integrations import http_client
from mainstay.integrations.channels.email.deliver import deliver
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext
from mainstay.kernel.resource import KINDS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's context whose certificate is trusted for 127.0.0.1."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    http_client.trusted_certificates.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    yield context
    http_client.trusted_certificates.cache_clear()


def _context(**settings: Any) -> DeliveryContext:
    return DeliveryContext(dataclasses.replace(current_settings(), **settings), 1_800_000_000.0, 5.0)


def _target(port: int, *to: str, **smtp: Any) -> dict[str, Any]:
    server = {"host": "127.0.0.1", "port": port, "security": "none", **smtp}
    return {"to": list(to) or ["ops@example.com"], "from": "mainstay@example.com", "smtp": server}


def test_the_mail_has_text_and_html_for_phones_and_the_dark() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        deliver(_target(port, "a@example.com", "b@example.com"), notification(), _context())
    sender, recipients, mail = box.mails[0]
    assert (sender, recipients) == ("mainstay@example.com", ["a@example.com", "b@example.com"])
    assert mail["Subject"] == "[P1] api is down"
    assert mail["From"] == "Mainstay <mainstay@example.com>"
    assert mail["Message-ID"] == "<01key@example.com>"
    assert (mail["Auto-Submitted"], mail["Importance"]) == ("auto-generated", "high")
    html = text_of(mail, "html")
    assert 'name="color-scheme" content="light dark"' in html
    assert "width=device-width" in html
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert 'href="https://m.example.com/a/token?x=1&amp;y=2"' in html
    assert "$" not in html
    assert "Since: 2027-01-15 07:57:00 UTC (3 min ago)" in text_of(mail)


def test_an_end_stands_in_the_thread_of_its_beginning() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        deliver(_target(port), notification(), _context())
        end = dataclasses.replace(notification("resolved", "02key"), thread="01key")
        deliver(_target(port), end, _context())
    first, second = (mail for *_, mail in box.mails)
    assert first["References"] is None
    assert second["References"] == second["In-Reply-To"] == first["Message-ID"]
    assert second["Message-ID"] != first["Message-ID"]
    assert second["Subject"] == "Resolved: api is down"


def test_nothing_that_others_can_name_adds_a_header() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        title = "a\r\nBcc: intruder@example.com\r\n\r\nbody \u2028 \x00 " + "\u00fc" * 500
        deliver(_target(port), notification(title=title, severity="P0\nX-Evil: 1"), _context())
    mail = box.mails[0][2]
    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None
    assert mail["Subject"].startswith("[P0 X-Evil: 1] a Bcc: intruder@example.com body")


def test_starttls_with_sign_in(tls: ssl.SSLContext) -> None:
    box = Mailbox()
    with mail_server(box, login=("mainstay", SECRET), starttls=tls) as port:
        smtp = {"security": "starttls", "user": "mainstay", "password": SECRET}
        receipt = deliver(_target(port, **smtp), notification(), _context())
        assert receipt.detail == "accepted for 1 of 1"
        with pytest.raises(Refused, match="535") as caught:
            deliver(_target(port, **smtp | {"password": "wrong-one"}), notification(), _context())
    assert "wrong-one" not in str(caught.value)
    assert len(box.mails) == 1


def test_the_server_of_the_settings(tls: ssl.SSLContext) -> None:
    box = Mailbox()
    target = {"to": ["ops@example.com"], "from": None, "smtp": None}
    with mail_server(box, tls=tls) as port:
        deliver(target, notification(), _context(smtp=f"smtps://127.0.0.1:{port}", mail_from="m@example.org"))
    with mail_server(box, login=("u@x", "p:w"), starttls=tls) as port:
        url = f"smtp+starttls://u%40x:p%3Aw@127.0.0.1:{port}"
        deliver(target, notification(), _context(smtp=url, mail_from="m@example.org"))
    assert [sender for sender, *_ in box.mails] == ["m@example.org"] * 2
    with pytest.raises(Refused, match="the setting `smtp`"):
        deliver(target, notification(), _context(smtp="mail.example.com"))


def test_a_password_of_the_setting_is_not_told_though_the_server_says_the_sign_in_again() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.test\r\n")
        for line in connection.makefile("rb"):
            hello = line.lower().startswith(b"ehlo")
            connection.sendall(b"250-mail.test\r\n250 AUTH PLAIN\r\n" if hello else b"535 5.7.8 " + line)

    target = {"to": ["ops@example.com"], "from": None, "smtp": None}
    with tcp_server(serve) as port:
        context = _context(smtp=f"smtp://mainstay:{SECRET}@127.0.0.1:{port}", mail_from="m@example.org")
        with pytest.raises(Refused) as refusal:
            deliver(target, notification(), context)
    assert refusal.value.message == "the mail server answered 535 5.7.8 AUTH PLAIN AG1haW5zdGF5A***"


def test_without_trusted_encryption_nothing_is_sent(tls: ssl.SSLContext) -> None:
    box = Mailbox()
    foreign = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(foreign)
    with mail_server(box) as port, pytest.raises(Unavailable, match="STARTTLS"):
        deliver(_target(port, security="starttls"), notification(), _context())
    with mail_server(box, starttls=foreign) as port, pytest.raises(Unavailable, match="no trusted encryption"):
        deliver(_target(port, security="starttls"), notification(), _context())
    with mail_server(box, tls=foreign) as port, pytest.raises(Unavailable, match="no trusted encryption"):
        deliver(_target(port, security="tls"), notification(), _context())
    assert box.mails == []


def test_opportunistic_encrypts_where_the_server_can_and_delivers_where_it_cannot() -> None:
    box = Mailbox()
    foreign = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mail.test").configure_cert(foreign)
    with mail_server(box, login=("mainstay", SECRET), starttls=foreign) as port:  # takes nothing before TLS
        smtp = {"security": "opportunistic", "user": "mainstay", "password": SECRET}
        deliver(_target(port, "tls@example.com", **smtp), notification(), _context())
    with mail_server(box, login=("mainstay", SECRET)) as port:
        deliver(_target(port, "plain@example.com", **smtp), notification(), _context())
    assert [recipients for _, recipients, _ in box.mails] == [["tls@example.com"], ["plain@example.com"]]


def test_a_domain_outside_ascii_goes_in_punycode_to_every_server() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        target = _target(port, "ops@bücher.example") | {"from": "Wächter <alarm@straße.example>"}
        deliver(target, notification(), _context())
    sender, recipients, mail = box.mails[0]
    assert (sender, recipients) == ("alarm@xn--strae-oqa.example", ["ops@xn--bcher-kva.example"])
    assert mail["From"].addresses[0].display_name == "Wächter"


def test_a_local_part_outside_ascii_needs_a_server_that_takes_it() -> None:
    box = Mailbox()
    both = ("jörg@bücher.example", "ops@example.com")
    with mail_server(box, enable_SMTPUTF8=True) as port:
        assert deliver(_target(port, *both), notification(), _context()).detail == "accepted for 2 of 2"
    with mail_server(box) as port:
        receipt = deliver(_target(port, *both), notification(), _context())
        with pytest.raises(Refused, match="no addresses outside ASCII"):
            deliver(_target(port, both[0]), notification(), _context())
        with pytest.raises(Refused, match="no addresses outside ASCII"):
            deliver(_target(port) | {"from": "jörg@example.com"}, notification(), _context())
    assert receipt.detail == "accepted for 1 of 2, not for jörg@xn--bcher-kva.example"
    assert [recipients for _, recipients, _ in box.mails] == [
        ["jörg@xn--bcher-kva.example", "ops@example.com"],
        ["ops@example.com"],
    ]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_sign_in_outside_ascii_goes_in_utf8(mechanism: str) -> None:
    box, others = Mailbox(), {"PLAIN", "LOGIN"} - {mechanism}
    with mail_server(box, login=("jörg", "pässwörd"), auth_exclude_mechanism=others) as port:
        deliver(_target(port, user="jörg", password="pässwörd"), notification(), _context())
    assert len(box.mails) == 1


def test_a_sender_may_have_a_name() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        target = _target(port) | {"from": None}
        deliver(target, notification(), _context(mail_from='"Ops, night" <ops@example.org>'))
    sender, _, mail = box.mails[0]
    assert (sender, mail["From"].addresses[0].display_name) == ("ops@example.org", "Ops, night")


def test_some_recipients_refused_is_delivered_and_names_them() -> None:
    box = Mailbox(refused=frozenset({"b@example.com"}))
    with mail_server(box) as port:
        receipt = deliver(_target(port, "a@example.com", "b@example.com"), notification(), _context())
    assert receipt.detail == "accepted for 1 of 2, not for b@example.com"
    assert box.mails[0][1] == ["a@example.com"]


@pytest.mark.parametrize(("code", "expected"), [(550, Refused), (451, Unavailable)])
def test_all_recipients_refused(code: int, expected: type[Exception]) -> None:
    box = Mailbox(refused=frozenset({"ops@example.com"}), rcpt_code=code)
    with mail_server(box) as port, pytest.raises(expected, match=f"ops@example.com.*{code}"):
        deliver(_target(port), notification(), _context())


def test_a_repeat_after_a_temporary_refusal_has_the_same_message_id() -> None:
    box = Mailbox(data_reply="451 greylisted")
    with mail_server(box) as port:
        with pytest.raises(Unavailable, match="451 greylisted"):
            deliver(_target(port), notification(), _context())
        box.data_reply = "250 ok"
        deliver(_target(port), notification(), _context())
    assert [mail["Message-ID"] for *_, mail in box.mails] == ["<01key@example.com>"]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"to": []}, "at least 1"),
        ({"to": ["not an address"]}, "is not an e-mail address"),
        ({"to": ["a@example.com\nBcc: b@example.com"]}, "is not an e-mail address"),
        ({"to": ["Ops <a@example.com>"]}, "is not an e-mail address"),
        ({"to": ["a@\u2028example.com"]}, "is not an e-mail address"),
        ({"to": ["a@" + "ü" * 80 + ".example"]}, "is not an e-mail address"),
        ({"to": ["a@example.com"], "from": "Ops <nobody>"}, "is not a sender"),
        ({"to": ["a@example.com"], "smtp": {"host": "ü" * 80}}, "is not a valid mail server name"),
        ({"to": ["a@example.com"], "smtp": {"host": "m", "user": "u"}}, "come together"),
        ({"to": ["a@example.com"], "smtp": {"host": "m", "user": "u", "password": "clear"}}, "must be a reference"),
    ],
)
def test_mistakes_in_a_declaration_are_named(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        KINDS["channel"].validate({"email": document})


def test_one_address_is_enough_to_declare() -> None:
    assert KINDS["channel"].validate({"email": "ops@example.com"}).target.to == ["ops@example.com"]


def test_a_resolved_address_is_checked_again() -> None:
    with pytest.raises(Refused, match="not an e-mail address"):
        deliver(_target(1, "a@example.com\r\nRCPT TO:<b@example.com>"), notification(), _context())
