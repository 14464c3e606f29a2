"""Shake hands and judge the certificates that were shown."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.certificates import covers, enough_days, explain, load_reader, shake_hands, trust
from mainstay.integrations.checks.endpoints import split_endpoint
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, find_addresses
from mainstay.integrations.checks.streams import connect
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

DEFAULT_PORT = 443
_VERSIONS = {"TLSv1": 1.0, "TLSv1.1": 1.1, "TLSv1.2": 1.2, "TLSv1.3": 1.3}


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    host: str
    port: int
    server_name: str
    verify: bool
    ca: str
    days: float | None
    names: list[str]
    issuer: str
    min_version: float
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    host, port = split_endpoint(target["address"], DEFAULT_PORT)
    load_reader()
    return Prepared(
        timeout=order.timeout,
        host=host,
        port=port,
        server_name=target.get("server_name") or host,
        verify=target.get("verify", True),
        ca=target.get("ca") or "",
        days=expect.get("days"),
        names=expect.get("names") or [],
        issuer=expect.get("issuer") or "",
        min_version=float(expect.get("min_version") or 0),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        trusted = trust(plan.ca, context.ca_file, plan.verify)
        stream = await connect(steps, await find_addresses(steps, context, plan.host), plan.port)
        try:
            await shake_hands(steps, stream, trusted, plan.server_name)
        finally:
            stream.close()
        steps.current = "expect"
        judge(plan, steps, time.time())
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


def judge(plan: Prepared, steps: Steps, now: float) -> None:
    """What is expected of certificates that were accepted. Raises CheckFault, the worst first."""
    chain = [fact for fact in steps.path if "subject" in fact]
    if not chain:
        raise CheckFault("tls.handshake", "the server sent no readable certificate")
    leaf = chain[0]
    _still_valid(chain, plan.server_name, now)
    missing = [name for name in plan.names if not covers(leaf["names"], name)]
    if missing:
        named = ", ".join(leaf["names"][:5]) or "no name at all"
        raise CheckFault("expect.names", f"the certificate is not for {', '.join(missing[:5])}, only for {named}")
    if plan.issuer and plan.issuer.lower() not in leaf["issuer"].lower():
        raise CheckFault("expect.issuer", f"`{plan.issuer}` is not in the issuer's name {leaf['issuer']}")
    version = steps.evidence["tls"]["version"]
    if _VERSIONS.get(version, 0.0) < plan.min_version:
        raise CheckFault("expect.version", f"the server negotiated {version}, older than TLS {plan.min_version}")
    enough_days(chain, plan.days)


def _still_valid(chain: list[dict[str, Any]], server_name: str, now: float) -> None:
    """Only without verification can a certificate get here that is out of its time."""
    if any(fact["not_after"] < now for fact in chain):
        raise explain(CheckFault("tls.expired", ""), chain, server_name, now)
    if any(fact["not_before"] > now for fact in chain):
        raise explain(CheckFault("tls.not_yet_valid", ""), chain, server_name, now)
