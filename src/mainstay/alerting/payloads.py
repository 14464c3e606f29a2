"""What messages say, frozen when they are written, so that a repeat says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.alerting.stages import in_words
from mainstay.kernel.clock import to_iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.alerting.models import AlertRow, GroupRow

MOST_TOLD = 50  # alerts that a message about a group lists
NOTHING_WRONG = "Somebody requested this test. Nothing is wrong."
_LINES = 10  # of them in its summary


def alert_payload(alert: AlertRow, status: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """A message about one alert."""
    evidence: dict[str, Any] = {
        "reason": alert.reason,
        "phase": alert.code.partition(".")[0],
        "code": alert.code,
        "error": alert.message,
        "address": alert.address,
        "details": alert.evidence,
    }
    if status == "resolved":
        evidence["ended"] = alert.resolved_reason
    return {"alert": _document(alert, status), "evidence": evidence, "changes": list(changes)}


def group_payload(group: GroupRow, firing: Sequence[AlertRow], over: Sequence[AlertRow]) -> dict[str, Any]:
    """A message about a group, headed by the worst of what fires, of several the oldest."""
    head = min(firing or over, key=lambda one: (one.severity, one.since, one.id))
    status = "firing" if firing else "resolved"
    payload = alert_payload(head, status)
    every = [(one, "firing") for one in firing] + [(one, "resolved") for one in over]
    payload["group"] = {
        "id": group.id,
        "route": group.route,
        "labels": group.labels,
        "firing": len(firing),
        "resolved": len(over),
        "alerts": [_document(one, state) for one, state in every[:MOST_TOLD]],
        "truncated": max(0, len(every) - MOST_TOLD),
    }
    if len(every) > 1:
        payload["alert"] |= {"title": _title(group, firing, over), "summary": _summary(firing, over)}
    return payload


def report_payload(key: str, kind: str, said: tuple[str, str], now: float) -> dict[str, Any]:
    """A message about no alert: a test or a report. `said`: title and text, which stand where others have an alert."""
    title, text = said
    alert: dict[str, Any] = {
        "id": f"{kind}-{key}",
        "monitor": "",
        "kind": kind,
        "severity": "P3",
        "labels": {},
        "since": to_iso(now),
        "until": None,
        "title": title,
        "summary": text,
    }
    return {"alert": alert, "evidence": {}, "changes": [], "thread": ""}


def _title(group: GroupRow, firing: Sequence[AlertRow], over: Sequence[AlertRow]) -> str:
    count = len(firing) or len(over)
    what = f"{count} alert{'s' if count > 1 else ''} {'firing' if firing else 'resolved'}"
    return f"{what}: {in_words(group.labels)}"[:300] if group.labels else what


def _summary(firing: Sequence[AlertRow], over: Sequence[AlertRow]) -> str:
    lines = [f"{one.severity} {one.title}" for one in sorted(firing, key=lambda one: (one.severity, one.since))]
    lines += [f"resolved: {one.title}" for one in over]
    more = [f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
    return "\n".join([*lines[:_LINES], *more])


def _document(alert: AlertRow, status: str) -> dict[str, Any]:
    return {
        "id": alert.id,
        "subject": alert.subject,
        "monitor": alert.name,
        "kind": alert.subject.partition("/")[0],
        "severity": alert.severity,
        "labels": alert.labels,
        "since": to_iso(alert.since),
        "until": to_iso(alert.resolved_at) if status == "resolved" and alert.resolved_at is not None else None,
        "title": alert.title,
        "summary": alert.message or alert.reason,
    }
