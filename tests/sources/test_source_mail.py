"""Alerts by mail, at the server that takes in pings by mail."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import pytest
from tests.rigs.receivers import declare
from tests.rigs.source_rig import Rig, rigged
from tests.sources.conftest import HOOK_KEY

from mainstay.alerting.queries import alerts
from mainstay.heartbeats.directory import Directory
from mainstay.heartbeats.doors.mail import MailDoor
from mainstay.heartbeats.doors.pings import PingApp
from mainstay.sources.doors.mail import SourceMail
from mainstay.sources.formats.mail import key_of
from mainstay.sources.models import BodyRow

pytestmark = pytest.mark.usefixtures("store")

Send = Callable[[str, str, str], Awaitable[dict[str, tuple[int, bytes]]]]


def mail(subject: str, text: str = "") -> EmailMessage:
    found = EmailMessage()
    found["Subject"], found["From"], found["X-Team"] = subject, "nas@example.com", "storage"
    found.set_content(text)
    return found


def with_door(test: Callable[[Rig, Send], Awaitable[None]]) -> None:
    declare(
        "alert_source",
        "nas",
        {"email": {"key": "${env:HOOK_KEY}", "labels": {"team": '$.headers["x-team"]'}}},
    )

    async def steps(rig: Rig) -> None:
        pings = PingApp(rig.writer, Directory(), rig.intake.settings)
        door = MailDoor(pings, "127.0.0.1:0", SourceMail(rig.intake))
        await door.start()

        def deliver(to: str, subject: str, text: str) -> dict[str, tuple[int, bytes]]:
            with smtplib.SMTP("127.0.0.1", door.port, timeout=20) as client:
                try:
                    client.send_message(mail(subject, text), to_addrs=[to])
                except smtplib.SMTPRecipientsRefused as refused:
                    return refused.recipients
            return {}

        async def send(to: str, subject: str, text: str) -> dict[str, tuple[int, bytes]]:
            return await asyncio.get_running_loop().run_in_executor(None, deliver, to, subject, text)

        try:
            await test(rig, send)
        finally:
            await door.stop()
            await pings.stop()

    rigged(steps)


def test_a_mail_opens_an_alert_and_its_like_ends_it() -> None:
    address = f"nas+{HOOK_KEY}@mainstay.example"

    async def steps(rig: Rig, send: Send) -> None:
        await send(address, "CRITICAL: disk 3 degraded", "Replace it soon.\n")
        (found,) = await rig.read(alerts)
        assert (found.title, found.severity, found.message) == ("CRITICAL: disk 3 degraded", "P1", "Replace it soon.")
        assert (found.labels["team"], found.labels["from"]) == ("storage", "nas@example.com")
        await send(address, "Resolved: disk 3 degraded", "")
        (found,) = await rig.read(alerts)
        assert found.status == "resolved"
        await send(address, "", "no subject")
        kept = await rig.read(lambda: list(BodyRow.objects.order_by("id").values_list("outcome", "body")))
        assert [one[0] for one in kept] == ["1 alert", "1 alert", "the mail has no subject"]
        assert not any(HOOK_KEY in one[1] for one in kept)

    with_door(steps)


def test_other_recipients_are_refused() -> None:
    async def steps(rig: Rig, send: Send) -> None:
        for to in ("nas@x.example", "nas+wrong@x.example", f"other+{HOOK_KEY}@x.example", "a@x.example"):
            assert (await send(to, "disk full", ""))[to][0] == 550
        assert await rig.read(alerts) == []

    with_door(steps)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("[FIRING:1] Disk sda", "[RESOLVED:2] Disk sda", True),
        ("PROBLEM: Service http is CRITICAL", "RECOVERY: Service http is OK", True),
        ("** PROBLEM Host Alert: web1 is DOWN **", "** RECOVERY Host Alert: web1 is UP **", True),
        ("disk 3 degraded", "disk 4 degraded", False),
        ("P1", "P2", False),
    ],
)
def test_subjects_that_differ_in_their_state_alone_are_about_the_same(one: str, other: str, same: bool) -> None:
    assert (key_of(one) == key_of(other)) == same
