"""Upgrade a connection and optionally exchange messages (RFC 6455). Redirects are not followed.

Phases: `wait` is the upgrade, `transfer` the messages after it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from mainstay import __version__
from mainstay.integrations.checks.certificates import enough_days, load_reader
from mainstay.integrations.checks.http.expectations import parse_headers
from mainstay.integrations.checks.http.request import clean_url
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, excerpt
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.integrations.checks.words import Words
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_HEADER_LINES = 200
_MESSAGES = 100  # that are looked at; a busy channel may say other things first
_PING = b"mainstay"
_LARGEST = 1024 * 1024  # bytes of one message, and of everything, that are read


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    endpoint: Endpoint
    head: str  # request line and headers, but for the key
    subprotocols: tuple[str, ...]
    send: bytes | None
    words: Words
    pong: bool
    close: frozenset[int]
    days: float | None
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    url = clean_url(re.sub("^ws", "http", str(target["url"]), flags=re.IGNORECASE))
    parts = urlsplit(url)
    secure, host = parts.scheme == "https", parts.hostname or ""
    if secure:
        load_reader()
    return Prepared(
        timeout=order.timeout,
        endpoint=Endpoint(
            host=host,
            port=parts.port or (443 if secure else 80),
            tls=secure,
            server_name=target.get("server_name") or host,
            verify=target.get("verify", True),
            ca=target.get("ca") or "",
        ),
        head=_head(parts.netloc, parts.path + (f"?{parts.query}" if parts.query else ""), target),
        subprotocols=tuple(target.get("subprotocols") or ()),
        send=target["send"].encode() if target.get("send") is not None else None,
        words=Words(expect),
        pong=expect.get("pong", False),
        close=frozenset(expect.get("close") or ()),
        days=expect.get("certificate_days"),
        limits=LatencyLimits(expect),
    )


def _head(authority: str, path: str, target: dict[str, object]) -> str:
    given = target.get("headers") or {}
    headers = dict(given) if isinstance(given, dict) else {}
    if not any(name.lower() == "user-agent" for name in headers):
        headers["User-Agent"] = f"Mainstay/{__version__}"
    names = target.get("subprotocols")
    if isinstance(names, list) and names:
        headers["Sec-WebSocket-Protocol"] = ", ".join(names)
    for name, value in headers.items():
        if re.search(r"[\r\n\0]", name + value):
            raise CheckFault("check.bad_header", f"the header {name[:40]} holds a line break", verdict="unknown")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {authority}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines)


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        async with plan.endpoint.opened(steps, context) as stream:
            talk = Talk(steps, stream, limit=_LARGEST)
            with steps.phase("wait"):
                await _upgrade(plan, steps, talk)
            messages = _Messages(talk)
            if plan.send is not None or plan.words or plan.pong:
                with steps.phase("transfer"):
                    await _converse(plan, steps, talk, messages)
            if plan.close:
                with steps.phase("transfer"):
                    await _close(plan, steps, talk, messages)
            else:
                with suppress(CheckFault):  # everything that was asked for has been answered
                    await messages.close()
        steps.current = "expect"
        if plan.endpoint.tls:
            enough_days(steps.path, plan.days)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _upgrade(plan: Prepared, steps: Steps, talk: Talk) -> None:
    key = base64.b64encode(os.urandom(16))
    talk.awaiting("the answer to the upgrade")
    await talk.send(plan.head.encode() + b"\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n")
    first = await talk.line()
    found = re.match(rb"HTTP/1\.[01] (\d{3})(?: |$)", first)
    if found is None:
        raise CheckFault("wait.malformed", f"this is not an HTTP server: it says `{excerpt(first[:80])}`")
    lines: list[bytes] = []
    while line := await talk.line():
        lines.append(line)
        if len(lines) > _HEADER_LINES:
            raise CheckFault("wait.too_large", f"the answer has more than {_HEADER_LINES} headers")
    headers = parse_headers(lines)
    steps.evidence["status"] = status = int(found[1])
    if "server" in headers:
        steps.evidence["server"] = headers["server"][:200]
    if status != 101:
        moved = f", and points to {excerpt(headers['location'])[:200]}" if "location" in headers else ""
        raise CheckFault("expect.upgrade", f"the server answers {status} instead of upgrading to WebSocket{moved}")
    _judge_upgrade(plan, steps, headers, base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest()))


def _judge_upgrade(plan: Prepared, steps: Steps, headers: dict[str, str], accept: bytes) -> None:
    """Section 4.1: what a client must refuse."""
    upgraded = headers.get("upgrade", "").lower() == "websocket" and "upgrade" in headers.get("connection", "").lower()
    if not upgraded or headers.get("sec-websocket-accept", "") != accept.decode():
        raise CheckFault("wait.malformed", "the server says 101, but not as a WebSocket server does")
    if headers.get("sec-websocket-extensions"):
        raise CheckFault("wait.malformed", "the server uses an extension that nobody offered")
    chosen = headers.get("sec-websocket-protocol", "")
    if chosen:
        steps.evidence["subprotocol"] = chosen[:200]
    if chosen not in plan.subprotocols and (chosen or plan.subprotocols):
        offered = ", ".join(plan.subprotocols) or "none"
        raise CheckFault(
            "expect.subprotocol", f"the server selects the subprotocol `{chosen[:80]}`; offered were {offered}"
        )


async def _converse(plan: Prepared, steps: Steps, talk: Talk, messages: _Messages) -> None:
    await messages.send(ping=_PING if plan.pong else None, text=plan.send)
    wants_pong = plan.pong
    missing: CheckFault | None = None
    if plan.words:
        missing = CheckFault("transfer.timeout", "no message arrived")
    for _ in range(_MESSAGES):
        if not (wants_pong or missing):
            return
        talk.awaiting("a message" if missing else "the answer to the ping")
        if missing is not None and messages.count:
            steps.if_late = missing
        opcode, payload = await messages.next()
        if opcode is Opcode.PONG:
            wants_pong = wants_pong and payload != _PING
            continue
        steps.evidence |= {"messages": messages.count, "received": len(payload), "excerpt": excerpt(payload)}
        if missing is not None:
            missing = plan.words.missing(payload)
    raise missing or CheckFault("expect.pong", f"no answer to the ping within {_MESSAGES} messages")


async def _close(plan: Prepared, steps: Steps, talk: Talk, messages: _Messages) -> None:
    """Section 7: a close is answered by a close; what is under way may come before."""
    talk.awaiting("the answer to the close")
    steps.evidence["close"] = code = await messages.closing()
    if code not in plan.close:
        raise CheckFault("expect.close", f"the server closes with the code {code}, expected {_listed(plan.close)}")


def _listed(codes: frozenset[int]) -> str:
    return " or ".join(str(code) for code in sorted(codes))


class _Messages:
    """Whole messages out of frames; a close is a finding. The library answers pings, and refuses what breaks rules."""

    def __init__(self, talk: Talk) -> None:
        self.count = 0
        self._talk = talk
        self._protocol = Protocol(CLIENT, state=OPEN, max_size=_LARGEST)
        self._frames: list[Frame] = []
        self._parts: list[bytes] = []

    async def send(self, *, ping: bytes | None, text: bytes | None) -> None:
        if ping is not None:
            self._protocol.send_ping(ping)
        if text is not None:
            self._protocol.send_text(text)
        await self._flush()

    async def close(self) -> None:
        if self._protocol.state is OPEN:  # else the server was first, and has its answer
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
        await self._flush()

    async def closing(self) -> int:
        """Close, and give the code of the answer: 1005 of one without, 1006 if none came (section 7.1.5)."""
        with suppress(CheckFault):
            await self.close()
            while self._protocol.close_rcvd is None:
                await self._more()
        close = self._protocol.close_rcvd
        return int(CloseCode.ABNORMAL_CLOSURE if close is None else close.code)

    async def next(self) -> tuple[Opcode, bytes]:
        """(TEXT or PONG, its bytes); a binary message counts as text. CheckFault `transfer.*`."""
        while True:
            while not self._frames:
                await self._more()
            frame = self._frames.pop(0)
            if frame.opcode is Opcode.PONG:
                return Opcode.PONG, bytes(frame.data)
            if frame.opcode is Opcode.CLOSE:
                raise self._closed()
            if frame.opcode is not Opcode.PING:
                self._parts.append(bytes(frame.data))
                if frame.fin:
                    message, self._parts = b"".join(self._parts), []
                    self.count += 1
                    return Opcode.TEXT, message

    async def _more(self) -> None:
        if self._protocol.parser_exc is not None:
            raise self._broken(self._protocol.parser_exc)
        self._protocol.receive_data(await self._talk.some())
        self._frames += [one for one in self._protocol.events_received() if isinstance(one, Frame)]
        await self._flush()

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # nothing stands for the end of what is sent
                await self._talk.send(data)

    def _broken(self, error: Exception) -> CheckFault:
        if isinstance(error, PayloadTooBig):
            return CheckFault("transfer.too_large", f"the server sends a message that is too large: {error}")
        return CheckFault("transfer.malformed", f"what arrived violates the WebSocket protocol: {error}")

    def _closed(self) -> CheckFault:
        """RFC 6455, 7.1.5: without a code, 1005 stands for it."""
        close = self._protocol.close_rcvd
        code = CloseCode.NO_STATUS_RCVD if close is None else close.code
        reason = f": {excerpt(close.reason.encode())}" if close is not None and close.reason else ""
        return CheckFault("transfer.closed", f"the server closed the WebSocket with {int(code)}{reason}")
