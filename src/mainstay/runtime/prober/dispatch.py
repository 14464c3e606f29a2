"""From an order to the code of its kind, imported when first used."""

from __future__ import annotations

import asyncio
import importlib
import re
import time
from typing import TYPE_CHECKING, Any

from mainstay.kernel.probing import CheckFault, CheckOrder, CheckResult, finding

if TYPE_CHECKING:
    from mainstay.runtime.prober.context import Context

_KIND = re.compile(r"[a-z][a-z0-9_]{0,30}")
_BACKSTOP = 0.5  # seconds beyond the timeout after which a run that does not keep to it is cancelled


class PreparedCheck:
    """One order with its plan; `run` never raises for what a target does."""

    __slots__ = ("_plan", "_run", "order")

    def __init__(self, order: CheckOrder, run: Any, plan: Any) -> None:
        self.order = order
        self._run = run
        self._plan = plan

    async def run(self, context: Context, lag: float = 0.0, *, scheduled: bool = True) -> CheckResult:
        at = time.time()
        began = time.monotonic()
        result = await self._outcome(context)
        result.uid = self.order.uid
        result.at = at
        result.lag = lag
        result.duration = result.duration or time.monotonic() - began
        result.scheduled = scheduled
        return result

    async def _outcome(self, context: Context) -> CheckResult:
        try:
            async with asyncio.timeout(self.order.timeout + _BACKSTOP):
                found: CheckResult = await self._run(self._plan, context)
                return found
        except CheckFault as fault:
            return finding(fault.verdict, fault.code, fault.message, evidence=dict(fault.evidence))
        except TimeoutError:
            return finding("down", "check.timeout", f"no result within {self.order.timeout:g} s")


def prepare(order: CheckOrder) -> PreparedCheck:
    """Import the kind and compile the order. An order that cannot run yields a check that says why."""
    try:
        if not _KIND.fullmatch(order.kind):
            raise ModuleNotFoundError(order.kind)
        runner = importlib.import_module(f"mainstay.integrations.checks.{order.kind}.run")
    except ModuleNotFoundError as missing:
        return PreparedCheck(
            order, _refuse, ("check.kind_missing", f"checks of kind {order.kind[:40]} cannot run here: {missing}")
        )
    try:
        return PreparedCheck(order, runner.run, runner.prepare(order))
    except CheckFault as fault:
        return PreparedCheck(order, _refuse, (fault.code, fault.message))
    except (KeyError, TypeError, ValueError) as mistake:
        # An order is a validated document; this is a difference between spec.py and run.py, shown, not hidden.
        reason = f"the order cannot be read: {type(mistake).__name__}: {mistake}"
        return PreparedCheck(order, _refuse, ("check.bad_order", reason[:300]))


async def _refuse(reason: tuple[str, str], context: Context) -> CheckResult:  # noqa: ARG001
    code, message = reason
    return finding("unknown", code, message)
