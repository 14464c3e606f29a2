"""Run a plugin and take its word: exit code 0 is up, 1 degraded, 2 down, 3 unknown."""

from __future__ import annotations

import asyncio
import shlex
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.plugin.output import parse
from mainstay.integrations.checks.plugin.programs import OUTPUT_LIMIT, Ended, execute, find_program
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, excerpt
from mainstay.kernel.masking import Masker
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult, Verdict

_AT_ONCE = 16  # programs that one prober runs at a time
_MEANINGS: dict[int, tuple[Verdict, str]] = {
    1: ("degraded", "expect.warning"),
    2: ("down", "expect.critical"),
    3: ("unknown", "check.plugin_unknown"),
}


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    command: tuple[str, ...]
    env: dict[str, str]
    masker: Masker
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target = document(order, "target")
    return Prepared(
        timeout=order.timeout,
        command=tuple(str(word) for word in target["command"]),
        env={str(name): str(value) for name, value in (target.get("env") or {}).items()},
        masker=Masker(order.secrets),
        limits=LatencyLimits(document(order, "expect")),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    turns = context.shared("plugin.turns", lambda: asyncio.Semaphore(_AT_ONCE))

    async def walk(steps: Steps) -> None:
        steps.evidence["command"] = plan.masker.text(shlex.join(plan.command))[:500]
        path = find_program(plan.command[0], context.configured.plugin_dirs)
        steps.if_late = CheckFault("check.busy", "too many plugins are running at once", verdict="unknown")
        async with turns:
            steps.if_late = None
            with steps.phase("wait"):
                ended = await execute(path, plan.command, plan.env)
        _judge(plan, steps, ended)

    return await carry_out(plan.timeout, walk)


def _judge(plan: Prepared, steps: Steps, ended: Ended) -> None:
    printed = plan.masker.text(ended.output.decode("utf-8", "replace"))
    found = parse(printed)
    steps.evidence |= _shown(plan, ended, found.more, found.performance)
    text = excerpt(found.text)
    if text:
        steps.evidence["text"] = text
    if ended.cut:
        raise CheckFault("check.plugin_output", f"it printed over {OUTPUT_LIMIT // 1024} KiB", verdict="unknown")
    if ended.status in _MEANINGS:
        verdict, code = _MEANINGS[ended.status]
        raise CheckFault(code, text or f"exit code {ended.status}, without output", verdict=verdict)
    if ended.status != 0:
        raise CheckFault("check.plugin_failed", _failure(ended, text), verdict="unknown")
    plan.limits.judge(steps.taken)


def _shown(plan: Prepared, ended: Ended, more: str, performance: list[dict[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {"exit_code": ended.status}
    if more:
        shown["more"] = excerpt(more)
    if performance:
        shown["performance"] = performance
    if ended.errors and ended.status:
        shown["errors"] = excerpt(plan.masker.text(ended.errors.decode("utf-8", "replace")))
    return shown


def _failure(ended: Ended, text: str) -> str:
    said = f": {text}" if text else ""
    if ended.status < 0:
        return f"the plugin was ended by {signal.Signals(-ended.status).name}{said}"
    return f"exit code {ended.status} is not a plugin status (0 to 3){said}"
