"""Read an SSH server's banner and make it prove its host key; nobody signs in.

Phases: `wait` is the banner, `transfer` the key agreement.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay import __version__
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_PORT = 22


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    endpoint: Endpoint
    key_type: str
    host_keys: list[str]
    banner: str
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    importlib.import_module("mainstay.integrations.checks.ssh.transport")  # with what it computes by, once
    return Prepared(
        timeout=order.timeout,
        endpoint=Endpoint.of(target, _PORT, tls=False),
        key_type=target.get("key_type") or "",
        host_keys=expect.get("host_key") or [],
        banner=expect.get("banner") or "",
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        stream = await plan.endpoint.connect(steps, context)
        try:
            await _converse(plan, steps, Talk(steps, stream))
        finally:
            stream.close()
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _converse(plan: Prepared, steps: Steps, talk: Talk) -> None:
    from mainstay.integrations.checks.ssh.transport import Transport

    transport = Transport(talk, __version__)
    with steps.phase("wait"):
        talk.awaiting("the banner")
        banner = await transport.exchange_versions()
        steps.evidence["banner"] = banner
        if plan.banner and plan.banner not in banner:
            raise CheckFault("expect.banner", f"`{plan.banner[:100]}` is not in the banner `{banner[:100]}`")
    with steps.phase("transfer"):
        talk.awaiting("the server's part of the key agreement")
        key = await transport.agree(plan.key_type)
        with suppress(CheckFault):  # everything that was asked for has been answered
            await transport.leave()
    steps.current = "expect"
    steps.evidence["host_key"] = {"type": key.kind, "bits": key.bits, "fingerprint": key.fingerprint}
    steps.evidence["key_agreement"] = key.agreement
    if plan.host_keys and key.fingerprint not in plan.host_keys:
        sentence = f"the server presents the {key.kind} key {key.fingerprint}, which is not one of those expected"
        raise CheckFault("expect.host_key", sentence)
