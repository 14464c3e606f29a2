"""Speak IMAP as far as a login (RFC 9051, 4959)."""

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
    return prepare_session(order, Ports(143, 993))


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    return await run_session(plan, context, _Imap)


class _Imap:
    def __init__(self, talk: Talk, steps: Steps) -> None:
        self._talk = talk
        self._steps = steps
        self._count = 0
        self._can: set[str] = set()

    async def greet(self) -> str:
        line = await self._talk.line()
        kind = line[:6].upper()
        if kind.startswith((b"* OK", b"* PREA")):
            return line[2:].decode("utf-8", "replace")
        if kind.startswith(b"* BYE"):
            raise CheckFault("expect.greeting", f"the server rejects clients: {excerpt(line[2:])}")
        raise not_spoken("IMAP", line)

    async def ask(self) -> None:
        self._talk.awaiting("the answer to CAPABILITY")
        status, text, untagged = await self._command(b"CAPABILITY")
        if status != "OK":
            raise CheckFault("wait.refused", f"the server refuses CAPABILITY: {excerpt(text)}")
        listed = [line.upper().split()[2:] for line in untagged if line.upper().startswith(b"* CAPABILITY")]
        self._can = {word.decode("ascii", "replace") for words in listed for word in words}
        self._steps.evidence["extensions"] = sorted(self._can)[:30]

    async def begin_tls(self) -> None:
        if "STARTTLS" not in self._can:
            raise no_starttls()
        self._talk.awaiting("the answer to STARTTLS")
        status, text, _ = await self._command(b"STARTTLS")
        if status != "OK":
            raise CheckFault("expect.starttls", f"the server refuses STARTTLS: {excerpt(text)}")

    async def login(self, username: str, password: str) -> None:
        if {"AUTH=PLAIN", "SASL-IR"} <= self._can:
            status, text, _ = await self._command(b"AUTHENTICATE PLAIN " + sasl_plain(username, password))
        elif "LOGINDISABLED" in self._can:
            raise CheckFault("expect.login", "the server allows no login here (LOGINDISABLED)")
        else:
            words = _quoted(username, "user name") + b" " + _quoted(password, "password")
            status, text, _ = await self._command(b"LOGIN " + words)
        if status != "OK":
            raise refused(text)

    async def leave(self) -> None:
        await self._talk.send(b"z LOGOUT\r\n")

    async def _command(self, line: bytes) -> tuple[str, str, list[bytes]]:
        """(OK, NO or BAD, its text, the untagged lines before)."""
        self._count += 1
        tag = b"a%d" % self._count
        await self._talk.send(tag + b" " + line + b"\r\n")
        untagged: list[bytes] = []
        while len(untagged) < LINES_LIMIT:
            answer = await self._talk.line()
            if answer.startswith(tag + b" "):
                status, _, text = answer[len(tag) + 1 :].decode("utf-8", "replace").partition(" ")
                return status.upper(), text, untagged
            if not answer.startswith((b"* ", b"+")):
                raise not_spoken("IMAP", answer)
            if answer[:6].upper() == b"* BYE ":
                raise CheckFault("wait.closed", f"the server ends the session: {excerpt(answer[2:])}")
            untagged.append(answer)
        raise CheckFault("wait.too_large", f"the server answers with more than {LINES_LIMIT} lines")


def _quoted(text: str, what: str) -> bytes:
    return b'"' + printable(text, what).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
