"""One run of a check: the clock of its phases, its evidence, and what it comes to in the end.

A runner walks through its phases inside `carry_out`. It returns when the target is up, raises CheckFault when
it is not, and whatever phase the hard limit of time falls into gives the result its code.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mainstay.kernel.probing import CheckFault, CheckOrder, CheckResult, Verdict
from mainstay.kernel.timespan import parse_duration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mainstay.kernel.ports import CheckContext

EXCERPT_LIMIT = 400  # characters of a remote text that go into evidence

_TOO_LONG = {
    "lookup": "the name could not be looked up within {limit}",
    "connect": "no connection within {limit}",
    "tls": "the TLS handshake was not finished within {limit}",
    "send": "the target did not take what was sent within {limit}",
    "wait": "no answer within {limit}",
    "transfer": "the answer was not complete within {limit}",
}


class Steps:
    """What one run gathers. `phases`, `taken`, `elapsed` and `remaining` are seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.phases: dict[str, float] = {}
        self.evidence: dict[str, Any] = {}
        self.path: list[dict[str, Any]] = []  # the server's certificate and those that vouch for it, once TLS is spoken
        self.current = "check"
        self.if_late: CheckFault | None = None  # what to say when the time is up, if more than "too late"
        self._began = time.perf_counter()

    @property
    def taken(self) -> float:
        """The phases together: what the target took, without our own reading and judging."""
        return sum(self.phases.values())

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._began

    @property
    def remaining(self) -> float:
        return max(0.0, self.timeout - self.elapsed)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside; a phase entered twice is summed."""
        self.current = name
        began = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - began

    def result(self, verdict: Verdict = "up", code: str = "", message: str = "") -> CheckResult:
        return CheckResult(
            uid="",
            at=0.0,
            duration=self.taken or self.elapsed,
            verdict=verdict,
            code=code,
            message=message,
            phases=self.phases,
            evidence=self.evidence,
        )


async def carry_out(limit: float, walk: Callable[[Steps], Awaitable[None]]) -> CheckResult:
    """Walk through a check within `limit` seconds and say what it came to."""
    steps = Steps(limit)
    try:
        async with asyncio.timeout(limit):
            await walk(steps)
    except TimeoutError:
        if steps.if_late is not None:
            return steps.result(steps.if_late.verdict, steps.if_late.code, steps.if_late.message)
        sentence = _TOO_LONG.get(steps.current, "the check was not finished within {limit}")
        # A name that cannot be looked up says something about the resolver, not about the target.
        verdict: Verdict = "unknown" if steps.current in ("lookup", "check") else "down"
        return steps.result(verdict, f"{steps.current}.timeout", sentence.format(limit=describe_seconds(limit)))
    except CheckFault as fault:
        steps.evidence.update(fault.evidence)
        return steps.result(fault.verdict, fault.code, fault.message)
    return steps.result()


async def find_addresses(steps: Steps, context: CheckContext, host: str, family: int = 0) -> list[str]:
    """The addresses that may be connected to, phase `lookup`. Raises CheckFault."""
    with steps.phase("lookup"):
        return await context.addresses(host, family)


def document(order: CheckOrder, part: str) -> dict[str, Any]:
    """`target` or `expect` of an order, empty where everything is left at its default."""
    found = order.options.get(part) or {}
    if not isinstance(found, dict):
        raise TypeError(f"{part} is not a mapping")
    return found


class LatencyLimits:
    """`degraded_after` and `down_after` of an `expect`, in seconds."""

    def __init__(self, expect: dict[str, Any]) -> None:
        self._limits: list[tuple[Verdict, float]] = []
        for verdict in ("down", "degraded"):
            written = expect.get(f"{verdict}_after")
            if written is not None:
                self._limits.append(("down" if verdict == "down" else "degraded", parse_duration(written)))

    def judge(self, seconds: float, what: str = "it took") -> None:
        """CheckFault `expect.latency` if this is longer than a limit."""
        for verdict, limit in self._limits:
            if seconds > limit:
                sentence = f"{what} {describe_seconds(seconds)}, more than the {describe_seconds(limit)} allowed"
                raise CheckFault("expect.latency", sentence, verdict=verdict)


def describe_seconds(seconds: float) -> str:
    """`250 ms`, `1.5 s`, `10 s`."""
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def excerpt(data: bytes | str) -> str:
    """The beginning of a remote text, safe to show: undecodable bytes and control characters replaced."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    text = text.replace("\r\n", "\n")
    shown = "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text[:EXCERPT_LIMIT])
    return shown + ("…" if len(text) > EXCERPT_LIMIT else "")
