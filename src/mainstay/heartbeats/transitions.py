"""From a decision to the journal: the event that tells of a changed state, by the contract of all transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.heartbeats.events import HeartbeatWentDown, HeartbeatWentPaused, HeartbeatWentUnknown, HeartbeatWentUp
from mainstay.kernel.clock import to_iso
from mainstay.kernel.event import Event

if TYPE_CHECKING:
    from mainstay.heartbeats.directory import KnownHeartbeat
    from mainstay.heartbeats.rules import Condition, Decision, Transition
    from mainstay.store.work import Work


_MOVES = {move.kind.rpartition("_")[2]: move for move in (HeartbeatWentUp, HeartbeatWentUnknown, HeartbeatWentPaused)}


def tell(work: Work, entry: KnownHeartbeat, before: Condition, decision: Decision, *, ping: int = 0) -> None:
    """Record the decision's transition, if it has one. `ping` is the number of the ping that caused it.

    What a job printed stays out of the journal, which keeps everything for good; readers find it by `ping`.
    """
    if decision.transition is None:
        return
    work.record(_event(entry, before, decision.condition, decision.transition, ping))


def _event(entry: KnownHeartbeat, before: Condition, after: Condition, transition: Transition, ping: int) -> Event:
    evidence: dict[str, Any] = {
        "schedule": str(entry.rhythm.schedule),
        "grace_seconds": entry.rhythm.grace,
        "last_ping": _iso(after.last_ping),
    }
    if transition.reason in ("missed", "overran", "not_started"):
        evidence |= {"due": _iso(before.due_at), "deadline": _iso(before.next_at)}
    if transition.reason == "overran":
        evidence["started"] = _iso(before.last_start)
    if after.last_duration is not None:
        evidence["duration_seconds"] = round(after.last_duration, 3)
    if ping:
        evidence["ping"] = ping
    if transition.late:
        evidence["reported_late_seconds"] = round(transition.late, 3)
    data: dict[str, Any] = {
        "uid": entry.uid,
        "severity": entry.severity,
        "labels": entry.alert_labels,
        "address": str(entry.rhythm.schedule),
        "previous": transition.previous,
        "since": transition.since,
        "reason": transition.reason,
        "code": transition.code,
        "message": transition.message,
        "evidence": evidence,
        "suppressed_by": "",
        "downtime": None if transition.downtime is None else round(transition.downtime, 3),
    }
    subject = f"heartbeat/{entry.name}"
    if transition.state == "down":
        return HeartbeatWentDown(subject, heading=title_of(entry.name, transition.code), **data)
    return _MOVES[transition.state](subject, **data)


def title_of(name: str, code: str) -> str:
    """What is wrong with a job, in a heading. `code`: why it is down, which tells whether it said so itself."""
    if code.startswith("exit_"):
        return f"{name} exited with {code.removeprefix('exit_')}"
    said = {"fail": "reported a failure", "overran": "did not end in time", "not_started": "did not start in time"}
    return f"{name} {said.get(code, 'did not report in')}"


def _iso(at: float | None) -> str:
    return "" if at is None else to_iso(at)
