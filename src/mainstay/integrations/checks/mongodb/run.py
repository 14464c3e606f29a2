"""Greet a MongoDB server, sign in and run one command. Phases: `wait` is greeting and login, `transfer` the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.integrations.checks.certificates import enough_days
from mainstay.integrations.checks.mongodb.wire import MESSAGE_LIMIT, Session
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, excerpt
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.kernel.jsonpath import Places
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_PORT = 27017
_LIMITED = {"aggregate", "count", "distinct", "find"}  # commands that take maxTimeMS and may need it


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    endpoint: Endpoint
    username: str
    password: str
    auth_database: str
    database: str
    command: dict[str, Any]
    role: str
    places: Places
    days: float | None
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    return Prepared(
        timeout=order.timeout,
        endpoint=Endpoint.of(target, _PORT, tls=bool(target.get("tls"))),
        username=target.get("username") or "",
        password=target.get("password") or "",
        auth_database=target.get("auth_database") or "admin",
        database=target.get("database") or "admin",
        command=target.get("command") or {"ping": 1},
        role=expect.get("role") or "",
        places=Places(expect.get("json")),
        days=expect.get("certificate_days"),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        async with plan.endpoint.opened(steps, context) as stream:
            answer = await _converse(plan, steps, Talk(steps, stream, limit=MESSAGE_LIMIT))
        steps.current = "expect"
        _judge(plan, steps, answer)
        if plan.endpoint.tls:
            enough_days(steps.path, plan.days)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _converse(plan: Prepared, steps: Steps, talk: Talk) -> dict[str, Any]:
    session = Session(talk)
    with steps.phase("wait"):
        talk.awaiting("the answer to hello")
        wish = {"saslSupportedMechs": f"{plan.auth_database}.{plan.username}"} if plan.username else {}
        hello = await session.command({"hello": 1, **wish}, "admin")
        steps.evidence["role"] = role = _role(hello)
        if isinstance(hello.get("setName"), str):
            steps.evidence["replica_set"] = hello["setName"][:100]
        if plan.username:
            talk.awaiting("the answer to the login")
            known = hello.get("saslSupportedMechs")
            known = known if isinstance(known, list) else []
            await session.login(plan.username, plan.password, plan.auth_database, known)
    name = next(iter(plan.command))
    with steps.phase("transfer"):
        talk.awaiting(f"the answer to {name[:40]}")
        limit = {"maxTimeMS": max(1, int(steps.remaining * 1000))} if name in _LIMITED else {}
        answer = await session.command({**plan.command, **limit}, plan.database)
    if plan.role and role != plan.role:
        raise CheckFault("expect.role", f"the server is {role}, not {plan.role}")
    return answer


def _role(hello: dict[str, Any]) -> str:
    if hello.get("msg") == "isdbgrid":
        return "mongos"
    if hello.get("isWritablePrimary"):
        return "primary" if hello.get("setName") else "standalone"
    return "secondary" if hello.get("secondary") else "neither primary nor secondary"


def _judge(plan: Prepared, steps: Steps, answer: dict[str, Any]) -> None:
    steps.evidence["answer"] = excerpt(msgspec.json.encode(answer, enc_hook=str).decode())
    if problems := plan.places.problems(answer):
        raise CheckFault("expect.json", problems)
