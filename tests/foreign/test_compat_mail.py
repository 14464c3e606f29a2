"""Pings by mail over a real SMTP session: who is taken in, what a mail means, and what is refused."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from django.db import connections
from tests.rigs.compat_rig import Rig, rigged
from tests.rigs.pinging import ACTOR, heartbeat

from mainstay.heartbeats import queries
from mainstay.heartbeats.doors import mail as mail_door
from mainstay.heartbeats.doors.mail import MailDoor, meaning
from mainstay.heartbeats.spec import Keywords
from mainstay.kernel.errors import UserError
from mainstay.store.resources.apply import remove

pytestmark = pytest.mark.usefixtures("store")


def _mail(subject: str = "", text: str = "", html: str = "") -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "job@example.org", "x@example.org", subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


async def _session(rig: Rig, use: Callable[[smtplib.SMTP], Any]) -> Any:
    def run() -> Any:
        try:
            with smtplib.SMTP("127.0.0.1", rig.mail.port, timeout=20) as client:
                return use(client)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as own:  # that of the loop belongs to the server
        return await asyncio.get_running_loop().run_in_executor(own, run)


def _refusals(error: smtplib.SMTPRecipientsRefused) -> dict[str, int]:
    return {address: code for address, (code, _) in error.recipients.items()}


def test_mail_to_a_uuid_or_a_slug_is_a_ping(clock: object) -> None:
    view = heartbeat("nightly")

    async def test(rig: Rig) -> None:
        to = [f"{view.uuid}@mail.example.org", f"{rig.key}+nightly@localhost"]
        sent = _mail("done", "output\n" * 500).as_bytes()
        assert await _session(rig, lambda client: client.sendmail("job@example.org", to, sent)) == {}

    rigged(clock, test)
    first, second = queries.pings(view.uid)
    assert (first.kind, first.scheme, first.method, first.user_agent, first.remote) == (
        "success",
        "email",
        "",
        "Email from job@example.org",
        "127.0.0.1",
    )
    kept = queries.ping(view.uid, second.n)
    assert kept.body is not None
    assert len(kept.body) == 1000  # the limit of the rig
    assert kept.body_size > 3000
    assert kept.body.startswith(b"From: job@example.org")


def test_other_recipients_get_550_and_nothing_is_relayed(clock: object) -> None:
    view = heartbeat("nightly")

    async def test(rig: Rig) -> None:
        def use(client: smtplib.SMTP) -> dict[str, int]:
            unknown = [
                "sender@example.org",
                "00000000-0000-4000-8000-000000000000@x.org",
                f"{rig.key}+other@x.org",
                "wrongkey+nightly@x.org",
                "",
            ]
            with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
                client.sendmail("a@x.org", unknown, b"x")
            refused = _refusals(caught.value)
            assert client.sendmail("a@x.org", [f"{view.uuid}@x.org", "sender@x.org"], b"Subject: x\r\n\r\n").keys() == {
                "sender@x.org"
            }
            assert client.verify("sender")[0] == 502
            assert not client.has_extn("auth")
            return refused

        codes = await _session(rig, use)
        assert {code for address, code in codes.items() if address} == {550}

    rigged(clock, test)
    assert queries.heartbeat("nightly").pings == 1


def test_a_heartbeat_deleted_in_between_refuses_the_mail(clock: object) -> None:
    view = heartbeat("nightly")

    async def test(rig: Rig) -> None:
        def use(client: smtplib.SMTP) -> int:
            client.ehlo()
            client.mail("a@x.org")
            assert client.rcpt(f"{view.uuid}@x.org")[0] == 250
            remove(ACTOR, "heartbeat", "nightly", manager="api")
            return client.data(b"Subject: x\r\n\r\n")[0]

        assert await _session(rig, use) == 550

    rigged(clock, test)


def test_a_heartbeat_declared_a_moment_ago_is_known(clock: object) -> None:
    async def test(rig: Rig) -> None:
        view = await asyncio.to_thread(heartbeat, "fresh")
        assert await _session(rig, lambda client: client.sendmail("a@x.org", [f"{view.uuid}@x.org"], b"x")) == {}
        assert (await rig.client.get(f"/ping/{view.uuid}")).status_code == 200

    rigged(clock, test)


def test_bounds_on_size_recipients_and_sessions(clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_door, "SIZE", 20_000)
    monkeypatch.setattr(mail_door, "SESSIONS", 2)
    view = heartbeat("nightly")
    to = f"{view.uuid}@x.org"

    async def test(rig: Rig) -> None:
        def large(client: smtplib.SMTP) -> int:
            with pytest.raises(smtplib.SMTPResponseException) as caught:
                client.sendmail("a@x.org", [to], b"x" * 30_000)
            return caught.value.smtp_code

        assert await _session(rig, large) == 552

        def many(client: smtplib.SMTP) -> list[int]:
            client.ehlo()
            client.mail("a@x.org")
            return [client.rcpt(to)[0] for _ in range(mail_door.RECIPIENTS + 1)]

        assert await _session(rig, many) == [250] * mail_door.RECIPIENTS + [452]

        def third() -> bytes:
            idle = [socket.create_connection(("127.0.0.1", rig.mail.port), timeout=20) for _ in range(2)]
            for one in idle:
                assert one.recv(1000).startswith(b"220")
            with socket.create_connection(("127.0.0.1", rig.mail.port), timeout=20) as extra:
                heard = b""
                while part := extra.recv(1000):
                    heard += part
            for one in idle:
                one.close()
            return heard

        assert b"421 4.3.2 too many sessions" in await asyncio.get_running_loop().run_in_executor(None, third)

    rigged(clock, test)


WORDS = Keywords(success="DONE, COMPLETED", failure="FAILED,ERROR", start="BEGIN")


@pytest.mark.parametrize(
    ("switches", "mail", "kind"),
    [
        ({}, _mail("FAILED"), "success"),  # no switch is on: every mail is a success
        ({"subject": True}, _mail("backup DONE"), "success"),
        ({"subject": True}, _mail("backup FAILED"), "fail"),
        ({"subject": True}, _mail("DONE but FAILED"), "fail"),  # failure is looked for first
        ({"subject": True}, _mail("BEGIN"), "start"),
        ({"subject": True}, _mail("done"), "ign"),  # case counts
        ({"subject": True}, _mail("x", "DONE"), "ign"),
        ({"body": True}, _mail("FAILED", "DONE"), "success"),
        ({"body": True}, _mail("", "x", "<p>COMPLE<b>TED</b></p>"), "success"),  # as a reader of it sees it
        ({"body": True}, _mail("", "x", "<style>.ERROR{}</style><p>all &#68;ONE</p>"), "success"),
        ({"subject": True, "body": True, "default_fail": True}, _mail("x", "y"), "fail"),
        ({"subject": True}, _mail("Sicherung für Müller DONE " + "ü" * 80), "success"),  # encoded words
    ],
)
def test_keywords_decide_what_a_mail_means(switches: dict[str, bool], mail: EmailMessage, kind: str) -> None:
    assert asyncio.run(meaning(WORDS.model_copy(update=switches), mail.as_bytes())) == kind


NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(3000)
)


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?utf-8?B?////?=\r\n\r\nx",
        b"Subject: =?nonsense?Q?x?=\r\n\r\nx",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff",
        b"Content-Type: text/html\r\n\r\n" + b"<" * 100_000,
        b"Content-Transfer-Encoding: base64\r\n\r\n====",
        NESTED,
    ],
)
def test_a_mail_that_cannot_be_read_holds_no_keyword(mail: bytes) -> None:
    both = Keywords(success="DONE", subject=True, body=True)
    assert asyncio.run(meaning(both, mail)) == "ign"
    assert asyncio.run(meaning(both.model_copy(update={"default_fail": True}), mail)) == "fail"


@pytest.mark.parametrize(
    ("mail", "kind"),
    [
        (_mail("DONE", "x", "<p>y</p><![ foo").as_bytes(), "success"),
        (_mail("x", "y", "<p>DONE</p><![ foo").as_bytes(), "success"),
        (_mail("x", "y", "<![ foo").as_bytes(), "ign"),
        (b"Subject: DONE\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nx", "success"),
        (b"Subject: DONE\r\nContent-Type: " + b"a/b;" * 20_000 + b"\r\n\r\nx", "ign"),
    ],
    ids=["page", "page before", "nothing", "charset", "slow"],
)
def test_what_can_be_read_of_a_mail_counts(mail: bytes, kind: str) -> None:
    assert asyncio.run(meaning(Keywords(success="DONE", subject=True, body=True), mail)) == kind


def test_a_mail_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_door, "_READ_SECONDS", 0.0)
    assert asyncio.run(meaning(Keywords(success="DONE", subject=True), b"Subject: DONE\r\n\r\n")) == "ign"


@pytest.mark.parametrize(("listen", "what"), [("nonsense", "host:port"), ("127.0.0.1:x", "host:port")])
def test_a_bad_address_is_told_at_start(listen: str, what: str) -> None:
    async def start() -> None:
        await MailDoor(None, listen).start()  # type: ignore[arg-type]  # it fails before anything comes in

    with pytest.raises(UserError, match=what):
        asyncio.run(start())


def test_a_taken_address_is_told_at_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        async def start() -> None:
            await MailDoor(None, f"127.0.0.1:{taken.getsockname()[1]}").start()  # type: ignore[arg-type]

        with pytest.raises(UserError, match="cannot accept mail"):
            asyncio.run(start())
