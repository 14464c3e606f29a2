"""Connect, optionally speak TLS, send, and look for words in what comes back."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.certificates import load_reader, shake_hands, trust
from mainstay.integrations.checks.endpoints import split_endpoint
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, excerpt, find_addresses
from mainstay.integrations.checks.streams import connect, connection_failure
from mainstay.integrations.checks.tcp.talk import Talk, Turn, read_turns
from mainstay.integrations.checks.words import Words
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.certificates import Trust
    from mainstay.integrations.checks.progress import Steps
    from mainstay.integrations.checks.streams import Stream
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

RECEIVE_LIMIT = 65_536  # bytes that are looked through
PIECES_LIMIT = 256  # reads; a target that sends byte by byte is not searched again for each of them


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    host: str
    port: int
    send: bytes
    tls: bool
    server_name: str
    verify: bool
    ca: str
    versions: tuple[str, str]  # oldest and newest version of TLS, empty where it does not matter
    client: tuple[str, str]  # certificate and key, empty where none is shown
    talk: tuple[Turn, ...]
    words: Words
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    host, port = split_endpoint(target["address"])
    talk = read_turns(target.get("talk") or [])
    if target.get("tls") or any(turn.starttls for turn in talk):
        load_reader()
    return Prepared(
        timeout=order.timeout,
        host=host,
        port=port,
        send=(target.get("send") or "").encode(),
        tls=target.get("tls", False),
        server_name=target.get("server_name") or host,
        verify=target.get("verify", True),
        ca=target.get("ca") or "",
        versions=(target.get("min_version") or "", target.get("max_version") or ""),
        client=(target.get("certificate") or "", target.get("key") or ""),
        talk=talk,
        words=Words(expect),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        secures = plan.tls or any(turn.starttls for turn in plan.talk)
        trusted = trust(plan.ca, context.ca_file, plan.verify, plan.versions, plan.client) if secures else None
        addresses = await find_addresses(steps, context, plan.host)
        stream = await connect(steps, addresses, plan.port)
        try:
            await _converse(plan, trusted, steps, stream)
        finally:
            stream.close()
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _converse(plan: Prepared, trusted: Trust | None, steps: Steps, stream: Stream) -> None:
    async def start_tls() -> None:
        if trusted is not None:
            await shake_hands(steps, stream, trusted, plan.server_name)

    if plan.tls:
        await start_tls()
    if plan.talk:
        await Talk(steps, stream, start_tls).hold(plan.talk)
    if plan.send:
        with steps.phase("send"):
            try:
                await stream.send(plan.send)
            except (OSError, ssl.SSLError) as error:
                raise connection_failure(error, "the target", "send") from None
    if plan.words:
        with steps.phase("wait"):
            await _listen(plan, steps, stream)


async def _listen(plan: Prepared, steps: Steps, stream: Stream) -> None:
    """Read until what is expected has come; CheckFault once it cannot come any more."""
    received = b""
    missing: CheckFault | None = CheckFault("wait.closed", "the target closed the connection without sending anything")
    for _ in range(PIECES_LIMIT):
        try:
            piece = await stream.receive()
        except OSError as error:  # ssl.SSLError is one
            if received:
                break
            raise connection_failure(error, "the target", "wait") from None
        if not piece:
            break
        received = (received + piece)[:RECEIVE_LIMIT]
        steps.evidence |= {"received": len(received), "excerpt": excerpt(received)}
        missing = steps.if_late = plan.words.missing(received)
        if missing is None or len(received) == RECEIVE_LIMIT:
            break
    if missing is not None:
        raise missing
