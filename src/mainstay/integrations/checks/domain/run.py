"""Ask the registry of a domain when its registration ends: by RDAP, else by WHOIS."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.domain import whois
from mainstay.integrations.checks.domain.names import ascii_name
from mainstay.integrations.checks.domain.rdap import Rdap
from mainstay.integrations.checks.domain.registration import Registration, Wishes, judge
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, describe_seconds, document
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_BOOTSTRAP = "https://data.iana.org/rdap/dns.json"
_RDAP_SHARE = 0.6  # of the time, where WHOIS may follow


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    name: str
    method: str
    rdap: str
    bootstrap: str
    whois: str
    ca: str
    wishes: Wishes
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    return Prepared(
        timeout=order.timeout,
        name=ascii_name(target["name"]),
        method=target.get("method", "auto"),
        rdap=target.get("rdap") or "",
        bootstrap=target.get("bootstrap") or _BOOTSTRAP,
        whois=target.get("whois") or "",
        ca=target.get("ca") or "",
        wishes=Wishes(
            days=expect.get("days", 30),
            down_days=expect.get("down_days", 7),
            registrar=expect.get("registrar") or "",
            nameservers=tuple(expect.get("nameservers") or ()),
        ),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        # A registry that is slow says nothing about the domain.
        limit = describe_seconds(plan.timeout)
        steps.if_late = CheckFault("wait.timeout", f"the registry did not answer within {limit}", verdict="unknown")
        found = await _ask(plan, steps, context)
        now = time.time()
        steps.evidence |= found.facts(now)
        steps.current = "expect"
        judge(found, plan.wishes, now)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


async def _ask(plan: Prepared, steps: Steps, context: CheckContext) -> Registration:
    """The first way that tells the date; what a way before it lacked stands in the evidence or the message."""
    if plan.method == "whois":
        return await whois.ask(steps, context, plan.name, plan.whois)
    share = 1.0 if plan.method == "rdap" else _RDAP_SHARE
    partial: Registration | None = None
    try:
        partial = await _ask_rdap(plan, steps, context, steps.remaining * share)
        if partial.expires is not None or plan.method == "rdap":
            return partial
        reason = f"the RDAP server {partial.server} does not say when the domain expires"
    except CheckFault as fault:
        if plan.method == "rdap" or fault.code == "expect.registered":
            raise
        reason = fault.message
    steps.evidence["rdap"] = reason[:300]
    try:
        found = await whois.ask(steps, context, plan.name, plan.whois)
    except CheckFault as fault:
        if partial is not None:
            return partial
        if fault.code == "expect.registered":
            raise
        raise CheckFault(fault.code, f"{reason}; {fault.message}"[:600], verdict="unknown") from None
    return found


async def _ask_rdap(plan: Prepared, steps: Steps, context: CheckContext, limit: float) -> Registration:
    rdap = Rdap(steps, context, plan.ca, limit)
    server = plan.rdap or await rdap.server_for(plan.name, plan.bootstrap)
    return await rdap.ask(plan.name, server)
