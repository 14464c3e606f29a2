"""What a ping, a passed deadline, a pause or a new schedule does to a heartbeat. Pure; time is passed in.

States (as stored):
    new      never reported in, or resumed before it ever did: silence is not judged yet
    up       the last word was a success and the next one is not overdue
    down     a failure was reported, a ping stayed away past its grace, or a run overran its grace
    unknown  a ping may have been missed through no fault of the job (Mainstay was away, maintenance)
    paused   by a person (the next success resumes it) or by `enabled: false` (pings are kept, nothing changes)
Shown besides: `late` (overdue, but within the grace period) and `started` (a run is in progress).

The meaning of start, success, fail, log, exit status and run ids is that of Healthchecks (Check.ping and
get_grace_start in its hc/api/models.py).

When Mainstay could not listen (restart, SIGSTOP, a clock jump, a lost database, no network), pings could not
arrive, and clients repeat a refused ping for about half a minute. So a missed ping is excused if an absence
overlaps the time in which it was expected (due time to deadline):
    absence of 30 s or more that holds the deadline or half of that time: the state becomes unknown, until the
        next due time after the return plus grace
    any other absence: the deadline moves to at least 60 s after the return

A ping may tell that it comes late (`Ping.late`): the job could not reach Mainstay when it ended. It counts at the time
at which it happened, and cannot make up what was told in the meantime:
    what is older than the last ping or the present pause is kept and changes nothing
    a success makes up only what is not overdue again already; the recovery is told at the time at which it came
    a deadline is never brought forward, and a late start begins no run
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mainstay.kernel.schedule import NEVER, Schedule
from mainstay.kernel.timespan import format_duration

State = Literal["new", "up", "down", "unknown", "paused"]
PingKind = Literal["success", "start", "fail", "log", "ign"]

SHORT_ABSENCE = 30.0  # seconds that clients bridge with retries
SETTLE = 60.0  # seconds after a return in which repeated pings are expected
LATEST = 86_400.0  # seconds that a ping may be late and still count at its own time


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The judged part of a spec: when pings are due and how late they may be (seconds)."""

    schedule: Schedule
    grace: float
    enabled: bool = True
    manual_resume: bool = False  # pings do not end a pause
    early: float = 0.0  # a ping so long before a time of the schedule is the one for that time
    start_within: float | None = None  # a run must have begun so long after it was due

    @property
    def signature(self) -> str:
        """Changes when deadlines must be computed anew."""
        early = f" early {self.early:g}s" if self.early else ""
        start = f" start {self.start_within:g}s" if self.start_within is not None else ""
        return f"{self.schedule} grace {self.grace:g}s{early}{start}"

    def due_after(self, ping: float) -> float:
        """When the next ping is due after one at `ping`."""
        return self.schedule.next_after(ping + self.early)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of one heartbeat. Times are epoch seconds; `due_at` plus grace (or less) is `next_at`."""

    state: State = "new"
    reason: str = "never_pinged"
    since: float = 0.0
    paused_by: Literal["", "person", "declaration"] = ""
    last_ping: float | None = None  # success or fail
    last_kind: str = ""  # kind of the last ping of any sort
    last_start: float | None = None  # a run under way
    last_rid: str = ""  # its run id
    last_duration: float | None = None
    due_at: float | None = None
    next_at: float | None = None  # the deadline that the lane claims


@dataclass(frozen=True, slots=True)
class Ping:
    at: float
    kind: PingKind
    rid: str = ""
    exit_status: int | None = None
    duration: float | None = None  # seconds, as the sender measured them
    late: float = 0.0  # seconds between `at` and its arrival, if it could not be sent in time

    @property
    def arrived(self) -> float:
        return self.at + self.late


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state that becomes an event. `code` is short, `message` one sentence for a person."""

    state: State
    previous: State
    reason: str
    since: float
    code: str
    message: str
    downtime: float | None = None
    late: float = 0.0  # seconds that the ping came late


@dataclass(frozen=True, slots=True)
class Decision:
    condition: Condition
    reason: str
    transition: Transition | None = None
    recorded: PingKind = "log"  # what the ping counts as; `ign` was kept but changed nothing


@dataclass(frozen=True, slots=True)
class Absence:
    """A time in which pings could not be taken in."""

    since: float
    until: float
    cause: str = "mainstay_was_away"

    @property
    def seconds(self) -> float:
        return self.until - self.since


def receive(now: Condition, rhythm: Rhythm, ping: Ping, window: str = "") -> Decision:
    """Apply one ping; `window` names a maintenance window that covers the heartbeat (looked at for failures)."""
    without_effect = _without_effect(now, rhythm, ping)
    if without_effect:
        return Decision(replace(now, last_kind="ign"), without_effect, recorded="ign")
    if ping.late > 0 and ping.kind != "log":
        return _receive_late(now, rhythm, ping, window)
    return _count(now, rhythm, ping, window)


def _receive_late(now: Condition, rhythm: Rhythm, ping: Ping, window: str) -> Decision:
    """A ping that happened some time ago; see the rules at the top."""
    reason = _made_void(now, ping)
    if reason:
        return Decision(now, reason, recorded=ping.kind)
    if ping.kind == "success" and rhythm.due_after(ping.at) + rhythm.grace <= ping.arrived:
        ended = _end_run(now, ping)
        waits = ended.state == "unknown" and ended.last_start == now.last_start
        overdue = ended if waits else _never_earlier(now, arm(ended, rhythm, ping.arrived))
        return Decision(overdue, "still_overdue", recorded="success")
    counted = _count(now, rhythm, ping, window)
    condition, transition = counted.condition, counted.transition
    if condition.state == "unknown":
        condition = arm(condition, rhythm, ping.arrived)
    if transition is not None:
        transition = _told_late(now, transition, ping)
        condition = replace(condition, since=transition.since)
    return replace(counted, condition=_never_earlier(now, condition), transition=transition)


def _never_earlier(before: Condition, after: Condition) -> Condition:
    if after.next_at is None or before.next_at is None or after.next_at >= before.next_at:
        return after
    return replace(after, due_at=before.due_at, next_at=before.next_at)


def _made_void(now: Condition, ping: Ping) -> str:
    """Why a late ping says nothing new; empty if it does."""
    if ping.kind == "start":
        return "late_start"
    if now.last_ping is not None and ping.at <= now.last_ping:
        return "overtaken"
    return "older_than_the_pause" if now.state == "paused" and ping.at <= now.since else ""


def _told_late(before: Condition, transition: Transition, ping: Ping) -> Transition:
    lateness = format_duration(max(1, round(ping.late)))
    message = f"{transition.message}; the report came {lateness} late"
    if transition.state == "up" and before.state == "down":
        if before.reason in ("missed", "overran", "not_started") and ping.at <= before.since:
            message = f"the job had reported success in time; the report came {lateness} late"
        since, downtime = ping.arrived, max(0.0, ping.arrived - before.since)
        return replace(transition, since=since, downtime=downtime, message=message, late=ping.late)
    return replace(transition, since=max(ping.at, before.since), message=message, late=ping.late)


def _count(now: Condition, rhythm: Rhythm, ping: Ping, window: str) -> Decision:
    if ping.kind == "log":
        return Decision(replace(now, last_kind="log"), "logged", recorded="log")
    if ping.kind == "start":
        started = replace(now, last_kind="start", last_start=ping.at, last_rid=ping.rid)
        return Decision(arm(started, rhythm, ping.at), "started", recorded="start")
    ended = _end_run(now, ping)
    if ping.kind == "fail":
        return _failed(now, ended, rhythm, ping, window)
    up = replace(ended, state="up", paused_by="", reason="reported_success")
    return _entered(now, up, rhythm, ping.at, "the job reported success", code="success", recorded="success")


def _without_effect(now: Condition, rhythm: Rhythm, ping: Ping) -> str:
    """Why a ping is kept and changes nothing; empty if it counts."""
    if not rhythm.enabled:
        return "declared_disabled"
    if ping.kind == "ign":
        return "ignored"
    return "paused_until_resumed" if now.state == "paused" and rhythm.manual_resume else ""


def _end_run(now: Condition, ping: Ping) -> Condition:
    """Pair success or fail with the start of the same run id."""
    ended = replace(now, last_ping=ping.at, last_kind=ping.kind, last_duration=ping.duration)
    if now.last_start is None:
        return ended
    if now.last_rid == ping.rid:
        duration = max(0.0, ping.at - now.last_start) if ping.duration is None else ping.duration
        return replace(ended, last_duration=duration, last_start=None, last_rid="")
    if ping.kind == "fail" or not ping.rid:
        return replace(ended, last_start=None, last_rid="")
    return ended  # another run of the same job ended; the latest one still runs


def _failed(now: Condition, ended: Condition, rhythm: Rhythm, ping: Ping, window: str) -> Decision:
    if window and now.state != "down":  # what was down before the window is down in it
        held = replace(ended, state="unknown", paused_by="", reason="failed_in_maintenance")
        message = f"the job reported a failure during the maintenance window {window}"
        return _entered(now, held, rhythm, ping.at, message, code="maintenance", recorded="fail")
    if ping.exit_status:
        reason, code = "exit_status", f"exit_{ping.exit_status}"
        message = f"the job ended with exit status {ping.exit_status}"
    else:
        reason, code, message = "reported_failure", "fail", "the job reported a failure"
    down = replace(ended, state="down", paused_by="", reason=reason)
    return _entered(now, down, rhythm, ping.at, message, code=code, recorded="fail")


def _entered(
    before: Condition,
    after: Condition,
    rhythm: Rhythm,
    at: float,
    message: str,
    *,
    code: str = "",
    recorded: PingKind = "log",
) -> Decision:
    """The decision with the deadline armed and, if the state changed, its transition."""
    if after.state == before.state:
        kept = replace(after, reason=after.reason if after.state == "down" else before.reason)
        return Decision(arm(kept, rhythm, at), after.reason, recorded=recorded)
    armed = arm(replace(after, since=at), rhythm, at)
    downtime = max(0.0, at - before.since) if before.state == "down" else None
    transition = Transition(after.state, before.state, after.reason, at, code or after.reason, message, downtime)
    return Decision(armed, after.reason, transition, recorded)


def arm(condition: Condition, rhythm: Rhythm, at: float) -> Condition:
    """The condition with its due time and deadline, as the original computes them.

    The grace begins at the due time after the last ping, or at the start of a run if that is earlier.
    Nothing is due while down, and while new or paused only the end of a run that was started.
    """
    due = NEVER
    if condition.state == "up" and condition.last_ping is not None:
        due = rhythm.due_after(condition.last_ping)
    elif condition.state == "unknown":
        due = rhythm.schedule.next_after(at)
    if condition.last_start is not None and condition.state != "down":
        due = min(due, condition.last_start)
    if due == NEVER or condition.paused_by == "declaration":
        return replace(condition, due_at=None, next_at=None)
    limit = rhythm.grace
    if rhythm.start_within is not None and condition.last_start is None:
        limit = rhythm.start_within
    return replace(condition, due_at=due, next_at=due + limit)


def deadline_passed(
    now: Condition, rhythm: Rhythm, at: float, absences: Sequence[Absence] = (), window: str = ""
) -> Decision:
    """Judge a heartbeat whose `next_at` is not after `at`; `absences` are the recent ones, in any order."""
    if now.next_at is None or now.next_at > at:
        return Decision(now, "not_due")
    if now.state == "down" or not rhythm.enabled:
        return Decision(replace(now, due_at=None, next_at=None), "nothing_due")
    due = now.due_at if now.due_at is not None else now.next_at - rhythm.grace
    if window:
        return _unknown(now, rhythm, at, "maintenance", f"a ping was missed during the maintenance window {window}")
    for absence in absences:
        if _hid_the_ping(absence, due, now.next_at):
            return _unknown(now, rhythm, max(at, absence.until), absence.cause, _ABSENT[absence.cause])
    settled = max(
        (absence.until + SETTLE for absence in absences if _overlap(absence, due, now.next_at) >= 0), default=at
    )
    if settled > at:
        return Decision(replace(now, next_at=settled), "just_returned")
    return _missed(now, rhythm, due)


def _overlap(absence: Absence, due: float, deadline: float) -> float:
    return min(absence.until, deadline) - max(absence.since, due)


def _hid_the_ping(absence: Absence, due: float, deadline: float) -> bool:
    overlap = _overlap(absence, due, deadline)
    if overlap < 0 or absence.seconds < SHORT_ABSENCE:
        return False
    return absence.until >= deadline or overlap >= (deadline - due) / 2


_ABSENT = {
    "mainstay_was_away": "a ping may have been missed while Mainstay could not accept pings",
    "uplink_lost": "a ping may have been missed while this machine had no network",
}


def _unknown(now: Condition, rhythm: Rhythm, at: float, reason: str, message: str) -> Decision:
    waiting = replace(now, state="unknown", reason=reason, last_start=None, last_rid="", paused_by="")
    return _entered(now, waiting, rhythm, at, message)


def _missed(now: Condition, rhythm: Rhythm, due: float) -> Decision:
    deadline = now.next_at or due
    overran = now.last_start is not None and due == now.last_start
    if overran:
        reason, message = "overran", "a run was started and has not ended within its grace period"
    elif rhythm.start_within is not None and now.last_start is None:
        within = format_duration(rhythm.start_within)
        reason, message = "not_started", f"no run was started within {within} of the time at which it was due"
    else:
        reason, message = "missed", "no ping arrived when one was due, nor within the grace period"
    down = replace(now, state="down", reason=reason, since=deadline, paused_by="", due_at=None, next_at=None)
    if overran:
        down = replace(down, last_start=None, last_rid="")
    return Decision(down, reason, Transition("down", now.state, reason, deadline, reason, message))


def pause(now: Condition, at: float, by: Literal["person", "declaration"]) -> Decision:
    """Stop judging. A second pause changes nothing, but a declared one outranks a person's."""
    paused = replace(now, paused_by=by, last_start=None, last_rid="", due_at=None, next_at=None)
    reason = "paused_by_person" if by == "person" else "declared_disabled"
    if now.state == "paused":
        unchanged = now.paused_by in (by, "declaration")
        return Decision(now if unchanged else replace(paused, reason=reason), reason)
    message = "paused by a person" if by == "person" else "declared with `enabled: false`"
    return Decision(
        replace(paused, state="paused", reason=reason, since=at),
        reason,
        Transition("paused", now.state, reason, at, "paused", message),
    )


def resume(now: Condition, rhythm: Rhythm, at: float) -> Decision:
    """Judge again: one that has reported in before is unknown until its next due time plus grace, else new."""
    if now.state != "paused":
        return Decision(now, "not_paused")
    if now.last_ping is None:
        fresh = replace(now, state="new", reason="never_pinged", since=at, paused_by="")
        return Decision(arm(fresh, rhythm, at), "resumed")
    waiting = replace(now, state="unknown", reason="resumed", since=at, paused_by="")
    return Decision(
        arm(waiting, rhythm, at),
        "resumed",
        Transition("unknown", "paused", "resumed", at, "resumed", "resumed; waiting for the next ping"),
    )


def redeclare(now: Condition, rhythm: Rhythm, at: float) -> Decision:
    """Take a changed spec up: pause or resume with `enabled`, and never call a ping late by the new schedule alone."""
    if not rhythm.enabled:
        return pause(now, at, "declaration")
    if now.paused_by == "declaration":
        return resume(now, rhythm, at)
    armed = arm(now, rhythm, at)
    if armed.next_at is not None and armed.next_at < at + rhythm.grace:
        armed = replace(armed, next_at=at + rhythm.grace)
    return Decision(armed, "rescheduled")


def set_right(now: Condition, rhythm: Rhythm, at: float) -> Condition:
    """After the clock was set back to `at`: nothing has happened later than now, and no deadline is further away than
    after a ping that comes now."""
    known = [now.last_ping, now.last_start, now.since]
    latest = rhythm.due_after(at) + rhythm.grace
    far = now.next_at is not None and now.next_at > latest
    if not far and all(moment is None or moment <= at for moment in known):
        return now
    ping, start = (None if moment is None else min(moment, at) for moment in (now.last_ping, now.last_start))
    past = replace(now, since=min(now.since, at), last_ping=ping, last_start=start)
    return arm(past, rhythm, at) if far else past


def is_late(now: Condition, rhythm: Rhythm, at: float) -> bool:
    """Due but within grace (the original shows `grace`). A run that has begun makes up for nothing before it ends."""
    if now.state != "up" or now.due_at is None or now.last_ping is None:
        return False
    due = now.due_at if now.last_start is None else rhythm.due_after(now.last_ping)
    return due <= at
