"""Let a browser walk through the script, one browser at a time, and judge what it tells."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mainstay.integrations.checks.browser import traces
from mainstay.integrations.checks.browser.gate import BYTES_LIMIT, Gate
from mainstay.integrations.checks.browser.process import drive, find_chromium
from mainstay.integrations.checks.endpoints import format_endpoint
from mainstay.integrations.checks.http.credentials import shown_url
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, describe_seconds, document
from mainstay.kernel.probing import CheckFault
from mainstay.kernel.timespan import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult, Verdict

_NET = re.compile(r"net::(ERR_[A-Z_]+)")
_MEANINGS = {
    "ERR_CERT_DATE_INVALID": ("tls.expired", "the certificate is not valid at this time"),
    "ERR_CERT_AUTHORITY_INVALID": ("tls.untrusted", "Chromium does not trust the certificate"),
    "ERR_CERT_COMMON_NAME_INVALID": ("tls.name_mismatch", "the certificate is for other names"),
    "ERR_SSL_PROTOCOL_ERROR": ("tls.handshake", "the TLS handshake failed"),
    "ERR_EMPTY_RESPONSE": ("wait.closed", "the connection was closed without an answer"),
    "ERR_CONNECTION_RESET": ("wait.closed", "the connection was aborted"),
    "ERR_INVALID_HTTP_RESPONSE": ("wait.malformed", "the answer is not HTTP"),
    "ERR_TOO_MANY_REDIRECTS": ("expect.redirects", "there are too many redirects"),
}
_VITALS = ("ttfb", "fcp", "lcp")


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    order: dict[str, Any]
    errors: str
    vitals: dict[str, float]
    limits: LatencyLimits
    uid: str = ""
    trace: bool = False  # whether one is wished for
    secrets: bool = False  # whether the script uses some


@dataclass(slots=True)
class _Told:
    """What the worker has said so far."""

    started: bool = False
    done: bool = False
    start_failed: str = ""
    failed: dict[str, str] | None = None
    where: str = ""  # the step that failed
    status: int | None = None
    vitals: dict[str, float | None] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    first = [{"goto": target["url"]}] if target.get("url") else []
    steps = [_plain_step(step) for step in [*first, *(target.get("script") or [])]]
    limits = {name: parse_duration(expect[name]) for name in _VITALS if expect.get(name) is not None}
    if expect.get("cls") is not None:
        limits["cls"] = float(expect["cls"])
    return Prepared(
        timeout=order.timeout,
        order={
            "steps": steps,
            "patience": parse_duration(target.get("patience", "10s")),
            "viewport": target.get("viewport", "1280x800"),
            "verify": target.get("verify", True),
            "screenshot": target.get("screenshot", True),
        },
        errors=expect.get("errors", "degraded"),
        vitals=limits,
        limits=LatencyLimits(expect),
        uid=order.uid,
        trace=bool(target.get("trace", True)),
        secrets=bool(order.secrets),
    )


def _plain_step(step: dict[str, Any]) -> dict[str, Any]:
    ((name, value),) = ((name, value) for name, value in step.items() if value is not None)
    return {name: parse_duration(value) if name == "wait" else value}


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    turn = context.shared("browser.turn", asyncio.Lock)

    async def walk(steps: Steps) -> None:
        chromium = find_chromium(context.configured.chromium)
        reason = "another browser check left no time for this one"
        steps.if_late = CheckFault("check.busy", reason, verdict="unknown")
        async with turn, Gate(context) as gate:
            steps.if_late = CheckFault("check.browser_start", "the browser did not start in time", verdict="unknown")
            told = _Told()
            order = plan.order | {"chromium": chromium, "gate": gate.port, "limit": steps.remaining}
            try:
                keep = _keeper(plan, told, context.configured.traces)
                await drive(order, lambda news: _hear(news, told, steps, plan), keep)
            finally:
                steps.evidence |= told.shown | {"bytes": gate.bytes}
            if plan.trace and plan.secrets and _is_wrong(told):
                steps.evidence["trace left out"] = (
                    "the script uses secrets, and a trace records everything that is typed"
                )
            _judge(plan, steps, told, gate)

    return await carry_out(plan.timeout, walk)


def _keeper(plan: Prepared, told: _Told, folder: str) -> Callable[[Path], None] | None:
    """What brings a trace to its place; None if none is to be made."""
    if not plan.trace or plan.secrets or not folder:
        return None

    def keep(made: Path) -> None:
        try:
            name = traces.keep(made, Path(folder), plan.uid)
        except OSError as error:
            told.shown["trace left out"] = f"it could not be kept: {error.strerror}"
            return
        if name:
            told.shown["trace"] = name
        else:
            told.shown["trace left out"] = f"it is larger than {traces.LARGEST // 1024**2} MiB"

    return keep


def _is_wrong(told: _Told) -> bool:
    return told.failed is not None or bool(told.errors)


def _hear(news: dict[str, Any], told: _Told, steps: Steps, plan: Prepared) -> None:
    """One line of the worker."""
    if "started" in news:
        told.started = True
        told.shown |= {"browser": str(news["browser"]), "start_seconds": round(news["started"], 3)}
        _expect_step(1, steps, plan)
    elif "step" in news:
        number, name = news["step"], str(news["name"])
        steps.phases[f"{number} {name}"] = round(float(news["seconds"]), 6)
        if news["failed"] is not None:
            told.failed, told.where = news["failed"], f"step {number} ({name})"
        _expect_step(number + 1, steps, plan)
    elif "vitals" in news:
        told.vitals = _seconds(news["vitals"])
        told.shown["vitals"] = told.vitals
    elif "errors" in news:
        told.errors = news["errors"]
        told.shown |= {key: news[key] for key in ("errors", "console") if news[key]} | {"url": shown_url(news["url"])}
    elif "start_failed" in news:
        told.start_failed = str(news["start_failed"])
    else:
        told.done = told.done or bool(news.pop("done", False))
        told.shown |= {key: value for key, value in news.items() if value}


def _expect_step(number: int, steps: Steps, plan: Prepared) -> None:
    """What to say if the time is up before the next line comes."""
    limit = describe_seconds(plan.timeout)
    if number <= len(plan.order["steps"]):
        name = next(iter(plan.order["steps"][number - 1]))
        message = f"step {number} ({name}): the page did not respond before the {limit} were over"
    else:
        message = f"the page did not respond after the last step, before the {limit} were over"
    steps.if_late = CheckFault("wait.timeout", message)


def _seconds(vitals: dict[str, float | None]) -> dict[str, float | None]:
    found = {name: vitals.get(name) for name in _VITALS}
    shifts = vitals.get("cls")
    return {name: None if value is None else round(value / 1000, 4) for name, value in found.items()} | {
        "cls": None if shifts is None else round(shifts, 4)
    }


def _judge(plan: Prepared, steps: Steps, told: _Told, gate: Gate) -> None:
    if told.start_failed or not told.started:
        reason = told.start_failed or "its driver exited without output"
        raise CheckFault("check.browser_start", f"the browser could not be started: {reason}"[:600], verdict="unknown")
    if gate.exhausted:
        raise CheckFault("transfer.too_large", f"the page loads more than {BYTES_LIMIT // 1024**2} MiB")
    if told.failed is not None:
        raise _failure(told, gate)
    if not told.done:
        raise CheckFault("check.browser_failed", "the browser exited in the middle of the script", verdict="unknown")
    if told.errors and plan.errors != "ignored":
        verdict: Verdict = "down" if plan.errors == "down" else "degraded"
        raise CheckFault("expect.errors", f"a script on the page failed: {told.errors[0]}", verdict=verdict)
    plan.limits.judge(steps.taken, "all steps together took")
    _judge_vitals(plan, told)


def _judge_vitals(plan: Prepared, told: _Told) -> None:
    for name, limit in plan.vitals.items():
        value = told.vitals.get(name)
        if value is not None and value > limit:
            shown = (
                f"{value:g}, above {limit:g}"
                if name == "cls"
                else f"{describe_seconds(value)}, later than {describe_seconds(limit)}"
            )
            raise CheckFault(f"expect.{name}", f"{name.upper()} is {shown}", verdict="degraded")


def _endpoint(message: str) -> str:
    """host:port of the URL at the end of Chromium's message: `net::ERR_SOCKS_CONNECTION_FAILED at https://...`."""
    try:
        parts = urlsplit(message.rpartition(" at ")[2].strip())
        return format_endpoint(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:
        return ""


def _failure(told: _Told, gate: Gate) -> CheckFault:
    """The failure of a step. Behind a connection that could not be made stands what the gate found."""
    failed = told.failed or {"code": "", "message": ""}
    code, message = failed["code"], failed["message"]
    net = _NET.search(message)
    if net is None:
        return CheckFault(code, f"{told.where}: {message}")
    if "PROXY" in net[1] or "SOCKS" in net[1] or net[1] in ("ERR_CONNECTION_CLOSED", "ERR_EMPTY_RESPONSE"):
        fault = gate.faults.get(_endpoint(message)) or next(reversed(gate.faults.values()), None)
        if fault is not None:
            return CheckFault(fault.code, f"{told.where}: {fault.message}", verdict=fault.verdict)
    code, sentence = _MEANINGS.get(net[1], ("wait.failed", f"the page could not be loaded: {net[1]}"))
    return CheckFault(code, f"{told.where}: {sentence}")
