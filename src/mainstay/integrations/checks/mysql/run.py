"""Sign in to MySQL or MariaDB and run one statement. Phases: `wait` is the login, `transfer` the statement."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.certificates import enough_days
from mainstay.integrations.checks.mysql.wire import PACKET_LIMIT, Session
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.integrations.checks.words import Values, shown
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_PORT = 3306


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
    words = {key: target.get(key) or "" for key in ("username", "password", "database")}
    if any("\0" in word for word in words.values()):
        raise CheckFault("check.bad_secret", "a value holds a zero byte, which cannot be sent to MySQL")
    return Prepared(
        timeout=order.timeout,
        endpoint=Endpoint.of(target, _PORT, tls=bool(target.get("tls"))),
        username=words["username"] or "root",
        password=words["password"],
        database=words["database"],
        query=target.get("query") or "SELECT 1",
        values=Values(expect),
        days=expect.get("certificate_days"),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        stream = await plan.endpoint.connect(steps, context)
        try:
            talk = Talk(steps, stream, limit=PACKET_LIMIT)
            session = Session(talk)
            with steps.phase("wait"):
                talk.awaiting("the greeting")
                steps.evidence["server"] = (await session.greet()).version
                if plan.endpoint.tls:
                    await session.begin_tls()
            if plan.endpoint.tls:
                if talk.unread:  # somebody on the way may have put it there, to be taken for something said under TLS
                    raise CheckFault("tls.handshake", "the server sent data before TLS")
                await plan.endpoint.secure(steps, context, stream)
            await _use(plan, steps, talk, session)
        finally:
            stream.close()
        if plan.endpoint.tls:
            enough_days(steps.path, plan.days)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _use(plan: Prepared, steps: Steps, talk: Talk, session: Session) -> None:
    with steps.phase("wait"):
        talk.awaiting("the answer to the login")
        await session.login(plan.username, plan.password, plan.database)
    with steps.phase("transfer"):
        talk.awaiting("the answer to the query")
        await _limit_on_the_server(steps, session)
        # For the session and not for one transaction: DROP and the like would end that, and then be carried out.
        await session.query("SET SESSION TRANSACTION READ ONLY")
        answer = await session.query(plan.query)
        with suppress(CheckFault):  # everything that was asked for has been answered
            await session.leave()
    steps.current = "expect"
    steps.evidence["rows"] = answer.rows
    if answer.rows:
        steps.evidence["value"] = shown(answer.value)
    plan.values.judge(answer.value, answer.rows)


async def _limit_on_the_server(steps: Steps, session: Session) -> None:
    """The server stops too when nobody waits any more. What is older than the variable goes without."""
    left = max(0.001, steps.remaining)
    if "mariadb" in str(steps.evidence["server"]).lower():
        statement = f"SET SESSION max_statement_time = {left:.3f}"
    else:
        statement = f"SET SESSION max_execution_time = {max(1, int(left * 1000))}"
    try:
        await session.query(statement)
    except CheckFault as fault:
        if fault.code != "expect.query":
            raise
