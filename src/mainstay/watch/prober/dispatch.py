"""From an order to the code of its kind, imported when first used."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from mainstay.kernel.masking import Masker
from mainstay.kernel.patterns import BadPattern
from mainstay.kernel.probing import CheckFault, CheckOrder, CheckResult, finding
from mainstay.watch.prober.context import Preferring

if TYPE_CHECKING:
    from mainstay.kernel.ports import CheckContext
    from mainstay.watch.prober.context import Context

_KIND = re.compile(r"[a-z][a-z0-9_]{0,30}")
_MISTAKES = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_UNFILLED = re.compile(r"\$\{(?:env|file|vault):[^{}]*\}")


class PreparedCheck:
    """One order with its plan; `run` never raises for what a target does."""

    __slots__ = ("_masker", "_plan", "_run", "order")

    def __init__(self, order: CheckOrder, run: Any, plan: Any) -> None:
        self.order = order
        self._run = run
        self._plan = plan
        self._masker = Masker(order.secrets) if order.secrets else None

    async def run(self, context: Context) -> CheckResult:
        try:
            found: CheckResult = await self._run(self._plan, _lent(context, self.order))
        except CheckFault as fault:
            found = finding(fault.verdict, fault.code, fault.message, evidence=dict(fault.evidence))
        if self._masker is not None:  # a server may send back what it was sent
            found.message = self._masker.text(found.message)
            found.evidence = self._masker.value(found.evidence)
        return found


def _lent(context: Context, order: CheckOrder) -> CheckContext:
    """An order may prefer a version of IP: `addresses: {prefer: 4 or 6, fallback: ...}`."""
    wanted = order.options.get("addresses")
    return Preferring(context, wanted["prefer"], fallback=wanted["fallback"]) if wanted else context


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
    if unfilled := _unfilled(order.options):
        return PreparedCheck(order, _refuse, ("check.secret_missing", f"the secret {unfilled} has no value"))
    try:
        return PreparedCheck(order, runner.run, runner.prepare(order))
    except CheckFault as fault:
        return PreparedCheck(order, _refuse, (fault.code, fault.message))
    except BadPattern as fault:
        return PreparedCheck(order, _refuse, ("check.bad_pattern", str(fault)))
    except _MISTAKES as mistake:
        # An order is a validated document; this is a difference between spec.py and run.py, shown, not hidden.
        # Only the name of a missing field is repeated: other texts may quote a secret.
        detail = f" {mistake}" if isinstance(mistake, KeyError) else ""
        reason = f"the order cannot be read: {type(mistake).__name__}{detail[:100]}"
        return PreparedCheck(order, _refuse, ("check.bad_order", reason))


def _unfilled(value: Any) -> str:
    """The first reference that was not replaced by its value, or the empty string."""
    if isinstance(value, str):
        match = _UNFILLED.search(value)
        return match[0] if match else ""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((found for item in inner if (found := _unfilled(item))), "")


async def _refuse(reason: tuple[str, str], context: Context) -> CheckResult:  # noqa: ARG001
    code, message = reason
    return finding("unknown", code, message)
