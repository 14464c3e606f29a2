"""Ask an NTP server for the time once, as SNTP clients do (RFC 5905, section 14)."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.datagrams import exchange
from mainstay.integrations.checks.endpoints import split_endpoint
from mainstay.integrations.checks.ntp.packets import Reply, clock, facts, question, read, reference_name, timestamp
from mainstay.integrations.checks.progress import (
    LatencyLimits,
    carry_out,
    describe_seconds,
    document,
    find_addresses,
)
from mainstay.kernel.probing import CheckFault
from mainstay.kernel.timespan import parse_duration

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_PORT = 123
_NOT_SET = 3
_KISSES = {"RATE": "we query too often", "DENY": "it refuses this client", "RSTR": "it refuses this client"}


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    host: str
    port: int
    offset: float
    degraded_offset: float | None
    stratum: int
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    host, port = split_endpoint(target["address"], _PORT)
    degraded = expect.get("degraded_offset")
    return Prepared(
        timeout=order.timeout,
        host=host,
        port=port,
        offset=parse_duration(expect.get("offset", 1.0)),
        degraded_offset=None if degraded is None else parse_duration(degraded),
        stratum=expect.get("stratum", 15),
        limits=LatencyLimits(expect),
    )


class _Questions:
    """What was asked when, and the one answer that fits."""

    def __init__(self) -> None:
        self._sent: dict[int, int] = {}  # cookie -> when it was sent
        self.reply: Reply | None = None
        self.offset = self.trip = 0.0

    def make(self) -> bytes:
        cookie = secrets.randbits(64)
        packet = question(cookie)
        self._sent[cookie] = timestamp(time.time_ns())
        return packet

    def judge(self, data: bytes) -> CheckFault | None:
        received = timestamp(time.time_ns())
        reply = read(data)
        if reply is None:
            return CheckFault("wait.malformed", f"the {len(data)} bytes that arrived are not an NTP answer")
        if reply.originate not in self._sent:
            return CheckFault("wait.malformed", "the answer that arrived belongs to another query")
        self.reply = reply
        self.offset, self.trip = clock(self._sent[reply.originate], reply, received)
        return None


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        asked = _Questions()
        addresses = await find_addresses(steps, context, plan.host)
        await exchange(steps, addresses, plan.port, asked.make, asked.judge)
        steps.current = "expect"
        if asked.reply is not None:
            _judge(plan, steps, asked, asked.reply)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


def _judge(plan: Prepared, steps: Steps, asked: _Questions, reply: Reply) -> None:
    steps.evidence |= facts(reply)
    if reply.stratum == 0:
        code = reference_name(reply)
        reason = _KISSES.get(code, "it does not give the time")
        raise CheckFault("expect.kiss", f"the server rejects the query: {reason} ({code or 'no code'})")
    if reply.leap == _NOT_SET or reply.stratum > 15 or not reply.transmit:
        raise CheckFault("expect.synchronized", "the server says that its own clock is not set")
    steps.evidence |= {"offset": round(asked.offset, 6), "round_trip": round(asked.trip, 6)}
    if reply.stratum > plan.stratum:
        sentence = f"the server is {reply.stratum} steps from a reference clock, more than {plan.stratum}"
        raise CheckFault("expect.stratum", sentence)
    _judge_offset(plan, asked.offset)


def _judge_offset(plan: Prepared, offset: float) -> None:
    away = abs(offset)
    if away > plan.offset:
        limit, degraded = plan.offset, False
    elif plan.degraded_offset is not None and away > plan.degraded_offset:
        limit, degraded = plan.degraded_offset, True
    else:
        return
    side = "ahead of" if offset > 0 else "behind"
    sentence = (
        f"its clock is {describe_seconds(away)} {side} this machine's, more than {describe_seconds(limit)}; "
        "one of the two is wrong"
    )
    raise CheckFault("expect.offset", sentence, verdict="degraded" if degraded else "down")
