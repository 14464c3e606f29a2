"""Ask the engine about one container, over its socket."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pycurl

from mainstay import __version__
from mainstay.integrations.checks.docker.container import Container, Limits, Looks, describe, judge
from mainstay.integrations.checks.http.faults import explain
from mainstay.integrations.checks.http.transfers import Handle, Setup, Transfers
from mainstay.integrations.checks.progress import carry_out, document, excerpt
from mainstay.kernel.probing import CheckFault
from mainstay.kernel.timespan import parse_duration

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_SOCKET = "/var/run/docker.sock"
_READ = 1024 * 1024  # bytes of an answer
_EARLIER = 0.05  # seconds before the hard limit at which libcurl gives up, so that it can say in which phase


class _Message(msgspec.Struct):
    message: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    socket: str
    url: str
    setup: Setup
    limits: Limits
    looks: Looks


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    restarts = expect.get("restarts") or {}
    within = parse_duration(restarts.get("within", "10m"))
    socket = target.get("socket", _SOCKET)
    return Prepared(
        timeout=order.timeout,
        socket=socket,
        url=f"http://engine/containers/{target['container']}/json",
        setup=Setup(_options(socket), guarded=False, trusting=False, once=False),
        limits=Limits(expect.get("health", "if_any"), restarts.get("warn", 2), restarts.get("critical", 5), within),
        looks=Looks(within),
    )


def _options(socket: str) -> tuple[tuple[int, Any], ...]:
    return (
        (pycurl.NOSIGNAL, 1),
        (pycurl.FRESH_CONNECT, 1),
        (pycurl.FORBID_REUSE, 1),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.PROXY, ""),
        (pycurl.UNIX_SOCKET_PATH, socket),
        (pycurl.HTTPHEADER, (f"User-Agent: Mainstay/{__version__}", "Accept: application/json")),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    if reason := context.guard.refuses("127.0.0.1"):
        raise CheckFault("check.address_refused", f"this machine may not be inspected: {reason}", verdict="unknown")
    transfers = context.shared("http.transfers", lambda: Transfers(context.guard, context.ca_file))

    async def walk(steps: Steps) -> None:
        container = _read(*await _ask(plan, transfers, steps))
        restarts = plan.looks.restarts(container, time.monotonic())
        steps.evidence |= describe(container, restarts)
        judge(container, restarts, plan.limits)

    return await carry_out(plan.timeout, walk)


async def _ask(plan: Prepared, transfers: Transfers, steps: Steps) -> tuple[int, bytes]:
    """(status, body). What keeps the engine from answering says nothing about its containers: unknown."""
    handle = transfers.take(plan.setup)
    try:
        handle.curl.setopt(pycurl.URL, plan.url)
        handle.curl.setopt(pycurl.TIMEOUT_MS, max(1, int((steps.remaining - _EARLIER) * 1000)))
        handle.body.begin(_READ, _READ)
        code, text = await transfers.perform(handle.curl)
        _note_times(handle, steps)
        if code and not handle.body.cut:
            raise _silence(plan, handle, code, text)
        if handle.body.cut:
            raise _fault("wait.malformed", f"the engine's answer has over {_READ // 1024} KiB")
        return handle.curl.getinfo(pycurl.RESPONSE_CODE), handle.body.start
    finally:
        transfers.give(handle)


def _note_times(handle: Handle, steps: Steps) -> None:
    begin = 0
    for phase, mark in (
        ("connect", pycurl.CONNECT_TIME_T),
        ("wait", pycurl.STARTTRANSFER_TIME_T),
        ("transfer", pycurl.TOTAL_TIME_T),
    ):
        end = handle.curl.getinfo(mark)
        if end:
            steps.phases[phase] = max(0, end - begin) / 1_000_000
            begin = end


def _silence(plan: Prepared, handle: Handle, code: int, text: str) -> CheckFault:
    number = handle.curl.getinfo(pycurl.OS_ERRNO)
    if code == pycurl.E_COULDNT_CONNECT and number == errno.ENOENT:
        reason = f"there is no socket {plan.socket}: no engine runs here, or its socket is elsewhere"
        return _fault("connect.no_socket", reason)
    if code == pycurl.E_COULDNT_CONNECT and number in (errno.EACCES, errno.EPERM):
        reason = f"Mainstay's user may not use {plan.socket}; its group, often `docker`, may (and may then do anything)"
        return _fault("connect.permission", reason)
    if code == pycurl.E_COULDNT_CONNECT and number == errno.ECONNREFUSED:
        return _fault("connect.refused", f"nothing listens on {plan.socket}: the engine is not running")
    fault = explain(handle.curl, code, text, secure=False, limit=plan.timeout)
    return _fault(fault.code, f"the engine could not be reached: {fault.message}")


def _read(status: int, body: bytes) -> Container:
    if status == 200:
        try:
            return msgspec.json.decode(body, type=Container)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _fault(
                "wait.malformed", "the engine's answer does not look like its API", excerpt=excerpt(body)
            ) from None
    try:
        said = excerpt(msgspec.json.decode(body, type=_Message).message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = excerpt(body)
    if status == 404 and "container" in said.lower():
        raise CheckFault("expect.container", f"the engine has no such container: {said}")
    raise _fault("wait.status", f"the engine answered with status {status}: {said}")


def _fault(code: str, message: str, **evidence: Any) -> CheckFault:
    return CheckFault(code, message, verdict="unknown", **evidence)
