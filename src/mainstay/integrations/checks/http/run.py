"""One HTTP check: request, redirects, judgement.

Redirects are followed here rather than by libcurl: each hop's name goes through the same resolver and guard, and
credentials stay with the origin that they were written for.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pycurl

from mainstay.integrations.checks.certificates import explain as describe_fault
from mainstay.integrations.checks.http import evidence
from mainstay.integrations.checks.http.credentials import shown_url
from mainstay.integrations.checks.http.expectations import KEPT, Answer, parse_headers
from mainstay.integrations.checks.http.faults import explain
from mainstay.integrations.checks.http.packing import Unpacked, unpack
from mainstay.integrations.checks.http.request import Prepared, Request, plan_request
from mainstay.integrations.checks.http.transfers import Body, Handle, Journey, Transfers
from mainstay.integrations.checks.progress import describe_seconds
from mainstay.kernel.probing import CheckFault, finding

if TYPE_CHECKING:
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_REDIRECTS = {301, 302, 303, 307, 308}
_PROTOCOLS = {1: "1.0", 2: "1.1", 3: "2", 30: "3"}
_TOTAL, _CONNECTED = pycurl.TOTAL_TIME_T, pycurl.CONNECT_TIME_T
_SECURED, _ANSWERED = pycurl.APPCONNECT_TIME_T, pycurl.STARTTRANSFER_TIME_T


def prepare(order: CheckOrder) -> Prepared:
    return plan_request(order)


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    transfers = context.shared("http.transfers", lambda: Transfers(context.guard, context.ca_file))
    check = _Run(plan, context, transfers)
    try:
        return check.judged(await check.follow())
    except CheckFault as fault:
        return check.failed(fault)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer for other kinds that speak HTTP; without one, `fault` says why. `phases` in seconds."""

    answer: Answer | None
    fault: CheckFault | None
    phases: dict[str, float]
    evidence: dict[str, Any]


async def fetch(plan: Prepared, context: CheckContext, transfers: Transfers | Journey | None = None) -> Fetched:
    """Request and redirects without judgement. Never raises CheckFault."""
    lent = transfers or context.shared("http.transfers", lambda: Transfers(context.guard, context.ca_file))
    check = _Run(plan, context, lent)
    try:
        answer = await check.follow()
    except CheckFault as fault:
        return Fetched(None, fault, check.phases, check.evidence)
    return Fetched(answer, None, check.phases, check.evidence)


def _unknown_packing(code: int, text: str, lines: list[bytes]) -> str:
    """The Content-Encoding where libcurl gave up because it has no such; no error but of one who reads the body."""
    if code != pycurl.E_BAD_CONTENT_ENCODING or "Unrecognized" not in text:
        return ""
    return parse_headers(lines).get("content-encoding", "?")


class _Run:
    __slots__ = ("_context", "_cookies", "_ends", "_plan", "_transfers", "evidence", "phases")

    def __init__(self, plan: Prepared, context: CheckContext, transfers: Transfers | Journey) -> None:
        self._plan = plan
        self._context = context
        self._transfers = transfers
        self._ends = time.monotonic() + plan.timeout
        self._cookies: list[bytes] = []  # that answers of this run set, for the handle of the next request
        self.phases: dict[str, float] = {}
        self.evidence: dict[str, Any] = {}

    async def follow(self) -> Answer:
        """The answer after all redirects. CheckFault if there is none."""
        plan, request = self._plan, self._plan.requests.first
        for hop in range(plan.redirect_limit + 1):
            answer, target = await self._exchange(request)
            if not target:
                return answer
            request = plan.requests.redirected(request, answer.status, target)
            self.evidence["redirects"] = hop + 1
            self.evidence["url"] = plan.masker.text(shown_url(request.url))[:500]
        self.evidence |= {"status": answer.status, "http_version": answer.protocol}
        self.evidence.update(evidence.of_headers(answer, plan.masker))
        message = f"more than {plan.redirect_limit} redirects, the last one to {self.evidence['url'][:200]}"
        raise CheckFault("expect.redirects", message)

    async def _exchange(self, request: Request) -> tuple[Answer, str]:
        """One request on a connection of its own: the answer, and where it redirects to."""
        addresses: list[str] = []
        if not request.plain:
            addresses = await self._look_up(request.via)
        elif reason := self._context.guard.refuses(request.plain):
            raise CheckFault("check.address_refused", reason, verdict="unknown")
        handle = self._transfers.take(request.setup)
        try:
            handle.add_cookies(self._cookies)
            reads_certificate = self._direct(handle, request, addresses)
            code, text = await self._transfers.perform(handle.curl)
            if code and not handle.refused:  # libcurl does not tell to whom it could not connect
                self.evidence.setdefault("address", request.plain or addresses[0])
            return self._received(handle, request, code, text, reads_certificate=reads_certificate)
        finally:
            self._transfers.give(handle)

    async def _look_up(self, host: str) -> list[str]:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._remaining()):
                return await self._context.addresses(host, self._plan.requests.family)
        except TimeoutError:
            message = f"the name {host} could not be looked up within {describe_seconds(self._plan.timeout)}"
            raise CheckFault("lookup.timeout", message, verdict="unknown") from None
        finally:
            self._add("lookup", time.perf_counter() - began)

    def _direct(self, handle: Handle, request: Request, addresses: list[str]) -> bool:
        """What differs between runs: where to, how long, and whether the certificate is read (the result)."""
        plan, curl = self._plan, handle.curl
        curl.setopt(pycurl.URL, request.address())
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(self._remaining() * 1000)))
        handle.body.begin(KEPT, plan.max_read)
        if request.entry:
            listed = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
            forget = [f"-{old}" for old in handle.names if old != request.entry]
            handle.names = [request.entry]
            curl.setopt(pycurl.RESOLVE, [*forget, f"{request.entry}:{listed}"])
        if not request.secure:
            return False
        wanted = plan.expectations.certificate_days is not None or plan.state.is_due(request.origin)
        curl.setopt(pycurl.OPT_CERTINFO, 1 if wanted else 0)
        return wanted

    def _received(
        self, handle: Handle, request: Request, code: int, text: str, *, reads_certificate: bool
    ) -> tuple[Answer, str]:
        curl, body, state = handle.curl, handle.body, self._plan.state
        seconds = self._note_times(curl, secure=request.secure)
        if handle.refused:
            raise CheckFault("check.address_refused", handle.refused, verdict="unknown")
        packed = _unknown_packing(code, text, handle.lines)
        if code and not body.cut and not packed:
            raise explain(curl, code, text, secure=request.secure, limit=self._plan.timeout)
        lines = handle.lines.copy()
        if b"\r\n" not in lines and b"\n" not in lines:  # libcurl takes what there was for an answer
            raise CheckFault("wait.closed", "the connection was closed in the middle of the headers")
        if reads_certificate:
            state.keep(request.origin, self._named(curl, request))
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        leads = self._plan.follow and status in _REDIRECTS
        found = self._unpacked(body, lines, packed, leads=leads)
        answer = Answer(
            status=status,
            protocol=_PROTOCOLS.get(curl.getinfo(pycurl.INFO_HTTP_VERSION), "?"),
            lines=lines,
            kept=found.start,
            size=found.size,
            cut=found.cut,
            seconds=seconds,
            path=state.path(request.origin),
            secure=request.secure,
            packed=found.unknown,
        )
        if not leads:
            return answer, ""
        self._cookies = handle.cookies()
        return answer, (curl.getinfo_raw(pycurl.REDIRECT_URL) or b"").decode("utf-8", "replace")

    def _unpacked(self, body: Body, lines: list[bytes], unknown: str, *, leads: bool) -> Unpacked:
        """What is looked into. `leads`: the answer is a redirect, whose body nobody reads."""
        if not self._plan.requests.raw or leads or not body.size:
            return Unpacked(body.start, body.size, body.cut, unknown)
        encodings = parse_headers(lines).get("content-encoding", "")
        if not encodings:
            return Unpacked(body.start, body.size, body.cut)
        whole = not body.cut and body.size <= KEPT
        return unpack(body.start, encodings, whole=whole, kept=KEPT, limit=self._plan.max_read)

    def _named(self, curl: Any, request: Request) -> list[dict[str, Any]]:
        """The certificates that count. libcurl also takes the common name for a host's, which RFC 9525 ended."""
        requests, now = self._plan.requests, time.time()
        path = evidence.path(curl.getinfo(pycurl.INFO_CERTINFO), requests.ca, self._context.ca_file, now)
        if requests.verify and path and not path[0]["names"]:
            host = urlsplit(request.sent_url).hostname or ""
            raise describe_fault(CheckFault("tls.name_mismatch", ""), path, host, now)
        return path

    def _note_times(self, curl: Any, *, secure: bool) -> float:
        """Add the phases of one transfer; the seconds of all of them so far."""
        info, phases = curl.getinfo, self.phases
        total, connected, answered = info(_TOTAL), info(_CONNECTED), info(_ANSWERED)  # microseconds from the start
        ready = info(_SECURED) if secure else connected
        if connected:
            host, port = info(pycurl.PRIMARY_IP), info(pycurl.PRIMARY_PORT)
            self.evidence["address"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        ends = {"connect": connected or total}
        if connected and secure:
            ends["tls"] = ready or total
        if ready:
            ends["wait"] = answered or total
            if answered:
                ends["transfer"] = total
        begin = 0
        for phase, end in ends.items():
            phases[phase] = phases.get(phase, 0.0) + max(0, end - begin) / 1_000_000
            begin = end
        return sum(phases.values())

    def _add(self, phase: str, seconds: float) -> None:
        self.phases[phase] = round(self.phases.get(phase, 0.0) + seconds, 6)

    def _remaining(self) -> float:
        return self._ends - time.monotonic()

    def judged(self, answer: Answer) -> CheckResult:
        plan, shown = self._plan, self.evidence
        failures = plan.expectations.judge(answer)
        shown["status"] = answer.status
        shown["http_version"] = answer.protocol
        shown["bytes"] = answer.size
        if answer.cut:
            shown["cut"] = True
        if answer.path:
            shown["certificate"] = evidence.certificate(answer.path)
        if plan.detail:
            shown.update(evidence.of_headers(answer, plan.masker))
        if not failures:
            return self._finding("up", "", "")
        plan.state.forget()
        shown.update(evidence.of_failure(answer, plan.masker))
        if len(failures) > 1:
            shown["also"] = [plan.masker.text(failure.message) for failure in failures[1:10]]
        return self._finding(failures[0].verdict, failures[0].code, failures[0].message)

    def failed(self, fault: CheckFault) -> CheckResult:
        self._plan.state.forget()
        self.evidence.update(fault.evidence)
        return self._finding(fault.verdict, fault.code, fault.message)

    def _finding(self, verdict: Any, code: str, message: str) -> CheckResult:
        shown = self._plan.masker.text(message) if message else ""
        result = finding(verdict, code, shown, phases=self.phases, evidence=self.evidence)
        result.duration = round(sum(self.phases.values()), 6)
        return result
