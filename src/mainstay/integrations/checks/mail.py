"""The course that sessions with mail servers share: greeting, capabilities, TLS, login, certificate.

RFC 3207 (STARTTLS of SMTP), RFC 9051 (IMAP), RFC 2595 and 2449 (POP3), RFC 4616 (SASL PLAIN). Phases: `wait` is
the greeting and what the server can do, `tls` the handshake, `transfer` what is said afterwards.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mainstay.integrations.checks.certificates import enough_days
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, excerpt
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

LINES_LIMIT = 200  # of one answer


@dataclass(frozen=True, slots=True)
class Ports:
    plain: int
    tls: int


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    endpoint: Endpoint
    security: str
    username: str
    password: str
    hello: str  # what an SMTP client calls itself; empty: its address
    greeting: str
    days: float | None
    limits: LatencyLimits


class Dialect(Protocol):
    """The commands of one protocol. Every method raises CheckFault when the server says no."""

    async def greet(self) -> str:
        """The first line."""

    async def ask(self) -> None:
        """Learn what the server can do; once more after TLS."""

    async def begin_tls(self) -> None:
        """CheckFault `expect.starttls` where it is not offered."""

    async def login(self, username: str, password: str) -> None:
        """CheckFault `expect.login` where it is refused."""

    async def leave(self) -> None:
        """Say good-bye; nobody waits for the answer."""


def prepare_session(order: CheckOrder, ports: Ports) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    endpoint = Endpoint.of(target, ports.plain, tls=True)
    return Prepared(
        timeout=order.timeout,
        endpoint=endpoint,
        security=target.get("security") or ("tls" if endpoint.port == ports.tls else "starttls"),
        username=target.get("username") or "",
        password=target.get("password") or "",
        hello=target.get("hello") or "",
        greeting=expect.get("greeting") or "",
        days=expect.get("certificate_days"),
        limits=LatencyLimits(expect),
    )


async def run_session(plan: Prepared, context: CheckContext, speak: Callable[[Talk, Steps], Dialect]) -> CheckResult:
    async def walk(steps: Steps) -> None:
        stream = await plan.endpoint.connect(steps, context)
        try:
            if plan.security == "tls":
                await plan.endpoint.secure(steps, context, stream)
            talk = Talk(steps, stream)
            await _converse(plan, context, steps, talk, speak(talk, steps))
        finally:
            stream.close()
        steps.current = "expect"
        if plan.security != "none":
            enough_days(steps.path, plan.days)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _converse(plan: Prepared, context: CheckContext, steps: Steps, talk: Talk, dialect: Dialect) -> None:
    with steps.phase("wait"):
        talk.awaiting("the greeting")
        greeting = await dialect.greet()
        steps.evidence["greeting"] = excerpt(greeting)
        if plan.greeting and plan.greeting not in greeting:
            raise CheckFault("expect.greeting", f"`{plan.greeting[:100]}` is not in the greeting")
        await dialect.ask()
        if plan.security == "starttls":
            await dialect.begin_tls()
    if plan.security == "starttls":
        if talk.unread:  # somebody on the way may have put it there, to be taken for something said under TLS
            raise CheckFault("tls.handshake", "the server sent data between accepting TLS and starting it")
        await plan.endpoint.secure(steps, context, talk.stream)
    with steps.phase("transfer"):
        if plan.security == "starttls" and plan.username:
            await dialect.ask()  # what was said before TLS may have been forged
        if plan.username:
            talk.awaiting("the answer to the login")
            await _sign_in(plan, dialect)
            steps.evidence["login"] = True
        with suppress(CheckFault):  # everything that was asked for has been answered
            await dialect.leave()


async def _sign_in(plan: Prepared, dialect: Dialect) -> None:
    """Servers may quote what they did not like, and the password travels in base 64."""
    try:
        await dialect.login(plan.username, plan.password)
    except CheckFault as fault:
        message = fault.message
        for coded in (sasl_plain(plan.username, plan.password), base64.b64encode(plan.password.encode())):
            message = message.replace(coded.decode(), "***")
        raise CheckFault(fault.code, message, verdict=fault.verdict) from None


def sasl_plain(username: str, password: str) -> bytes:
    """RFC 4616, without an authorization identity."""
    return base64.b64encode(b"\0" + username.encode() + b"\0" + password.encode())


def printable(text: str, what: str) -> bytes:
    """As an argument of a command; CheckFault for what would end the line."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        reason = f"the {what} holds a line break or a control character, which cannot be sent to this server"
        raise CheckFault("check.bad_secret", reason, verdict="unknown")
    return text.encode()


def refused(answer: bytes | str) -> CheckFault:
    return CheckFault("expect.login", f"the server refuses the login: {excerpt(answer)}")


def not_spoken(protocol: str, answer: bytes) -> CheckFault:
    return CheckFault("wait.malformed", f"the server does not speak {protocol}: it says `{excerpt(answer[:80])}`")


def no_starttls() -> CheckFault:
    reason = "the server does not offer TLS on this port; if that is intended, set `security: none`"
    return CheckFault("expect.starttls", reason)
