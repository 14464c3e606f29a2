"""`/probe?target=&module=`: answers as the Prometheus blackbox exporter does, by Mainstay's own checks.

The text of answers and errors follows blackbox_exporter 0.23 `prober/handler.go`, so that a scrape
configuration works by changing the address. A check is a `CheckOrder` handed to `run_once`, which the
prober processes carry out; addresses that they refuse make the probe fail.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mainstay.entry.api.exposition import TEXT_TYPE, Family, render
from mainstay.entry.api.probe_metrics import ProbeFamilies
from mainstay.kernel.probing import CheckOrder, CheckResult

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

RunOnce = Callable[[CheckOrder], Awaitable[CheckResult]]

PLAIN_TYPE = "text/plain; charset=utf-8"
TARGET_LIMIT = 2000  # characters
_SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
_OFFSET = 0.5  # seconds of a scrape that are left for the way back, as the exporter has it
_LONGEST, _SHORTEST = 119.5, 0.1  # seconds of one probe
_CERTIFICATE_TIME = 5.0  # seconds at most for the second handshake of an HTTPS probe


@dataclass(frozen=True, slots=True)
class Module:
    """One way to probe: the kind of check, and what is fixed of its target and expectations."""

    kind: str
    fills: str  # the field that the target fills
    target: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)

    def options(self, target: str, hostname: str = "") -> dict[str, Any]:
        document = dict(self.target) | {self.fills: target}
        if self.kind == "http":
            if "://" not in target:
                document["url"] = f"http://{target}"
            if hostname:
                document["headers"] = {**document.get("headers", {}), "Host": hostname}
        elif self.kind == "tcp" and hostname:
            document["server_name"] = hostname
        # `detail` asks for response headers that a scheduled check does not keep.
        return {"target": document, "expect": dict(self.expect), "detail": True}

    def describe(self) -> str:
        """The module as one would write it, for the page that explains a probe."""
        shown = {"prober": self.kind, **({"target": dict(self.target)} if self.target else {})}
        if self.expect:
            shown["expect"] = dict(self.expect)
        return json.dumps(shown, indent=2, ensure_ascii=False)


MODULES: dict[str, Module] = {
    "http_2xx": Module("http", "url"),
    "http_post_2xx": Module("http", "url", {"method": "POST"}),
    "http_2xx_insecure": Module("http", "url", {"tls": {"verify": False}}),
    "tcp_connect": Module("tcp", "address"),
    "tls_connect": Module("tcp", "address", {"tls": True}),
    "pop3s_banner": Module("tcp", "address", {"tls": True}, {"regex": r"(?m)^\+OK"}),
    "ssh_banner": Module("tcp", "address", {"send": "SSH-2.0-blackbox-ssh-check\n"}, {"regex": r"(?m)^SSH-2\.0-"}),
    "dns_udp": Module("dns", "resolver", {"name": ".", "type": "NS"}),
    "dns_tcp": Module("dns", "resolver", {"name": ".", "type": "NS", "protocol": "tcp"}),
    "dns_soa": Module("dns", "resolver", {"name": ".", "type": "SOA"}),
    "icmp": Module("icmp", "host", {"count": 1}),
}


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
    name = query.get("module") or "http_2xx"
    module = modules.get(name)
    if module is None:
        return Answered(400, f"Unknown module {json.dumps(name[:100])}\n")
    limit = scrape_limit(headers.get(_SCRAPE_TIMEOUT))
    if limit is None:
        return Answered(500, "Failed to parse timeout from Prometheus header: it is not a number of seconds\n")
    target = query.get("target") or ""
    if not target:
        return Answered(400, "Target parameter is missing\n")
    if len(target) > TARGET_LIMIT or not target.isprintable():
        return Answered(400, f"Target parameter must be at most {TARGET_LIMIT} printable characters\n")
    result = await _probe(module, target, query.get("hostname") or "", limit, run_once)
    collected = ProbeFamilies()
    collected.add(module.kind, result)
    if query.get("debug") == "true":
        return Answered(200, explain(name, module, target, limit=limit, result=result, families=collected.families()))
    return Answered(200, render(collected.families()), TEXT_TYPE)


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
    result = await run_once(_order(module.kind, module.options(target, hostname), limit))
    if module.kind != "http" or not result.phases.get("tls") or "status" not in result.evidence:
        return result
    # libcurl does not tell the TLS version, nor the chain of a reused certificate: one more handshake does.
    left = min(_CERTIFICATE_TIME, limit - result.duration)
    endpoint = _https_endpoint(str(result.evidence.get("url") or module.options(target)["target"]["url"]))
    if left > _SHORTEST and endpoint:
        verify = bool(dict(module.target.get("tls") or {}).get("verify", True))
        handshake = await run_once(
            _order("tls", {"target": {"address": endpoint, "verify": verify}, "expect": {"days": 0}}, left)
        )
        shown: dict[str, Any] = {
            key: handshake.evidence[key] for key in ("certificates", "tls") if key in handshake.evidence
        }
        result.evidence = {**result.evidence, **shown}
    return result


def _order(kind: str, options: dict[str, Any], limit: float) -> CheckOrder:
    return CheckOrder(uid="probe", kind=kind, interval=0.0, timeout=limit, options=options)


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
    """The door: `request.app.state` holds `probers` (with `run_once`) and `require` (scope check, raises Forbidden)."""
    from starlette.responses import Response

    from mainstay.kernel.errors import MainstayError

    try:
        await request.app.state.require(request, "monitors:check")
        answered = await probe_response(request.query_params, request.headers, request.app.state.probers.run_once)
    except MainstayError as error:
        answered = Answered(error.status, f"{error}\n")
    headers = {"Cache-Control": "no-store"}
    if answered.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mainstay"'
    return Response(answered.body, answered.status, headers, media_type=answered.content_type)
