"""One HTTP check: request, redirects, judgement.

Redirects are followed here rather than by libcurl: each hop's name goes through the same resolver and guard, and
credentials stay with the origin that they were written for.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pycurl

from mainstay.integrations.checks.http import evidence
from mainstay.integrations.checks.http.credentials import mask, origin, shown_url
from mainstay.integrations.checks.http.expectations import KEPT, Answer
from mainstay.integrations.checks.http.faults import explain
from mainstay.integrations.checks.http.request import Plan, Request, clean_url, is_plain_address, plan_request
from mainstay.integrations.checks.http.transfers import Handle, Transfers
from mainstay.integrations.checks.steps import describe_seconds
from mainstay.kernel.probing import CheckFault, finding

if TYPE_CHECKING:
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_REDIRECTS = {301, 302, 303, 307, 308}
_PROTOCOLS = {1: "1.0", 2: "1.1", 3: "2", 30: "3"}
_CERTIFICATE_FRESH = 3600.0  # seconds; reading it costs a tenth of a handshake
_MICRO = 1e-6


def prepare(order: CheckOrder) -> Plan:
    return plan_request(order)


async def run(plan: Plan, context: CheckContext) -> CheckResult:
    transfers = context.shared("http.transfers", lambda: Transfers(context.guard))
    check = _Run(plan, context, transfers)
    try:
        answer = await check.follow()
    except CheckFault as fault:
        plan.state.certificate_due = 0.0
        return check.result(fault)
    return check.judged(answer)


class _Body:
    """Keeps the beginning of a body and stops reading at the limit. Sizes are those after unpacking."""

    __slots__ = ("chunks", "cut", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.limit = limit
        self.cut = False

    def write(self, data: bytes) -> int:
        if self.size < KEPT:
            self.chunks.append(data[: KEPT - self.size])
        self.size += len(data)
        if self.size > self.limit:
            self.cut = True
            return 0  # libcurl ends the transfer
        return len(data)


class _Run:
    def __init__(self, plan: Plan, context: CheckContext, transfers: Transfers) -> None:
        self._plan = plan
        self._context = context
        self._transfers = transfers
        self._ends = time.monotonic() + plan.order.timeout
        self._phases: dict[str, float] = {}
        self._evidence: dict[str, Any] = {}

    async def follow(self) -> Answer:
        """The answer after all redirects. CheckFault if there is none."""
        plan, request = self._plan, self._plan.first
        for hop in range(plan.redirect_limit + 1):
            answer, target = await self._exchange(request)
            if not plan.follow or answer.status not in _REDIRECTS or not target:
                return answer
            request = self._redirected(request, answer.status, target)
            self._evidence["redirects"] = hop + 1
            self._evidence["url"] = mask(shown_url(request.url), plan.secrets)[:500]
        message = f"more than {plan.redirect_limit} redirects, the last one to {self._evidence['url'][:200]}"
        raise CheckFault("expect.redirects", message)

    def _redirected(self, request: Request, status: int, target: str) -> Request:
        try:
            url = clean_url(target)
        except CheckFault:
            shown = mask(shown_url(target[:200]), self._plan.secrets)
            raise CheckFault("expect.redirects", f"it redirects to `{shown}`, which is not an HTTP URL") from None
        following = replace(request, url=url)
        if status == 303 or (status in (301, 302) and request.method == "POST"):
            kept = tuple(line for line in request.headers if not line.lower().startswith("content-type:"))
            method = "HEAD" if request.method == "HEAD" else "GET"
            following = replace(following, method=method, body=None, headers=kept)
        if origin(url) != origin(request.url):
            following = replace(following, secret_headers=(), credentials=())
        return following

    async def _exchange(self, request: Request) -> tuple[Answer, str]:
        """One request on a connection of its own: the answer, and where it redirects to."""
        handle = self._transfers.take()
        try:
            await self._direct(handle, request)
            return await self._transfer(handle, request)
        finally:
            self._transfers.give(handle)

    async def _direct(self, handle: Handle, request: Request) -> None:
        """Make sure that the connection goes to an allowed address."""
        plan, curl = self._plan, handle.curl
        plain = is_plain_address(request.url)
        if plain and not plan.proxy and not plan.server_name and plan.family == 0:
            curl.setopt(pycurl.URL, request.url)
            self._evidence["address"] = plain
            if reason := self._context.guard.refuses(plain):
                raise CheckFault("check.address_refused", reason, verdict="unknown")
            return
        curl.setopt(pycurl.OPENSOCKETFUNCTION, handle.opener)
        via = urlsplit(plan.proxy or request.url)
        host = via.hostname or ""
        addresses = await self._look_up(host)
        self._evidence["address"] = addresses[0]  # what is tried first; once connected, what answered
        url, name = request.url, host
        if plan.server_name and not plan.proxy and origin(url) == origin(plan.first.url):
            name = plan.server_name
            url = url.replace(f"//{urlsplit(url).netloc}", f"//{_authority(name, via.port)}", 1)
        curl.setopt(pycurl.URL, url)
        if name != host or not _is_address(host):
            port = via.port or {"https": 443, "socks5h": 1080}.get(via.scheme, 1080 if plan.proxy else 80)
            entry = f"{name}:{port}"
            listed = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
            forget = [f"-{old}" for old in handle.names if old != entry]
            handle.names = [entry]
            curl.setopt(pycurl.RESOLVE, [*forget, f"{entry}:{listed}"])

    async def _look_up(self, host: str) -> list[str]:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._remaining()):
                return await self._context.addresses(host, self._plan.family)
        except TimeoutError:
            limit = describe_seconds(self._plan.order.timeout)
            message = f"the name {host} could not be looked up within {limit}"
            raise CheckFault("lookup.timeout", message, verdict="unknown") from None
        finally:
            self._add("lookup", time.perf_counter() - began)

    async def _transfer(self, handle: Handle, request: Request) -> tuple[Answer, str]:
        curl, plan = handle.curl, self._plan
        body, lines = _Body(plan.max_read), list[bytes]()
        secure = request.url.startswith("https:")
        wants_certificate = self._set_options(curl, request, secure=secure)
        curl.setopt(pycurl.WRITEFUNCTION, body.write)
        curl.setopt(pycurl.HEADERFUNCTION, lines.append)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(self._remaining() * 1000)))
        code, text = await self._transfers.perform(curl)
        seconds = self._note_times(curl, secure=secure)
        if curl.getinfo(pycurl.CONNECT_TIME_T):
            host, port = curl.getinfo(pycurl.PRIMARY_IP), curl.getinfo(pycurl.PRIMARY_PORT)
            self._evidence["address"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if handle.refused:
            raise CheckFault("check.address_refused", handle.refused, verdict="unknown")
        if code and not body.cut:
            raise explain(curl, code, text, secure=secure, limit=plan.order.timeout)
        if b"\r\n" not in lines and b"\n" not in lines:  # libcurl takes what there was for an answer
            raise CheckFault("wait.closed", "the connection was closed in the middle of the headers")
        if wants_certificate:
            plan.state.certificate = evidence.certificate(curl.getinfo(pycurl.INFO_CERTINFO))
            plan.state.certificate_due = time.monotonic() + _CERTIFICATE_FRESH
        answer = Answer(
            status=curl.getinfo(pycurl.RESPONSE_CODE),
            protocol=_PROTOCOLS.get(curl.getinfo(pycurl.INFO_HTTP_VERSION), "?"),
            lines=lines,
            kept=body.chunks[0] if len(body.chunks) == 1 else b"".join(body.chunks),
            size=body.size,
            cut=body.cut,
            seconds=seconds,
            certificate=plan.state.certificate if secure else None,
        )
        return answer, (curl.getinfo(pycurl.REDIRECT_URL) or "") if answer.status in _REDIRECTS else ""

    def _set_options(self, curl: Any, request: Request, *, secure: bool) -> bool:
        """Whether the certificate is read in this run."""
        plan = self._plan
        for option, value in plan.options:
            curl.setopt(option, value)
        for option, value in request.credentials:
            curl.setopt(option, value)
        headers = [*request.headers, *request.secret_headers]
        if plan.server_name and not any(line.lower().startswith("host:") for line in headers):
            headers.append(f"Host: {urlsplit(request.url).netloc}")
        _set_method(curl, request, headers)
        curl.setopt(pycurl.HTTPHEADER, headers)
        if not secure:
            return False
        if self._context.ca_file:
            curl.setopt(pycurl.CAINFO, self._context.ca_file)
        wanted = plan.expectations.certificate_days is not None or time.monotonic() >= plan.state.certificate_due
        if wanted:
            curl.setopt(pycurl.OPT_CERTINFO, 1)
        return wanted

    def _note_times(self, curl: Any, *, secure: bool) -> float:
        """Add the phases of one transfer; the seconds of all of them so far."""
        total = curl.getinfo(pycurl.TOTAL_TIME_T) * _MICRO
        connected = curl.getinfo(pycurl.CONNECT_TIME_T) * _MICRO
        ready = curl.getinfo(pycurl.APPCONNECT_TIME_T) * _MICRO if secure else connected
        answered = curl.getinfo(pycurl.STARTTRANSFER_TIME_T) * _MICRO
        self._add("connect", connected or total)
        if connected and secure:
            self._add("tls", (ready or total) - connected)
        if ready:
            self._add("wait", (answered or total) - ready)
        if answered and ready:
            self._add("transfer", total - answered)
        return sum(self._phases.values())

    def _add(self, phase: str, seconds: float) -> None:
        self._phases[phase] = round(self._phases.get(phase, 0.0) + max(0.0, seconds), 6)

    def _remaining(self) -> float:
        return self._ends - time.monotonic()

    def judged(self, answer: Answer) -> CheckResult:
        plan, shown = self._plan, self._evidence
        failures = plan.expectations.judge(answer)
        shown["status"] = answer.status
        shown["http_version"] = answer.protocol
        shown["bytes"] = answer.size
        if answer.cut:
            shown["cut"] = True
        if answer.certificate is not None:
            shown["certificate"] = answer.certificate
        if plan.order.options.get("detail"):  # /probe and `mainstay check` show more than a scheduled check keeps
            shown.update(evidence.of_headers(answer, plan.secrets))
        if not failures:
            return self._finding("up", "", "")
        plan.state.certificate_due = 0.0
        shown.update(evidence.of_failure(answer, plan.secrets))
        if len(failures) > 1:
            shown["also"] = [mask(failure.message, plan.secrets) for failure in failures[1:10]]
        return self._finding(failures[0].verdict, failures[0].code, failures[0].message)

    def result(self, fault: CheckFault) -> CheckResult:
        self._evidence.update(fault.evidence)
        return self._finding(fault.verdict, fault.code, fault.message)

    def _finding(self, verdict: Any, code: str, message: str) -> CheckResult:
        shown = mask(message, self._plan.secrets) if message else ""
        result = finding(verdict, code, shown, phases=self._phases, evidence=self._evidence)
        result.duration = round(sum(self._phases.values()), 6)
        return result


def _set_method(curl: Any, request: Request, headers: list[str]) -> None:
    if request.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
        return
    if request.body is not None:
        curl.setopt(pycurl.POSTFIELDS, request.body)
        headers.append("Expect:")  # a check does not wait for a 100
    elif request.method == "POST":
        curl.setopt(pycurl.POSTFIELDS, b"")
    if request.method != ("GET" if request.body is None else "POST"):
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)


def _authority(host: str, port: int | None) -> str:
    return f"{host}:{port}" if port else host


def _is_address(host: str) -> bool:
    return ":" in host or re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", host) is not None
