"""Run a check the way the server orders it: the document validated, then its secrets filled in."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from tests.rigs.check_servers import order_for

from mainstay.kernel.probing import CheckResult
from mainstay.kernel.secret import resolve
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare


def run_filled(
    kind: str,
    target: Any,
    expect: dict[str, Any] | None = None,
    *,
    secrets: dict[str, str] | None = None,
    limit: float = 5.0,
    context: Context | None = None,
) -> CheckResult:
    """`secrets`: what `${env:NAME}` stands for. None of the values is in what comes back."""
    values = secrets or {}
    order = order_for(kind, target, expect, limit)
    options = resolve(order.options, lambda _source, name: values[name])
    order = msgspec.structs.replace(order, options=options, secrets=tuple(values.values()))
    result = asyncio.run(prepare(order).run(context or Context()))
    shown = repr((result.message, result.evidence))
    assert not any(value in shown for value in values.values() if len(value) > 3), shown
    assert len(shown) < 20_000
    return result
