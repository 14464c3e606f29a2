"""Speak POP3 as far as a login (RFC 1939, 2449, 2595, 5034)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.integrations.checks.mail import (
    LINES_LIMIT,
    Ports,
    Prepared,
    no_starttls,
    not_spoken,
    prepare_session,
    printable,
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
    return prepare_session(order, Ports(110, 995))


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    return await run_session(plan, context, _Pop3)


class _Pop3:
    def __init__(self, talk: Talk, steps: Steps) -> None:
        self._talk = talk
        self._steps = steps
        self._can: dict[str, str] = {}

    async def greet(self) -> str:
        good, text = await self._reply()
        if not good:
            raise CheckFault("expect.greeting", f"the server rejects clients: {excerpt(text)}")
        return text

    async def ask(self) -> None:
        self._talk.awaiting("the answer to CAPA")
        await self._talk.send(b"CAPA\r\n")
        good, _ = await self._reply()
        if not good:  # a server older than RFC 2449 says nothing of what it can do
            self._can = {}
            return
        lines: list[str] = []
        while (line := await self._talk.line()) != b".":
            lines.append(line.decode("utf-8", "replace").upper())
            if len(lines) > LINES_LIMIT:
                raise CheckFault("wait.too_large", f"the server answers with more than {LINES_LIMIT} lines")
        self._can = {word: rest for word, _, rest in (line.partition(" ") for line in lines)}
        self._steps.evidence["extensions"] = sorted(self._can)[:30]

    async def begin_tls(self) -> None:
        if "STLS" not in self._can:
            raise no_starttls()
        self._talk.awaiting("the answer to STLS")
        good, text = await self._command(b"STLS")
        if not good:
            raise CheckFault("expect.starttls", f"the server refuses STLS: {excerpt(text)}")

    async def login(self, username: str, password: str) -> None:
        if "PLAIN" in self._can.get("SASL", "").split():
            good, text = await self._command(b"AUTH PLAIN " + sasl_plain(username, password))
        else:
            good, text = await self._command(b"USER " + printable(username, "user name"))
            if good:
                good, text = await self._command(b"PASS " + printable(password, "password"))
        if not good:
            raise refused(text)

    async def leave(self) -> None:
        await self._talk.send(b"QUIT\r\n")

    async def _command(self, line: bytes) -> tuple[bool, str]:
        await self._talk.send(line + b"\r\n")
        return await self._reply()

    async def _reply(self) -> tuple[bool, str]:
        line = await self._talk.line()
        word, _, text = line.partition(b" ")
        if word.upper() not in (b"+OK", b"-ERR"):
            raise not_spoken("POP3", line)
        return word.upper() == b"+OK", text.decode("utf-8", "replace")
