"""Send a packet and look at what comes back. Silence cannot be told from a lost packet, so packets are repeated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.datagrams import exchange
from mainstay.integrations.checks.endpoints import split_endpoint
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, excerpt, find_addresses
from mainstay.integrations.checks.words import Words
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_REFUSAL_WITHIN = 1.0  # seconds; an ICMP message takes a round trip


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    host: str
    port: int
    payload: bytes
    words: Words
    bytes_wanted: bytes
    answer: bool
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    host, port = split_endpoint(target["address"])
    coded = target.get("send_hex")
    return Prepared(
        timeout=order.timeout,
        host=host,
        port=port,
        payload=bytes.fromhex(coded) if coded is not None else (target.get("send") or "").encode(),
        words=Words(expect),
        bytes_wanted=bytes.fromhex(expect.get("contains_hex") or ""),
        answer=expect.get("answer", True),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        addresses = await find_addresses(steps, context, plan.host)
        if plan.answer:
            await _ask(plan, steps, addresses)
        else:
            await _provoke(plan, steps, addresses)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _ask(plan: Prepared, steps: Steps, addresses: list[str]) -> None:
    def judge(data: bytes) -> CheckFault | None:
        steps.evidence |= {"received": len(data), "excerpt": excerpt(data)}
        if plan.bytes_wanted and plan.bytes_wanted not in data:
            wanted = plan.bytes_wanted[:20].hex(" ")
            return CheckFault("expect.contains", f"`{wanted}` is not in the {len(data)} bytes received")
        return plan.words.missing(data)

    await exchange(steps, addresses, plan.port, lambda: plan.payload, judge)


async def _provoke(plan: Prepared, steps: Steps, addresses: list[str]) -> None:
    """Whatever comes, or nothing, is good; only a refusal is not."""
    try:
        async with asyncio.timeout(min(_REFUSAL_WITHIN, steps.remaining / 2)):
            await exchange(steps, addresses[:1], plan.port, lambda: plan.payload, lambda _data: None)
            steps.evidence["answered"] = True
    except TimeoutError:
        steps.evidence["answered"] = False
        steps.phases.pop("wait", None)  # waiting for nothing tells no time
