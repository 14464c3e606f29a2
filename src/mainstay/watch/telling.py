"""From decisions to events: what the journal and other capabilities are told of a monitor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstay.kernel.event import Event
from mainstay.kernel.probing import CheckResult
from mainstay.kernel.wording import cause_words, lasting
from mainstay.watch.events import (
    Flapping,
    MonitorFlappingStarted,
    MonitorFlappingStopped,
    MonitorResumed,
    MonitorStayedDegraded,
    MonitorStayedDown,
    MonitorWentDegraded,
    MonitorWentDown,
    MonitorWentMaintenance,
    MonitorWentPaused,
    MonitorWentUnknown,
    MonitorWentUp,
    UplinkLost,
    UplinkRestored,
)
from mainstay.watch.state import Decision, Reason, Transition
from mainstay.watch.uplink import Change

_EVIDENCE_KEYS = 40
_TEXT_LIMIT = 1000
_PICTURE_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """What every event of a monitor says of it."""

    uid: str
    name: str
    kind: str = ""  # of the check: http, tcp, ...
    severity: str = "P2"
    labels: Mapping[str, str] = field(default_factory=dict)  # as declared
    address: str = ""
    alert_on: tuple[str, ...] = ("down",)

    @property
    def subject(self) -> str:
        return f"monitor/{self.name}"

    @property
    def alert_labels(self) -> dict[str, str]:
        return {**self.labels, "monitor": self.name, "severity": self.severity}

    @property
    def window_labels(self) -> dict[str, str]:
        """What the matchers of maintenance windows see."""
        return {**self.alert_labels, "kind": self.kind}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the result behind a decision said."""

    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


NOTHING_FOUND = Finding()


def finding_of(result: CheckResult) -> Finding:
    """Bounded, because a prober passes on what a target sent."""
    evidence = {text_of(str(key)): _plain(value) for key, value in list(result.evidence.items())[:_EVIDENCE_KEYS]}
    if result.phases:
        evidence["phases"] = result.phases
    if result.duration:
        evidence["duration"] = round(result.duration, 6)
    return Finding(text_of(result.code, 60), text_of(result.message), evidence)


def text_of(said: str, limit: int = _TEXT_LIMIT) -> str:
    """What was said, bounded, and without the one character that PostgreSQL keeps in no text."""
    return said[:limit].replace("\0", "\ufffd")


def plain(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence of a prober elsewhere, bounded; a picture of a page stays whole."""
    found: dict[str, Any] = {}
    for key, value in list(evidence.items())[:_EVIDENCE_KEYS]:
        picture = (
            isinstance(value, str) and value.startswith("data:image/jpeg;base64,") and len(value) <= _PICTURE_LIMIT
        )
        found[text_of(str(key), 100)] = value if picture else _plain(value)
    return found


def _plain(value: Any, depth: int = 4) -> Any:
    """The value as JSON has it, bounded in depth and size: the journal must never choke on what a target sent."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping) and depth:
        return {text_of(str(key), 100): _plain(inner, depth - 1) for key, inner in list(value.items())[:_EVIDENCE_KEYS]}
    if isinstance(value, list | tuple) and depth:
        return [_plain(inner, depth - 1) for inner in value[:_EVIDENCE_KEYS]]
    text = str(value)
    return "(a screenshot, kept with the result)" if text.startswith("data:image/") else text_of(text)


def events_of(facts: Facts, decision: Decision, finding: Finding) -> list[Event]:
    """The events of one decision, in the order they are recorded in."""
    events: list[Event] = []
    if decision.flapping is True:
        events.append(_flapping(MonitorFlappingStarted, facts, decision))
    if decision.transition is not None:
        events.append(_transition(facts, decision.transition, decision, finding))
    if decision.tell_again:
        events.append(_stayed(facts, decision, finding))
    if decision.flapping is False:
        events.append(_flapping(MonitorFlappingStopped, facts, decision))
    return events


def uplink_subject(part: str, node: str = "") -> str:
    """`node`: the name of one of several servers, each of which has a network of its own."""
    return f"uplink/{part}/{node}" if node else f"uplink/{part}"


def uplink_event(change: Change, node: str = "") -> Event:
    """What the guard found of this machine's own network or resolver."""
    since = round(change.since, 3)
    if change.lost:
        evidence = {"part": change.part, "why": change.why}
        subject = uplink_subject(change.part, node)
        return UplinkLost(
            subject,
            heading=cause_words(subject),
            since=since,
            severity="P1",
            labels={"uplink": subject.partition("/")[2]},
            reason=change.why,
            message=change.why,
            evidence=evidence,
        )
    return UplinkRestored(uplink_subject(change.part, node), since, seconds=round(change.seconds, 3))


_FALLS = {"down": MonitorWentDown, "degraded": MonitorWentDegraded, "unknown": MonitorWentUnknown}


def _transition(facts: Facts, transition: Transition, decision: Decision, finding: Finding) -> Event:
    data = _data(facts, finding) | {
        "previous": transition.previous,
        "since": round(transition.since, 3),
        "reason": transition.reason.value,
        "suppressed_by": _suppressor(transition),
        "downtime": None if transition.downtime is None else round(transition.downtime, 3),
    }
    match transition.to:
        case "down" | "degraded" | "unknown":
            flapping = _flapped(*decision.flapped) if decision.flapped is not None else None
            heading = _title(facts, "flapping" if flapping else transition.to)
            fall = _FALLS[transition.to]
            calm = transition.to == "degraded" and transition.reason is Reason.CALM_AGAIN
            again = "it no longer flaps and is degraded" if calm else None
            return fall(facts.subject, heading=heading, level=transition.to, flapping=flapping, again=again, **data)
        case "maintenance":
            window = decision.state.window
            aside = f"the maintenance window {window} covers it; at its end it is evaluated again"
            return MonitorWentMaintenance(facts.subject, window=window, aside=aside, **data)
        case "paused":
            return MonitorWentPaused(facts.subject, by=decision.state.paused_by, **data)
        case "pending":
            return MonitorResumed(facts.subject, **data)
    ends = "it no longer flaps" if transition.reason is Reason.CALM_AGAIN else None
    return MonitorWentUp(facts.subject, ends=ends, **data)


def _stayed(facts: Facts, decision: Decision, finding: Finding) -> Event:
    data = _data(facts, finding) | {
        "previous": decision.state.state,
        "since": decision.state.since,
        "reason": decision.reason.value,
        "again": f"it no longer flaps and stays {decision.state.state}" if decision.flapping is False else None,
    }
    if decision.state.state == "degraded":
        return MonitorStayedDegraded(facts.subject, heading=_title(facts, "degraded"), level="degraded", **data)
    return MonitorStayedDown(facts.subject, heading=_title(facts, "down"), **data)


def _title(facts: Facts, what: str) -> str:
    words = {"down": "is down", "degraded": "is degraded", "unknown": "cannot be checked", "flapping": "is flapping"}
    return f"{facts.name} {words[what]}"


def _suppressor(transition: Transition) -> str:
    """A failing parent, or the part of this machine that has an alert of its own."""
    excuses = {Reason.UPLINK_LOST: "uplink/network", Reason.RESOLVER_DEAD: "uplink/resolver"}
    return transition.suppressed_by or excuses.get(transition.reason, "")


def _flapping(event: type[Flapping], facts: Facts, decision: Decision) -> Event:
    message = _flapped(*decision.flapped) if decision.flapped is not None else None
    return event(facts.subject, uid=facts.uid, severity=facts.severity, labels=facts.alert_labels, message=message)


def _flapped(falls: int, seconds: float) -> str:
    return f"it went down {falls} times within {lasting(seconds)}"


def _data(facts: Facts, finding: Finding) -> dict[str, Any]:
    return {
        "uid": facts.uid,
        "severity": facts.severity,
        "labels": facts.alert_labels,
        "address": facts.address,
        "alert_on": list(facts.alert_on),
        "code": finding.code,
        "message": finding.message,
        "evidence": dict(finding.evidence),
    }
