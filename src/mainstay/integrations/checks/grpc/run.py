"""Call grpc.health.v1.Health/Check once: gRPC over HTTP/2 by libcurl, its two small messages written here.

Protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and doc/health-checking.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec.structs import replace

from mainstay.integrations.checks.endpoints import format_endpoint, split_endpoint
from mainstay.integrations.checks.http.evidence import certificate
from mainstay.integrations.checks.http.request import plan_request
from mainstay.integrations.checks.http.run import fetch
from mainstay.integrations.checks.progress import LatencyLimits, document, excerpt
from mainstay.kernel.grpc_codes import GRPC_CODES
from mainstay.kernel.probing import CheckFault, finding

if TYPE_CHECKING:
    from typing import Any

    from mainstay.integrations.checks.http.expectations import Answer
    from mainstay.integrations.checks.http.request import Prepared as PreparedHttp
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_TRUST = ("server_name", "verify", "ca", "certificate", "key", "min_version", "max_version")
_READ = 65_536  # bytes; the answer has seven
_SERVING = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")  # HealthCheckResponse.ServingStatus
_MEANS = {
    "NOT_FOUND": "the server does not know the service",
    "UNIMPLEMENTED": "the server does not speak the health protocol",
    "UNAUTHENTICATED": "the server rejects the credentials",
    "PERMISSION_DENIED": "the server does not permit the call",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    http: PreparedHttp
    service: str
    wanted: str
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    tls, service = bool(target.get("tls")), target.get("service") or ""
    days = expect.get("certificate_days")
    trust = {key: target[key] for key in _TRUST if target.get(key) is not None}
    request: dict[str, Any] = {
        "url": f"{'https' if tls else 'http'}://{format_endpoint(*split_endpoint(target['address']))}"
        "/grpc.health.v1.Health/Check",
        "method": "POST",
        "body": question(service).decode(),
        "headers": {
            **(target.get("metadata") or {}),
            "Content-Type": "application/grpc",
            "TE": "trailers",
            "grpc-timeout": f"{max(1, int(order.timeout * 1000))}m",
        },
        "http_version": "2" if tls else "2-prior-knowledge",
        "redirects": {"follow": False},
        "tls": trust,
        "ip_version": target.get("ip_version"),
        "max_read": _READ,
    }
    reading = {"certificate_days": days} if days is not None else {}
    return Prepared(
        http=plan_request(replace(order, options={"target": request, "expect": reading})),
        service=service,
        wanted=expect.get("status", "SERVING"),
        limits=LatencyLimits(expect),
    )


def question(service: str) -> bytes:
    """A HealthCheckRequest behind its prefix: not compressed, length in four bytes. ASCII, as the spec has it."""
    name = service.encode()
    message = bytes((0x0A, len(name))) + name if name else b""
    return b"\0" + len(message).to_bytes(4) + message


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    fetched = await fetch(plan.http, context)
    evidence = dict(fetched.evidence)
    try:
        if fetched.answer is None:
            raise fetched.fault or CheckFault("wait.closed", "there was no answer")
        _judge(plan, fetched.answer, evidence)
        plan.limits.judge(sum(fetched.phases.values()))
        result = finding("up", evidence=evidence)
    except CheckFault as fault:
        evidence.update(fault.evidence)
        result = finding(fault.verdict, fault.code, fault.message, evidence=evidence)
    result.phases = fetched.phases
    result.duration = round(sum(fetched.phases.values()), 6)
    return result


def _judge(plan: Prepared, answer: Answer, evidence: dict[str, Any]) -> None:
    if answer.path:
        evidence["certificate"] = certificate(answer.path)
    _is_grpc(answer, evidence)
    said = _status(answer, evidence)
    evidence["serving_status"] = said
    if said != plan.wanted:
        what = f"the service {plan.service}" if plan.service else "the server"
        raise CheckFault("expect.serving", f"{what} says {said}, not {plan.wanted}")
    failures = plan.http.expectations.judge(answer)  # of the days that certificates have left, if any are asked for
    if failures:
        raise CheckFault(failures[0].code, failures[0].message, verdict=failures[0].verdict)


def _is_grpc(answer: Answer, evidence: dict[str, Any]) -> None:
    kind = answer.headers.get("content-type", "")
    if answer.protocol == "2" and answer.status == 200 and kind.startswith("application/grpc"):
        return
    evidence["status"] = answer.status
    shown = f"HTTP/{answer.protocol} {answer.status}" + (f" with {excerpt(kind)[:60]}" if kind else "")
    raise CheckFault("wait.malformed", f"this is not a gRPC server: it answers {shown}")


def _status(answer: Answer, evidence: dict[str, Any]) -> str:
    """The serving status. CheckFault `expect.grpc_status` where the call failed."""
    written = answer.headers.get("grpc-status", "")
    if not written.isascii() or not written.isdigit():
        raise CheckFault("transfer.truncated", "the answer ended without a gRPC status")
    number = int(written[:9])
    code = GRPC_CODES[number] if number < len(GRPC_CODES) else written[:9]
    evidence["grpc_status"] = code
    if code == "NOT_FOUND":
        return "SERVICE_UNKNOWN"
    if number:
        message = excerpt(unquote(answer.headers.get("grpc-message", "")))[:200]
        meaning = _MEANS.get(code, "the call failed")
        raise CheckFault("expect.grpc_status", f"{meaning}: {code}" + (f" ({message})" if message else ""))
    return _serving(answer.kept)


def _serving(body: bytes) -> str:
    """HealthCheckResponse: field 1 is the status, 0 where it is left out; other fields are from later versions."""
    message = body[5:]
    if len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5]) != len(message):
        raise CheckFault("transfer.malformed", "the answer holds no readable health message")
    if not message:
        return _SERVING[0]
    if message[0] != 0x08 or len(message) < 2:
        raise CheckFault("transfer.malformed", "the answer is not a message of the health protocol")
    return _SERVING[message[1]] if message[1] < len(_SERVING) else f"status {message[1]}"
