"""Where notifications end: a mail sink and a webhook, and one page that shows what came."""

from __future__ import annotations

import email
import email.policy
import json
import time
from collections import deque
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

# Not while somebody reads a message.
_RELOAD = "<script>setInterval(() => document.querySelector('details[open]') || location.reload(), 5000)</script>"


class Message(NamedTuple):
    at: float  # epoch seconds
    way: str  # mail or webhook
    heading: str
    text: str


MESSAGES: deque[Message] = deque(maxlen=100)


class Sink:
    """Takes every mail and sends none on; aiosmtpd calls it."""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        mail = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
        body = mail.get_body(("plain",))
        MESSAGES.appendleft(Message(time.time(), "mail", str(mail["Subject"]), body.get_content() if body else ""))
        return "250 taken"


def take_mail(port: int) -> None:
    Controller(Sink(), hostname="127.0.0.1", port=port).start()


async def hook(request: Request) -> Response:
    told: dict[str, Any] = await request.json()
    heading = f"{told['status']}: {told['evidence'].get('title') or 'a message'}"
    MESSAGES.appendleft(Message(time.time(), "webhook", heading, json.dumps(told, indent=2)))
    return Response(status_code=204)


def messages(_request: Request) -> JSONResponse:
    return JSONResponse([message._asdict() for message in MESSAGES])


def application(page: Callable[[str, str], HTMLResponse]) -> Starlette:
    def show(_request: Request) -> HTMLResponse:
        shown = "".join(
            f"<details><summary>{time.strftime('%H:%M:%S', time.localtime(one.at))} {one.way}: {escape(one.heading)}"
            f"</summary><pre style='white-space:pre-wrap'>{escape(one.text[:4000])}</pre></details>"
            for one in list(MESSAGES)
        )
        return page("What Mainstay sent", f"{shown or '<p>Nothing yet.</p>'}{_RELOAD}")

    routes = [Route("/", show), Route("/hook", hook, methods=["POST"]), Route("/messages", messages)]
    return Starlette(routes=routes)
