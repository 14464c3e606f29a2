"""One query over the HTTP API of Prometheus (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from mainstay.integrations.checks.http.request import Prepared as PreparedHttp
from mainstay.integrations.checks.http.request import plan_request
from mainstay.integrations.checks.http.run import fetch
from mainstay.integrations.checks.progress import document, excerpt
from mainstay.integrations.checks.promql.limits import Series, judge, parse_limit, shown_number
from mainstay.kernel.probing import CheckFault, CheckResult, finding

if TYPE_CHECKING:
    from mainstay.integrations.checks.http.expectations import Answer
    from mainstay.integrations.checks.promql.limits import Judged
    from mainstay.kernel.jsonpath import Comparison
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, Verdict

_READ = 1024 * 1024  # bytes of an answer; more series than fit are too many to judge one by one
_SHOWN = 20  # series that go into evidence
_LABELS_SHOWN = 300  # characters of the labels of one series


class _Metric(msgspec.Struct):
    metric: dict[str, str] = {}
    value: tuple[float, str] | None = None  # None: a native histogram, which has no one value


class _Data(msgspec.Struct, rename={"type": "resultType"}):
    type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, rename={"error_type": "errorType"}):
    status: str
    data: _Data | None = None
    error: str = ""
    error_type: str = ""
    warnings: list[str] = []


_DECODER = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Prepared:
    http: PreparedHttp
    query: str
    warn: Comparison | None
    critical: Comparison | None
    every_series: bool
    no_data: Verdict


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    parameters = urlencode({"query": target["query"], "timeout": f"{order.timeout:g}s"})
    base = str(target.get("url") or "http://127.0.0.1:9090").rstrip("/")
    request = {
        "url": f"{base}/api/v1/query?{parameters}",
        "headers": {"Accept": "application/json", **(target.get("headers") or {})},
        "max_read": _READ,
        **{key: target[key] for key in ("auth", "tls", "proxy") if target.get(key) is not None},
    }
    return Prepared(
        http=plan_request(replace(order, options={"target": request})),
        query=target["query"],
        warn=parse_limit(expect["warn"]) if expect.get("warn") else None,
        critical=parse_limit(expect["critical"]) if expect.get("critical") else None,
        every_series=expect.get("series") == "all",
        no_data=expect.get("no_data", "unknown"),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    fetched = await fetch(plan.http, context)
    evidence = {"query": plan.query[:500], **fetched.evidence}
    try:
        if fetched.answer is None:
            raise _unasked(fetched.fault)
        series, warnings = read_answer(fetched.answer)
        if warnings:
            evidence["warnings"] = [warning[:300] for warning in warnings[:5]]
        result = _judged(plan, series, evidence)
    except CheckFault as fault:
        evidence.update(fault.evidence)
        result = finding(fault.verdict, fault.code, plan.http.masker.text(fault.message), evidence=evidence)
    result.phases = fetched.phases
    result.duration = round(sum(fetched.phases.values()), 6)
    return result


def _unasked(fault: CheckFault | None) -> CheckFault:
    """What keeps the API from being asked says nothing about what the query measures."""
    code, message = (fault.code, fault.message) if fault is not None else ("wait.closed", "there was no answer")
    return CheckFault(code, f"the API could not be reached: {message}", verdict="unknown")


def read_answer(answer: Answer) -> tuple[list[Series], list[str]]:
    """(series with a number, warnings). CheckFault, always unknown, if it holds none that can be read."""
    if answer.part:
        raise _fault("expect.too_many", f"the answer has over {_READ // 1024} KiB; narrow or aggregate the query")
    try:
        found = _DECODER.decode(answer.json_bytes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_an_answer(answer) from None
    if found.status != "success" or found.data is None:
        raise _refused(answer.status, found)
    try:
        return _series(found.data), found.warnings
    except (msgspec.DecodeError, ValueError):
        raise _not_an_answer(answer) from None


def _series(data: _Data) -> list[Series]:
    if data.type == "scalar":
        rows = [_Metric(value=msgspec.json.decode(data.result, type=tuple[float, str]))]
    elif data.type == "vector":
        rows = msgspec.json.decode(data.result, type=list[_Metric])
    else:
        reason = f"the query returns a {data.type[:20]}, not one number per series; aggregate it over time"
        raise _fault("check.bad_query", reason)
    found = [(_labels(row.metric), float(row.value[1])) for row in rows if row.value is not None]
    return [Series(labels, value) for labels, value in found if not math.isnan(value)]


def _labels(metric: dict[str, str]) -> str:
    pairs = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in metric.items() if name[:2] != "__"
    )
    text = metric.get("__name__", "") + (f"{{{pairs}}}" if pairs else "")
    return excerpt(text[:_LABELS_SHOWN])


def _fault(code: str, message: str, **evidence: Any) -> CheckFault:
    return CheckFault(code, message, verdict="unknown", **evidence)


def _refused(status: int, found: _Answer) -> CheckFault:
    reason = excerpt(found.error) or f"status {status}"
    if found.error_type == "bad_data":
        return _fault("check.bad_query", f"the query was rejected: {reason}")
    return _fault("wait.query_failed", f"the query failed ({found.error_type[:40] or status}): {reason}")


def _not_an_answer(answer: Answer) -> CheckFault:
    shown = {"status": answer.status, "excerpt": excerpt(answer.kept)}
    if answer.status in (401, 403):
        return _fault(
            "check.credentials", f"the API does not accept these credentials: status {answer.status}", **shown
        )
    if answer.status == 404:
        return _fault("check.bad_url", "there is no Prometheus API at this url: status 404", **shown)
    return _fault("wait.malformed", f"status {answer.status}, and the answer is not that of a Prometheus API", **shown)


def _judged(plan: Prepared, series: list[Series], evidence: dict[str, Any]) -> CheckResult:
    evidence["series"] = len(series)
    if not series:
        message = "" if plan.no_data == "up" else "the query returns no data"
        return finding(plan.no_data, "expect.no_data" if message else "", message, evidence=evidence)
    judged = judge(series, plan.warn, plan.critical)
    evidence["values"] = [
        {
            "series": one.series.labels or plan.query[:100],
            "value": shown_number(one.series.value),
            "verdict": one.verdict,
        }
        for one in judged[:_SHOWN]
    ]
    decisive = judged[-1] if plan.every_series else judged[0]
    if decisive.verdict == "up":
        return finding("up", evidence=evidence)
    return finding(decisive.verdict, "expect.value", _sentence(plan, judged, decisive), evidence=evidence)


def _sentence(plan: Prepared, judged: list[Judged], decisive: Judged) -> str:
    name = decisive.series.labels or plan.query[:100]
    word = "critical" if decisive.verdict == "down" else "warning"
    sentence = f"{name} is {shown_number(decisive.series.value)} ({word}: {decisive.limit})"
    beyond = sum(one.verdict != "up" for one in judged)
    return sentence if len(judged) == 1 else f"{sentence}; {beyond} of {len(judged)} series are beyond a limit"
