"""One question to a provider, and what its newest builds mean.

The newest build that has ended decides; one under way is degraded once it lasts too long. Builds that were cancelled or
skipped say nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from mainstay.integrations.checks.build.providers import Build, Unreadable, read, request_of
from mainstay.integrations.checks.http.request import Prepared as PreparedHttp
from mainstay.integrations.checks.http.request import plan_request
from mainstay.integrations.checks.http.run import fetch
from mainstay.integrations.checks.progress import document, excerpt
from mainstay.kernel.probing import CheckFault, CheckResult, finding
from mainstay.kernel.timespan import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.integrations.checks.http.expectations import Answer
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder

_READ = 1024 * 1024  # bytes of an answer
_WITHIN = 1800.0  # seconds


@dataclass(frozen=True, slots=True)
class Prepared:
    http: PreparedHttp
    target: Mapping[str, Any]
    within: float


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    headers = {"Accept": "application/json", **(target.get("headers") or {})}
    request = {
        **request_of(target),
        "headers": headers,
        "max_read": _READ,
        **{key: target[key] for key in ("tls", "proxy") if target.get(key) is not None},
    }
    if target.get("token"):
        request["auth"] = {"bearer": target["token"]}
    within = parse_duration(expect["within"]) if expect.get("within") else _WITHIN
    return Prepared(plan_request(replace(order, options={"target": request})), target, within)


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    fetched = await fetch(plan.http, context)
    evidence = dict(fetched.evidence)
    try:
        if fetched.answer is None:
            raise _unasked(fetched.fault)
        result = judge(_read(plan, fetched.answer), plan.within, time.time(), evidence)
    except CheckFault as fault:
        evidence.update(fault.evidence)
        result = finding(fault.verdict, fault.code, plan.http.masker.text(fault.message), evidence=evidence)
    result.phases = fetched.phases
    result.duration = round(sum(fetched.phases.values()), 6)
    return result


def judge(builds: list[Build], within: float, now: float, evidence: dict[str, Any]) -> CheckResult:
    """builds: the newest first; within and now in seconds."""
    told = [build for build in builds if build.outcome != "set aside"]
    if not told:
        return finding("unknown", "expect.no_build", "there is no build with a usable state", evidence=evidence)
    newest, ended = told[0], next((build for build in told if build.outcome != "under way"), None)
    evidence |= {"state": newest.state, "build": excerpt(newest.name), "builds": len(builds)}
    if ended is not None and ended.outcome == "bad":
        text = f"the build {excerpt(ended.name)} ended as {ended.state}".replace("  ", " ")
        reason = f": {excerpt(ended.message)}" if ended.message else ""
        return finding("down", "expect.build_failed", text + reason, evidence=evidence)
    if newest.outcome == "under way" and newest.began is not None and now - newest.began > within:
        for_long = format_duration(round(now - newest.began))
        message = f"the build {excerpt(newest.name)} is {newest.state} for {for_long}".replace("  ", " ")
        return finding("degraded", "expect.build_slow", message, evidence=evidence)
    if ended is None:
        return finding("unknown", "expect.no_build", "no build has ended yet", evidence=evidence)
    return finding("up", evidence=evidence)


def _read(plan: Prepared, answer: Answer) -> list[Build]:
    shown = {"status": answer.status, "excerpt": excerpt(answer.kept)}
    if answer.status in (401, 403, 404):
        reason = "the API does not accept the token" if answer.status != 404 else "the API does not know the project"
        raise CheckFault("check.credentials", f"{reason}: status {answer.status}", verdict="unknown", **shown)
    if answer.status != 200 or answer.cut:
        raise CheckFault("wait.refused", f"the API answers with status {answer.status}", verdict="unknown", **shown)
    try:
        return read(plan.target, msgspec.json.decode(answer.json_bytes))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CheckFault("wait.malformed", "the answer is not JSON", verdict="unknown", **shown) from None
    except Unreadable as error:
        raise CheckFault("wait.malformed", str(error), verdict="unknown", **shown) from None


def _unasked(fault: CheckFault | None) -> CheckFault:
    code, message = (fault.code, fault.message) if fault is not None else ("wait.closed", "there was no answer")
    return CheckFault(code, f"the API could not be reached: {message}", verdict="unknown")
