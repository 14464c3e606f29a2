"""Sign in to Redis and run one command. Phases: `wait` is the login, `transfer` the command."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.certificates import enough_days
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document
from mainstay.integrations.checks.redis.resp import SIZE_LIMIT, Refusal, command, read
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.integrations.checks.words import Values, shown
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_PORT = 6379
_NOT_NOW = {"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN"}
_LOGIN_REFUSED = {"WRONGPASS", "NOAUTH", "NOPERM"}


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    endpoint: Endpoint
    login: tuple[str, ...]
    database: int
    command: tuple[str, ...]
    values: Values
    days: float | None
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    given = [target[key] for key in ("username", "password") if target.get(key)]
    return Prepared(
        timeout=order.timeout,
        endpoint=Endpoint.of(target, _PORT, tls=bool(target.get("tls"))),
        login=("AUTH", *given) if target.get("password") else (),
        database=target.get("database") or 0,
        command=tuple(shlex.split(target.get("command") or "PING")),
        values=Values(expect),
        days=expect.get("certificate_days"),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        async with plan.endpoint.opened(steps, context) as stream:
            value = await _converse(plan, steps, Talk(steps, stream, limit=SIZE_LIMIT))
        _judge(plan, steps, value)

    return await carry_out(plan.timeout, walk)


async def _converse(plan: Prepared, steps: Steps, talk: Talk) -> Any:
    openings = [plan.login] if plan.login else []
    if plan.database:
        openings.append(("SELECT", str(plan.database)))
    for words in openings:
        with steps.phase("wait"):
            talk.awaiting(f"the answer to {words[0]}")
            await _ask(talk, words, "expect.login" if words[0] == "AUTH" else "expect.database")
    name = plan.command[0].upper()[:40]
    with steps.phase("transfer" if openings else "wait"):
        talk.awaiting(f"the answer to {name}")
        value = await _ask(talk, plan.command, "expect.command")
        with suppress(CheckFault):  # everything that was asked for has been answered
            await talk.send(command(["QUIT"]))
    return value


async def _ask(talk: Talk, words: tuple[str, ...], code: str) -> Any:
    await talk.send(command(words))
    try:
        return await read(talk)
    except Refusal as refusal:
        if refusal.name in _NOT_NOW:
            raise CheckFault("wait.refused", f"the server is not serving: {refusal}") from None
        code = "expect.login" if refusal.name in _LOGIN_REFUSED else code
        raise CheckFault(code, f"the server refuses {words[0].upper()[:40]}: {refusal}") from None


def _judge(plan: Prepared, steps: Steps, answer: Any) -> None:
    steps.current = "expect"
    value = answer
    while isinstance(value, list):
        value = value[0] if value else None
    steps.evidence["value"] = shown(value)
    if isinstance(answer, list):
        steps.evidence["elements"] = len(answer)
    # A key that is not there has no value, and an expectation of one is not met.
    plan.values.judge(value, 1)
    if plan.endpoint.tls:
        enough_days(steps.path, plan.days)
    plan.limits.judge(steps.taken)
