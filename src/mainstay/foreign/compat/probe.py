"""`/probe?target=&module=`: answers as the Prometheus blackbox exporter does, by Mainstay's own checks.

The text of answers and errors follows blackbox_exporter 0.23 `prober/handler.go`, so that a scrape
configuration works by changing the address. A check is a `CheckOrder` handed to `run_once`, which the
prober processes carry out; addresses that they refuse make the probe fail.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mainstay.foreign.compat.probe_modules import MODULES, Module
from mainstay.frames.exposition import TEXT_TYPE, Family, render
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.watch.probe_metrics import ProbeFamilies

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

RunOnce = Callable[[CheckOrder], Awaitable[CheckResult]]

PLAIN_TYPE = "text/plain; charset=utf-8"
TARGET_LIMIT = 2000  # characters
_SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
_OFFSET = 0.5  # seconds of a scrape that are left for the way back, as the exporter has it
_LONGEST, _SHORTEST = 119.5, 0.1  # seconds of one probe
_REDIRECTS = {301, 302, 303, 307, 308}
_CERTIFICATE_TIME = 5.0  # seconds at most for the second handshake of an HTTPS probe


class Answered(NamedTuple):
    status: int
    body: str
    content_type: str = PLAIN_TYPE


async def probe_response(
    query: Mapping[str, str],
    headers: Mapping[str, str],
    run_once: RunOnce,
    modules: Mapping[str, Module] = MODULES,
) -> Answered:
    """The answer to one scrape. `headers` has names in lower case (or is case-insensitive)."""
    name, target, hostname = query.get("module") or "http_2xx", query.get("target") or "", query.get("hostname") or ""
    module = modules.get(name)
    if module is None or module.problem:
        why = f": {module.problem}" if module else ""
        return Answered(400, f"Unknown module {json.dumps(name[:100])}{why}\n")
    limit = scrape_limit(headers.get(_SCRAPE_TIMEOUT))
    if limit is None:
        return Answered(500, "Failed to parse timeout from Prometheus header: it is not a number of seconds\n")
    if wrong := _wrong_question(module, target, hostname):
        return Answered(400, wrong)
    limit = min(limit, module.timeout) if module.timeout else limit
    result = await _probe(module, target, hostname, limit, run_once)
    collected = ProbeFamilies()
    collected.tell("probe_timeout_seconds", limit)
    collected.add(module.kind, result)
    if query.get("debug") == "true":
        return Answered(200, explain(name, module, target, limit=limit, result=result, families=collected.families()))
    return Answered(200, render(collected.families()), TEXT_TYPE)


def _wrong_question(module: Module, target: str, hostname: str) -> str:
    if not target:
        return "Target parameter is missing\n"
    if len(target) > TARGET_LIMIT or not target.isprintable():
        return f"Target parameter must be at most {TARGET_LIMIT} printable characters\n"
    if own := module.contradicts(hostname):
        both = f"in the module ({own[:100]}) and as the parameter 'hostname' ({hostname[:100]})"
        return f"The header Host is given both {both}\n"
    return ""


def scrape_limit(header: str | None) -> float | None:
    """Seconds for the probe from the scrape's own timeout; None if the header is not a number."""
    if not header:
        return _LONGEST
    try:
        seconds = float(header)
    except ValueError:
        return None
    if not math.isfinite(seconds):
        return None
    return _LONGEST if seconds <= 0 else min(_LONGEST, max(_SHORTEST, seconds - _OFFSET))


async def _probe(module: Module, target: str, hostname: str, limit: float, run_once: RunOnce) -> CheckResult:
    options = module.options(target, hostname)
    result = await run_once(_order(module, module.kind, options, limit))
    if result.code.startswith("tls."):  # the exporter tells of no certificate that it did not accept
        hidden = ("certificate", "certificates", "tls")
        result.evidence = {key: value for key, value in result.evidence.items() if key not in hidden}
    if module.kind == "http":
        result.evidence = {**result.evidence, **_as_counted(module, result.evidence)}
    if not result.phases.get("tls") or not {"status", "grpc_status"} & set(result.evidence):
        return result
    # libcurl does not tell the TLS version, nor the chain of a reused certificate: one more handshake does.
    left = min(_CERTIFICATE_TIME, limit - result.duration)
    asked = options["target"]
    endpoint = str(asked["address"]) if module.kind == "grpc" else _https_endpoint(_final_url(result, asked))
    if left > _SHORTEST and endpoint:
        tls = asked if module.kind == "grpc" else dict(module.target.get("tls") or {})
        trust = {name: tls[name] for name in ("verify", "ca", "server_name") if tls.get(name) is not None}
        looking = {**options, "target": {"address": endpoint, **trust}, "expect": {"days": 0}}
        handshake = await run_once(_order(module, "tls", looking, left))
        shown: dict[str, Any] = {
            key: handshake.evidence[key] for key in ("certificates", "tls") if key in handshake.evidence
        }
        result.evidence = {**result.evidence, **shown}
    return result


def _as_counted(module: Module, evidence: Mapping[str, Any]) -> dict[str, int]:
    """What the exporter counts otherwise: a redirect that is not followed, a body that is cut off."""
    counted: dict[str, int] = {}
    if evidence.get("cut"):
        counted["bytes"] = min(evidence["bytes"], module.target.get("max_read", evidence["bytes"]))
    follows = (module.target.get("redirects") or {}).get("follow", True)
    if not follows and evidence.get("status") in _REDIRECTS and "location" in (evidence.get("headers") or {}):
        counted |= {"redirects": 1, "bytes": 0}
    return counted


def _final_url(result: CheckResult, asked: Mapping[str, Any]) -> str:
    return str(result.evidence.get("url") or asked["url"])


def _order(module: Module, kind: str, options: dict[str, Any], limit: float) -> CheckOrder:
    return CheckOrder(uid="probe", kind=kind, interval=0.0, timeout=limit, options=options, secrets=module.secrets)


def _https_endpoint(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        return ""
    if parts.scheme != "https" or not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def explain(
    name: str, module: Module, target: str, *, limit: float, result: CheckResult, families: list[Family]
) -> str:
    """The page of `debug=true`, in the exporter's three parts."""
    at = datetime.fromtimestamp(result.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    prefix = f"ts={at} module={name} target={json.dumps(target, ensure_ascii=False)}"
    lines = [f'{prefix} level=info msg="Beginning probe" probe={module.kind} timeout_seconds={limit:g}']
    lines += [
        f"{prefix} level=info msg=Phase phase={phase} seconds={seconds:.6f}" for phase, seconds in result.phases.items()
    ]
    if result.code:
        said = json.dumps(result.message, ensure_ascii=False)
        lines.append(f"{prefix} level=error msg={said} verdict={result.verdict} code={result.code}")
    outcome = "succeeded" if result.verdict in ("up", "degraded") else "failed"
    level = "info" if outcome == "succeeded" else "error"
    lines.append(f'{prefix} level={level} msg="Probe {outcome}" duration_seconds={result.duration:.6f}')
    logs = "\n".join(lines)
    return (
        f"Logs for the probe:\n{logs}\n\n\n\n"
        f"Metrics that would have been returned:\n{render(families)}\n\n\n"
        f"Module configuration:\n{module.describe()}\n"
    )


async def probe(request: Request) -> Response:
    """The door: `request.app.state` holds `probers` (with `run_once`), `modules` and `require` (raises Forbidden)."""
    from starlette.responses import Response

    from mainstay.kernel.errors import MainstayError

    try:
        await request.app.state.require(request, "monitors:check")
        state = request.app.state
        answered = await probe_response(
            request.query_params, request.headers, state.probers.run_once, state.modules.known
        )
    except MainstayError as error:
        answered = Answered(error.status, f"{error}\n")
    headers = {"Cache-Control": "no-store"}
    if answered.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mainstay"'
    return Response(answered.body, answered.status, headers, media_type=answered.content_type)
