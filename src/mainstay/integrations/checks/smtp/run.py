"""Speak SMTP up to the point where a message would be sent (RFC 5321, 3207, 4954)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mainstay.integrations.checks.mail import (
    LINES_LIMIT,
    Ports,
    Prepared,
    no_starttls,
    not_spoken,
    prepare_session,
    refused,
    run_session,
    sasl_plain,
)
from mainstay.integrations.checks.progress import excerpt
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.integrations.checks.sessions import Talk
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult


def prepare(order: CheckOrder) -> Prepared:
    return prepare_session(order, Ports(25, 465))


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    return await run_session(plan, context, lambda talk, steps: _Smtp(talk, steps, plan.hello))


class _Smtp:
    def __init__(self, talk: Talk, steps: Steps, hello: str) -> None:
        self._talk = talk
        self._steps = steps
        self._hello = hello
        self._can: dict[str, str] = {}  # keyword of EHLO -> its parameters, both in capitals

    async def greet(self) -> str:
        code, text = await self._reply()
        if code != 220:
            raise CheckFault("expect.greeting", f"the server rejects clients: {code} {excerpt(text)}")
        return text

    async def ask(self) -> None:
        self._talk.awaiting("the answer to EHLO")
        code, text = await self._command(f"EHLO {self._hello or self._own_address()}".encode())
        if code != 250:
            raise CheckFault("wait.refused", f"the server refuses EHLO: {code} {excerpt(text)}")
        lines = text.upper().split("\n")[1:]
        self._can = {word: rest for word, _, rest in (line.partition(" ") for line in lines)}
        self._steps.evidence["extensions"] = sorted(self._can)[:30]

    async def begin_tls(self) -> None:
        if "STARTTLS" not in self._can:
            raise no_starttls()
        self._talk.awaiting("the answer to STARTTLS")
        code, text = await self._command(b"STARTTLS")
        if code != 220:
            raise CheckFault("expect.starttls", f"the server refuses STARTTLS: {code} {excerpt(text)}")

    async def login(self, username: str, password: str) -> None:
        ways = self._can.get("AUTH", "").split()
        if "PLAIN" in ways:
            code, text = await self._command(b"AUTH PLAIN " + sasl_plain(username, password))
        elif "LOGIN" in ways:
            code, text = await self._command(b"AUTH LOGIN " + base64.b64encode(username.encode()))
            if code == 334:
                code, text = await self._command(base64.b64encode(password.encode()))
        else:
            offered = ", ".join(ways[:10]) or "none"
            raise CheckFault("expect.login", f"the server offers no login by PLAIN or LOGIN here (offered: {offered})")
        if code != 235:
            raise refused(f"{code} {text}")

    async def leave(self) -> None:
        await self._talk.send(b"QUIT\r\n")

    def _own_address(self) -> str:
        own = self._talk.stream.local_address
        return f"[IPv6:{own}]" if ":" in own else f"[{own}]"  # RFC 5321, 4.1.3

    async def _command(self, line: bytes) -> tuple[int, str]:
        await self._talk.send(line + b"\r\n")
        return await self._reply()

    async def _reply(self) -> tuple[int, str]:
        """(code, its lines without the code)."""
        lines: list[str] = []
        while len(lines) < LINES_LIMIT:
            line = await self._talk.line()
            code, separator, text = line[:3], line[3:4], line[4:]
            if not code.isdigit() or len(code) < 3 or separator not in (b" ", b"-", b""):
                raise not_spoken("SMTP", line)
            lines.append(text.decode("utf-8", "replace"))
            if separator != b"-":
                return int(code), "\n".join(lines)
        raise CheckFault("wait.too_large", f"the server answers with more than {LINES_LIMIT} lines")
