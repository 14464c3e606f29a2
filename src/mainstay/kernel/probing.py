"""What the main process and its probers say to each other, and what one check found.

Frames on the pipe are `length (4 bytes, big-endian) + MessagePack` of one Frame; see watch/prober. A prober at
another place says the same over a WebSocket, one binary message for each frame; see watch/prober/remote.py.
Times are seconds: `at` since the Unix epoch, everything else a length.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

# What one check found. `unknown`: the checker itself could not tell (no resolver, secret missing, refused address).
Verdict = Literal["up", "degraded", "down", "unknown"]

# Error codes that evidence uses; the first word is the phase in which it happened.
# lookup.* connect.* tls.* send.* wait.* transfer.* expect.* check.*
ErrorCode = str


class CheckOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Run this check again and again. Secrets are already resolved; probers keep them in memory only."""

    uid: str  # the monitor's resource uid
    kind: str  # check kind: http, tcp, ...
    interval: float
    timeout: float
    options: dict[str, Any]  # {"target": document, "expect": document}, as the kind's spec dumps them
    offset: float = 0.0  # where in the interval its slots lie; derived from the uid, so it survives restarts
    first_delay: float = 0.0  # wait this long before the first run, so that a restart is spread out
    secrets: tuple[str, ...] = ()  # resolved values in `options`, masked in evidence and messages


class CheckResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one run found. Bodies never leave the prober, except as a short excerpt in `evidence`."""

    uid: str
    at: float  # start of the run, wall clock
    lag: float = 0.0  # how late it started against its slot
    duration: float = 0.0  # total time of the check
    verdict: Verdict = "unknown"
    code: ErrorCode = ""  # empty when up; `expect.status`, `connect.refused`, `wait.timeout`, ...
    message: str = ""  # one sentence for a person, without secrets
    phases: dict[str, float] = msgspec.field(default_factory=dict)  # lookup connect tls wait transfer
    evidence: dict[str, Any] = msgspec.field(default_factory=dict)  # status, address, excerpt, certificate, ...
    scheduled: bool = True  # False for rechecks and for checks asked for by a person


class CheckFault(Exception):  # a finding on its way up, not a mistake of ours
    """Ends a run with this finding. `down`: the target is at fault; `unknown`: nothing can be said about it."""

    def __init__(self, code: ErrorCode, message: str, *, verdict: Verdict = "down", **evidence: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.verdict: Verdict = verdict
        self.evidence = evidence


def finding(
    verdict: Verdict,
    code: ErrorCode = "",
    message: str = "",
    *,
    phases: dict[str, float] | None = None,
    evidence: dict[str, Any] | None = None,
) -> CheckResult:
    """What a runner answers; the prober fills in whose check it was and when."""
    return CheckResult(
        uid="", at=0.0, verdict=verdict, code=code, message=message, phases=phases or {}, evidence=evidence or {}
    )


class Configure(msgspec.Struct, frozen=True, tag="configure"):
    """The first frame a prober gets."""

    probe_allow: str  # the setting of that name
    ca_file: str = ""  # certificates to trust; empty: those of the system
    plugin_dirs: str = ""  # the setting of that name
    chromium: str = ""  # the setting of that name
    traces: str = ""  # folder for traces of browsers; empty: none is kept


class Assign(msgspec.Struct, frozen=True, tag="assign"):
    """Add or replace these orders; an unchanged order keeps its next slot."""

    orders: list[CheckOrder]


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    uids: list[str]


class Recheck(msgspec.Struct, frozen=True, tag="recheck"):
    """Run once more in `delay` seconds, beside the schedule."""

    uid: str
    delay: float


class RunOnce(msgspec.Struct, frozen=True, tag="once"):
    """A check that is on no schedule (a page's button, /probe); answered by OnceDone with the same ticket."""

    ticket: str
    order: CheckOrder


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Finish what is under way for at most a second and leave."""


ToProber = Configure | Assign | Withdraw | Recheck | RunOnce | Stop


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The server's first frame over a WebSocket. Orders of other uids than these are void."""

    version: str  # of the server
    received: int  # number of the last batch of this prober that was taken in; those after it are sent again
    uids: list[str]


class Received(msgspec.Struct, frozen=True, tag="received"):
    """Batches up to this number were taken in, and need not be kept."""

    number: int


class ClockTold(msgspec.Struct, frozen=True, tag="clock_told"):
    sent: float  # as it was asked
    at: float  # the server's wall clock


ToRemote = Welcome | Assign | Withdraw | Recheck | Received | ClockTold


RESULTS_PER_FRAME = 200  # a receiver judges those of one frame without a pause
_Some = Annotated[list[CheckResult], msgspec.Meta(max_length=RESULTS_PER_FRAME)]


class Results(msgspec.Struct, frozen=True, tag="results"):
    results: _Some


class OnceDone(msgspec.Struct, frozen=True, tag="done"):
    ticket: str
    result: CheckResult


# What a database holds: one prober's word is saved together with those of all others.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Seconds = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
_Name = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Vitals(msgspec.Struct, frozen=True, tag="vitals"):
    """Sent every second or so: a prober that stops sending is replaced."""

    at: _Seconds
    assigned: _Count
    running: _Count
    checks: _Count  # run since it started
    lag_p99: _Seconds  # of the last minute
    memory: _Count  # resident bytes
    skipped: _Count = 0  # slots left out since it started because the check before was still running
    dropped: _Count = 0  # results thrown away since it started because the main process did not read
    waiting: _Count = 0  # results of a prober elsewhere that the server has not confirmed
    offset: _Seconds = 0.0  # the server's clock less its own
    round_trip: _Seconds = 0.0  # of the exchange that measured the offset; it is right within half of this


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    pid: int


FromProber = Results | OnceDone | Vitals | Ready


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first frame of a prober elsewhere. `instance` is made at its start: the same one may come back."""

    version: _Name
    location: _Name
    instance: _Name
    pid: _Count


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Results with the times of the prober's own clock; `offset` is what to add to them."""

    number: int  # counts up from 1 in the life of a prober
    results: _Some
    offset: float = 0.0


class ClockAsk(msgspec.Struct, frozen=True, tag="clock_ask"):
    sent: float  # the prober's wall clock


FromRemote = Hello | Batch | Vitals | ClockAsk
