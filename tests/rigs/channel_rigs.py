"""One rig for each channel kind: a real server on loopback, how to declare the channel, how to make it fail."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tests.rigs.push_device import Device
from tests.rigs.receivers import Receiver, Reply, Request, receiver

from mainstay.kernel.ports import Notification

SECRET = "s3cr3t-value-0815"  # stands for every credential in these tests
Mood = Literal["accept", "refuse", "busy", "hang", "endless", "echo"]


def notification(status: str = "firing", key: str = "01key", **alert: Any) -> Notification:
    """A message with hostile text in every place that others can fill."""
    document = {
        "id": "01alert",
        "monitor": "api",
        "kind": "monitor",
        "severity": "P1",
        "labels": {"monitor": "api", "severity": "P1", "team": "<b>web</b>"},
        "since": "2027-01-15T07:57:00.000Z",
        "until": "2027-01-15T07:59:00.000Z" if status == "resolved" else None,
        "title": "api is down",
        "summary": "refused\r\nBcc: intruder@example.com <script>alert(1)</script> & <!channel>",
        **alert,
    }
    evidence = {
        "reason": "confirmed",
        "phase": "connect",
        "code": "connect.refused",
        "error": "connection refused",
        "address": "https://api.example.com/",
        "details": {"status": 503},
    }
    links = {"monitor": "https://m.example.com/monitors/api/", "alert": "https://m.example.com/alerts/01alert/"}
    if status == "firing":
        links["acknowledge"] = "https://m.example.com/a/token?x=1&y=2"
    return Notification(key, status, document, evidence, links, ("changed by oncall (revision 3): every",))


@dataclass
class Rig:
    """`document` declares the channel, `environment` holds its secrets; `seen` is what arrived, as plain text."""

    kind: str
    document: dict[str, Any]
    environment: dict[str, str]
    moods: frozenset[str]
    mood: Mood = "accept"
    said: str = SECRET  # what it echoes
    devices: tuple[dict[str, str], ...] = ()  # that a push goes to

    def seen(self) -> list[str]:
        raise NotImplementedError

    def keys(self) -> list[str]:
        """What would let the other side notice a repeat, of each message that arrived; empty if it knows nothing."""
        raise NotImplementedError


class HttpRig(Rig):
    hook: Receiver

    def answer(self, _request: Request) -> Reply:
        if self.mood == "refuse":
            return Reply(400, body=b"bad request")
        if self.mood == "busy":
            return Reply(429, {"Retry-After": "17"}, b"slow down")
        if self.mood == "hang":
            return Reply(wait=threading.Event())
        if self.mood == "endless":
            return Reply(200, stream=b"x" * 65536)
        if self.mood == "echo":
            return Reply(400, body=json.dumps({"said": self.said}).encode())
        return Reply(202 if self.kind == "pagerduty" else 200, body=b"ok")

    def seen(self) -> list[str]:
        return [request.body.decode() for request in self.hook.requests]

    def keys(self) -> list[str]:
        if self.kind == "webhook":
            return [request.headers["idempotency-key"] for request in self.hook.requests]
        if self.kind == "pagerduty":
            return [request.json["dedup_key"] for request in self.hook.requests]
        return []


@contextmanager
def http_rig(kind: str) -> Iterator[Rig]:
    everything = frozenset({"refuse", "busy", "hang", "endless", "echo"})
    with receiver() as hook:
        declared: dict[str, tuple[Any, dict[str, str], frozenset[str]]] = {
            "webhook": ({"url": f"{hook.url}/hook", "secret": "${env:RIG}"}, {"RIG": SECRET}, everything),
            "slack": ("${env:RIG}", {"RIG": f"{hook.url}/services/{SECRET}"}, everything),
            "pagerduty": ({"routing_key": "${env:RIG}", "url": f"{hook.url}/v2"}, {"RIG": SECRET}, everything),
            # Apprise tells only yes or no, so nothing is a refusal.
            "apprise": (
                "${env:RIG}",
                {"RIG": f"json://user:{SECRET}@{hook.url.removeprefix('http://')}/x?rto=1"},
                frozenset({"hang"}),
            ),
        }
        target, environment, moods = declared[kind]
        rig = HttpRig(kind, {kind: target}, environment, moods)
        rig.hook = hook
        hook.answer = rig.answer
        yield rig


@dataclass
class Mailbox:
    """An SMTP server's handler: keeps mail, or behaves as it is told."""

    mails: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    refused: frozenset[str] = frozenset()
    rcpt_code: int = 550
    data_reply: str = "250 taken"
    hang: threading.Event | None = None

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return f"{self.rcpt_code} no {address} here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hang is not None:
            await asyncio.to_thread(self.hang.wait)
        if self.data_reply.startswith("250"):
            content = envelope.content if isinstance(envelope.content, bytes) else b""
            mail = message_from_bytes(content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append((envelope.mail_from or "", list(envelope.rcpt_tos), mail))
        return self.data_reply


def _protocol(mailbox: Mailbox, login: tuple[str, str] | None, starttls: Any, **more: Any) -> SMTP:
    def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        good = (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=good, handled=False)

    asked: dict[str, Any] = {"authenticator": check, "auth_required": bool(starttls)} if login else {}
    tls: dict[str, Any] = {"tls_context": starttls, "require_starttls": True} if starttls else {}
    return SMTP(mailbox, hostname="mail.test", auth_require_tls=bool(starttls), **asked, **tls, **more)


@contextmanager
def mail_server(
    mailbox: Mailbox,
    *,
    login: tuple[str, str] | None = None,
    starttls: Any = None,
    tls: Any = None,
    **more: Any,
) -> Iterator[int]:
    """The port of a running aiosmtpd; with `login` it asks for that user and password. `more`: of its `SMTP`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(lambda: _protocol(mailbox, login, starttls, **more), "127.0.0.1", 0, ssl=tls)

    async def stop(server: asyncio.Server) -> None:
        server.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await loop.shutdown_default_executor()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        if mailbox.hang is not None:
            mailbox.hang.set()
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


class MailRig(Rig):
    box: Mailbox

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "mood" and "box" in self.__dict__:
            replies = {"refuse": "554 no", "busy": "451 later", "echo": f"554 said {self.said}"}
            self.box.data_reply = replies.get(value, "250 taken")
            self.box.hang = threading.Event() if value == "hang" else None

    def seen(self) -> list[str]:
        return [mail["Subject"] + text_of(mail) for *_, mail in self.box.mails]

    def keys(self) -> list[str]:
        return [mail["Message-ID"] for *_, mail in self.box.mails]


@contextmanager
def mail_rig() -> Iterator[Rig]:
    box = Mailbox()
    with mail_server(box, login=("mainstay", SECRET)) as port:
        smtp = {"host": "127.0.0.1", "port": port, "security": "none", "user": "mainstay", "password": "${env:RIG}"}
        document = {"email": {"to": ["ops@example.com"], "from": "mainstay@example.com", "smtp": smtp}}
        rig = MailRig("email", document, {"RIG": SECRET}, frozenset({"refuse", "busy", "hang", "echo"}))
        rig.box = box
        yield rig


class PushRig(HttpRig):
    device: Device

    def seen(self) -> list[str]:
        return [json.dumps(self.device.read(request), ensure_ascii=False) for request in self.hook.requests]


@contextmanager
def push_rig() -> Iterator[Rig]:
    with receiver() as hook:
        device = Device(f"{hook.url}/push/1")
        document = {"push": {"accounts": ["lead@example.com"]}}
        rig = PushRig("push", document, {}, frozenset({"refuse", "busy", "hang", "endless"}), devices=(device.row(),))
        rig.hook, rig.device = hook, device
        hook.answer = rig.answer
        yield rig


@contextmanager
def rig_of(kind: str) -> Iterator[Rig]:
    with {"email": mail_rig, "push": push_rig}.get(kind, partial(http_rig, kind))() as rig:
        yield rig
