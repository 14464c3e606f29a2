"""Walk through the steps as one visitor: cookies are kept, values go from one answer into the next request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from msgspec.structs import replace as with_options

from mainstay.integrations.checks.http import evidence
from mainstay.integrations.checks.http.credentials import is_secret_name, shown_url
from mainstay.integrations.checks.http.expectations import Expectations
from mainstay.integrations.checks.http.request import plan_request
from mainstay.integrations.checks.http.run import fetch
from mainstay.integrations.checks.http.transfers import Journey, Transfers
from mainstay.integrations.checks.progress import LatencyLimits, describe_seconds, document
from mainstay.integrations.checks.steps.variables import as_text, compile_source, fill, fill_url, names_in
from mainstay.kernel.masking import Masker
from mainstay.kernel.probing import CheckFault, CheckOrder, CheckResult, finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.integrations.checks.http.expectations import Answer
    from mainstay.integrations.checks.http.request import Prepared as PreparedHttp
    from mainstay.integrations.checks.http.run import Fetched
    from mainstay.integrations.checks.steps.variables import Value
    from mainstay.kernel.ports import CheckContext

_FORM = "application/x-www-form-urlencoded"
_REQUEST = ("method", "headers", "body", "json", "auth", "redirects")


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    url: str
    request: dict[str, Any]
    form: dict[str, str] | None
    expect: dict[str, Any]
    expectations: Expectations | None  # None: they hold variables, and are compiled anew for each run
    save: dict[str, Callable[[Answer], Value]]


@dataclass(frozen=True, slots=True)
class Prepared:
    order: CheckOrder
    steps: tuple[Step, ...]
    shared: dict[str, Any]
    variables: dict[str, str]
    secret_names: frozenset[str]
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target = document(order, "target")
    calls = target["calls"]
    return Prepared(
        order=order,
        steps=tuple(_step(call, f"step-{number}") for number, call in enumerate(calls, 1)),
        shared={key: target[key] for key in ("tls", "proxy", "ip_version") if target.get(key) is not None},
        variables=dict(target.get("variables") or {}),
        secret_names=_secret_names(calls),
        limits=LatencyLimits(document(order, "expect")),
    )


def _step(call: dict[str, Any], name: str) -> Step:
    expect = call.get("expect") or {}
    varies = any(True for _ in names_in(expect))
    return Step(
        name=call.get("name") or name,
        url=call["url"],
        request={key: call[key] for key in _REQUEST if call.get(key) is not None},
        form=call.get("form"),
        expect=expect,
        expectations=None if varies else _expectations(expect, call),
        save={name: compile_source(source) for name, source in (call.get("save") or {}).items()},
    )


def _expectations(expect: dict[str, Any], request: dict[str, Any]) -> Expectations:
    return Expectations(expect, follows=(request.get("redirects") or {}).get("follow", True))


def _secret_names(calls: list[dict[str, Any]]) -> frozenset[str]:
    """Variables that hold credentials: by their own name, by being told so, or by where they are sent."""
    found: set[str] = set()
    for call in calls:
        found |= {name for name, source in (call.get("save") or {}).items() if source.get("secret")}
        found |= {name for name in call.get("save") or {} if is_secret_name(name)}
        found |= set(names_in(call.get("auth")))
        for part in ("headers", "form"):
            for key, value in (call.get(part) or {}).items():
                if is_secret_name(key):
                    found |= set(names_in(value))
    return frozenset(found)


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    transfers = context.shared("http.transfers", lambda: Transfers(context.guard, context.ca_file))
    journey = Journey(transfers)
    walk = _Walk(plan, context, journey)
    try:
        for number, step in enumerate(plan.steps, 1):
            await walk.take(number, step)
        plan.limits.judge(walk.seconds, "all steps together took")
        if walk.concern is not None:
            raise walk.concern
    except CheckFault as fault:
        return walk.result(fault)
    finally:
        journey.close()
    return walk.result(None)


@dataclass(slots=True)
class _Walk:
    """One run."""

    plan: Prepared
    context: CheckContext
    journey: Journey
    ends: float = 0.0
    seconds: float = 0.0
    variables: dict[str, Value] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)
    taken: list[dict[str, Any]] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    concern: CheckFault | None = None  # the first thing that makes it degraded

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + self.plan.order.timeout
        self.variables.update(self.plan.variables)
        self.secrets += self.plan.order.secrets

    async def take(self, number: int, step: Step) -> None:
        """CheckFault ends the walk."""
        where = f"step {number} ({step.name})"
        left = self.ends - time.monotonic()
        if left <= 0.001:
            limit = describe_seconds(self.plan.order.timeout)
            raise CheckFault("wait.timeout", f"{where}: earlier steps used up the {limit} available")
        request = self._request(step, where, left)
        fetched = await fetch(request, self.context, self.journey)
        self._note(step, request, fetched)
        if fetched.answer is None:
            fault = fetched.fault or CheckFault("wait.closed", "there was no answer")
            raise CheckFault(fault.code, f"{where}: {fault.message}", verdict=fault.verdict, **fault.evidence)
        self._judge(step, where, fetched.answer)

    def _request(self, step: Step, where: str, left: float) -> PreparedHttp:
        filled = fill(step.request, self.variables)
        for name, value in (filled.get("headers") or {}).items():
            filled["headers"][name] = as_text(value)
        if "body" in filled:
            filled["body"] = as_text(filled["body"])
        if step.form is not None:
            given = {name: as_text(value) for name, value in fill(step.form, self.variables).items()}
            filled["body"] = urlencode(given)
            filled["headers"] = {"Content-Type": _FORM, **(filled.get("headers") or {})}
            self.secrets += [value for name, value in given.items() if is_secret_name(name)]
            filled.setdefault("method", "POST")
        target = {**self.plan.shared, **filled, "url": fill_url(step.url, self.variables)}
        try:
            order = with_options(self.plan.order, timeout=left, options={"target": target}, secrets=tuple(self.secrets))
            request = plan_request(order)
        except (CheckFault, ValueError) as fault:  # a variable made of it what cannot be requested
            raise CheckFault("check.bad_url", f"{where}: {fault}", verdict="unknown") from None
        self.secrets += request.masker.values
        return request

    def _note(self, step: Step, request: PreparedHttp, fetched: Fetched) -> None:
        """Times and the line of evidence of one step."""
        seconds = sum(fetched.phases.values())
        self.seconds += seconds
        self.phases[step.name] = round(seconds, 6)
        line = {
            "name": step.name,
            "url": shown_url(request.requests.first.url)[:500],
            "status": fetched.answer.status if fetched.answer is not None else None,
            "seconds": round(seconds, 6),
            "phases": {name: round(value, 6) for name, value in fetched.phases.items()},
        }
        self.taken.append(
            line | {key: fetched.evidence[key] for key in ("address", "redirects") if key in fetched.evidence}
        )

    def _judge(self, step: Step, where: str, answer: Answer) -> None:
        """Values are taken first, so that what is secret among them is known before anything is shown."""
        self.secrets += self.journey.cookies().values()
        unsaved = {name: fault for name, source in step.save.items() if (fault := self._save(name, source, answer))}
        failures = (step.expectations or self._filled_expectations(step, where)).judge(answer)
        if failures or unsaved:
            hidden = unsaved.keys() & self.plan.secret_names  # may stand anywhere in the body
            show = evidence.of_headers if hidden else evidence.of_failure
            self.evidence.update(show(answer, Masker(self.secrets)))
        if len(failures) > 1:
            self.evidence["also"] = [failure.message for failure in failures[1:10]]
        if failures:
            found = CheckFault(failures[0].code, f"{where}: {failures[0].message}", verdict=failures[0].verdict)
            if found.verdict != "degraded":
                raise found
            self.concern = self.concern or found
        for name, fault in unsaved.items():
            raise CheckFault(fault.code, f"{where}: {name}: {fault.message}", verdict=fault.verdict)

    def _save(self, name: str, source: Callable[[Answer], Value], answer: Answer) -> CheckFault | None:
        try:
            value = source(answer)
        except CheckFault as fault:
            return fault
        self.variables[name] = value
        if name in self.plan.secret_names:
            self.secrets.append(as_text(value))
        return None

    def _filled_expectations(self, step: Step, where: str) -> Expectations:
        try:
            return _expectations(fill(step.expect, self.variables), step.request)
        except (TypeError, ValueError) as error:
            reason = f"{where}: with its variables filled in, its expectation is not valid: {error}"
            raise CheckFault("check.bad_expectation", reason, verdict="unknown") from None

    def result(self, fault: CheckFault | None) -> CheckResult:
        lines = self.taken
        if fault is None:  # kept for each good result: what the phases do not say already
            lines = [{"name": line["name"], "status": line["status"]} for line in lines]
        shown: dict[str, Any] = {"steps": lines, **self.evidence}
        if self.taken and "address" in self.taken[-1]:
            shown["address"] = self.taken[-1]["address"]
        if fault is not None:
            shown.update(fault.evidence)
        masker = Masker(self.secrets)
        message = fault.message if fault is not None else ""
        verdict, code = (fault.verdict, fault.code) if fault is not None else ("up", "")
        result = finding(verdict, code, masker.text(message), phases=self.phases, evidence=masker.value(shown))
        result.duration = round(self.seconds, 6)
        return result
