"""Sign in to an MQTT broker, and optionally subscribe and look for a message.

Phases: `wait` is the login, `transfer` the subscription and its messages.
"""

from __future__ import annotations

import math
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mainstay.integrations.checks.certificates import enough_days
from mainstay.integrations.checks.mqtt import packets
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, excerpt
from mainstay.integrations.checks.sessions import Endpoint, Talk
from mainstay.integrations.checks.words import Words
from mainstay.kernel.jsonpath import Places
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_PORT, _TLS_PORT = 1883, 8883
_MESSAGES = 1000  # that are looked at
_LONGEST_TEXT = 65_535  # bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    endpoint: Endpoint
    client_id: str
    username: str | None
    password: str | None
    topic: str
    send: bytes | None
    words: Words
    places: Places
    days: float | None
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    tls = bool(target.get("tls"))
    password = target.get("password")
    if len((password or "").encode()) > _LONGEST_TEXT:
        raise CheckFault("check.bad_secret", f"an MQTT password has at most {_LONGEST_TEXT} bytes")
    return Prepared(
        timeout=order.timeout,
        endpoint=Endpoint.of(target, _TLS_PORT if tls else _PORT, tls=tls),
        client_id=target.get("client_id") or "",
        # A password without a name is not allowed before version 5.
        username=target.get("username") or ("" if password else None),
        password=password,
        topic=target.get("topic") or "",
        send=target["send"].encode() if target.get("send") is not None else None,
        words=Words(expect),
        places=Places(expect.get("json")),
        days=expect.get("certificate_days"),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        async with plan.endpoint.opened(steps, context) as stream:
            talk = Talk(steps, stream, limit=packets.PACKET_LIMIT)
            with steps.phase("wait"):
                await _sign_in(plan, talk)
            if plan.topic:
                with steps.phase("transfer"):
                    await _converse(plan, steps, talk)
            with suppress(CheckFault):  # everything that was asked for has been answered
                await talk.send(packets.packet(packets.DISCONNECT, b""))
        steps.current = "expect"
        if plan.endpoint.tls:
            enough_days(steps.path, plan.days)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _sign_in(plan: Prepared, talk: Talk) -> None:
    talk.awaiting("the answer to the login")
    name = plan.client_id or f"mainstay-{secrets.token_hex(6)}"  # of at most 23 signs, which every broker takes
    keep_alive = min(65_535, math.ceil(plan.timeout) + 1)
    await talk.send(packets.connect(name, plan.username, plan.password, keep_alive))
    kind, _, body = await packets.read(talk)
    if kind != packets.CONNACK or len(body) != 2:
        raise CheckFault("wait.malformed", "this is not an MQTT broker: its answer to the login cannot be read")
    if body[1]:
        reason = packets.REASONS.get(body[1], "it does not say why")
        code = "expect.login" if body[1] in (4, 5) else "wait.refused"
        raise CheckFault(code, f"the broker refuses the connection: {reason} (code {body[1]})")


async def _converse(plan: Prepared, steps: Steps, talk: Talk) -> None:
    talk.awaiting("the answer to the subscription")
    await talk.send(packets.subscribe(plan.topic))
    early: list[tuple[str, bytes]] = []
    while True:
        kind, flags, body = await packets.read(talk)
        if kind == packets.SUBACK:
            break
        if kind == packets.PUBLISH and len(early) < _MESSAGES:  # some brokers send what they kept before they answer
            early.append(packets.message_of(body, flags))
    if len(body) != 3 or body[2] > 2:
        raise CheckFault("expect.topic", f"the broker does not allow the topic {plan.topic[:100]}")
    if plan.send is not None:
        await talk.send(packets.publish(plan.topic, plan.send))
    if plan.words or plan.places or plan.send is not None:
        await _find(plan, steps, talk, early)


async def _find(plan: Prepared, steps: Steps, talk: Talk, early: list[tuple[str, bytes]]) -> None:
    missing = CheckFault("transfer.timeout", "no message arrived")
    for count in range(1, _MESSAGES + 1):
        talk.awaiting("a message")
        if count > 1:
            steps.if_late = missing
        topic, message = early.pop(0) if early else await _message(talk)
        steps.evidence |= {"messages": count, "topic": topic[:200], "received": len(message)}
        steps.evidence["excerpt"] = excerpt(message)
        fault = _unfit(plan, message)
        if fault is None:
            return
        missing = fault
    raise missing


def _unfit(plan: Prepared, message: bytes) -> CheckFault | None:
    if plan.words or plan.places:
        return plan.words.missing(message) or _misplaced(plan, message)
    if message == plan.send:
        return None
    return CheckFault("expect.message", "the message that was published does not come back, only others")


def _misplaced(plan: Prepared, message: bytes) -> CheckFault | None:
    if not plan.places:
        return None
    try:
        problems = plan.places.problems(msgspec.json.decode(message))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problems = f"the message is not JSON: {str(error)[:100]}"
    return CheckFault("expect.json", problems) if problems else None


async def _message(talk: Talk) -> tuple[str, bytes]:
    while True:
        kind, flags, body = await packets.read(talk)
        if kind == packets.PUBLISH:
            return packets.message_of(body, flags)
