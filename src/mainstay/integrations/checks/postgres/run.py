"""Sign in to PostgreSQL and run one statement. Phases: `wait` is the login, `transfer` the statement."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mainstay.integrations.checks.certificates import enough_days
from mainstay.integrations.checks.postgres.wire import MESSAGE_LIMIT, Session
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.integrations.checks.words import Values, shown
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_PORT = 5432


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    endpoint: Endpoint
    username: str
    password: str
    database: str
    query: str
    values: Values
    days: float | None
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    words = {key: target.get(key) or "" for key in ("username", "password", "database", "query")}
    if any("\0" in word for word in words.values()):
        raise CheckFault("check.bad_secret", "a value holds a zero byte, which cannot be sent to PostgreSQL")
    return Prepared(
        timeout=order.timeout,
        endpoint=Endpoint.of(target, _PORT, tls=bool(target.get("tls"))),
        username=words["username"] or "postgres",
        password=words["password"],
        database=words["database"],
        query=words["query"] or "SELECT 1",
        values=Values(expect),
        days=expect.get("certificate_days"),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        stream = await plan.endpoint.connect(steps, context)
        try:
            talk = Talk(steps, stream, limit=MESSAGE_LIMIT)
            local = ip_address(stream.peer_address.partition("%")[0]).is_loopback
            session = Session(talk, confidential=plan.endpoint.tls or local)
            if plan.endpoint.tls:
                with steps.phase("wait"):
                    await _ask_for_tls(talk, session)
                await plan.endpoint.secure(steps, context, stream)
            await _use(plan, steps, talk, session)
        finally:
            stream.close()
        if plan.endpoint.tls:
            enough_days(steps.path, plan.days)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _ask_for_tls(talk: Talk, session: Session) -> None:
    talk.awaiting("the answer to the request for TLS")
    if not await session.offers_tls():
        raise CheckFault("expect.tls", "the server does not offer TLS")
    if talk.unread:  # see CVE-2021-23222: somebody on the way may have put it there
        raise CheckFault("tls.handshake", "the server sent data between accepting TLS and starting it")


async def _use(plan: Prepared, steps: Steps, talk: Talk, session: Session) -> None:
    with steps.phase("wait"):
        talk.awaiting("the answer to the login")
        await session.login(plan.username, plan.password, plan.database)
        steps.evidence["server"] = session.parameters.get("server_version", "")[:100]
        if "in_hot_standby" in session.parameters:
            steps.evidence["standby"] = session.parameters["in_hot_standby"] == "on"
    with steps.phase("transfer"):
        talk.awaiting("the answer to the query")
        left = max(1, int(steps.remaining * 1000))  # the server stops too when nobody waits any more
        await session.query(f"BEGIN READ ONLY; SET LOCAL statement_timeout = {left}")
        answer = await session.query(plan.query)
        with suppress(CheckFault):  # everything that was asked for has been answered
            await session.leave()
    steps.current = "expect"
    steps.evidence["rows"] = answer.rows
    if answer.rows:
        steps.evidence["value"] = shown(answer.value)
    plan.values.judge(answer.value, answer.rows)
