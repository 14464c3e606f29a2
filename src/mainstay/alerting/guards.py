"""What alerting does when something happens elsewhere: alerts open, change and end, and messages are written,
all in the transaction of the event itself, so that neither can be lost without the other."""

from __future__ import annotations

from typing import Any

from mainstay.alerting import declared
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.outbox import close, put_firing, put_resolved
from mainstay.alerting.rules import Decision, held_back, on_trouble
from mainstay.alerting.telling import changes_of, keep, send, tell_unheard
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.event import Event
from mainstay.kernel.ids import new_id
from mainstay.store.erasure import on_erasure
from mainstay.store.work import Work, guard


@on_erasure
def forget_person(before: str, after: str) -> None:
    """Who took an alert, and who wrote on it."""
    AlertRow.objects.filter(acknowledged_by=before).update(acknowledged_by=after)
    AlertRow.objects.filter(noted_by=before).update(noted_by=after)


def _telling(what: str) -> list[str]:
    """The kinds of events by which subjects of any capability say so; see `kernel.subject`."""
    return [event.name for event in CAPABILITIES.events.values() if event.tells == what]


@guard(*_telling("trouble"))
def on_trouble_told(work: Work, event: Event) -> None:
    """Something began to fail, got worse or milder, or its parent no longer explains it."""
    level = str(event.data.get("level", "down"))
    alert = open_alert(event.subject)
    current = None if alert is None else alert.level
    severities = None if alert is None else (alert.severity, _severity(event))
    decision = on_trouble(level, event.data.get("alert_on", ("down",)), current, severities)
    if alert is None:
        if decision.action == "open":
            fire(work, _new_alert(work, event, level))
    elif decision.action == "resolve":
        resolve(work, alert, decision.reason)
    elif decision.action != "ignore":
        _change(work, alert, event, level, decision)
        if event.data.get("previous") == "maintenance":
            tell_unheard(work, alert, "the maintenance window is over")


@guard(*_telling("over"))
def on_over(work: Work, event: Event) -> None:
    """It works again or was set aside by a person. A window that begins is no end: what fails may go on failing when it
    is over, and nobody is told twice."""
    alert = open_alert(event.subject)
    if alert is not None:
        resolve(work, alert, str(event.data.get("over") or CAPABILITIES.events[event.kind].over))


@guard("resources.applied")
def on_applied(work: Work, _event: Event) -> None:
    """Whatever was deleted takes its open alert and its undelivered messages with it; a first channel or route is told
    of what is open already."""
    declared.forget(work)
    for alert in AlertRow.objects.filter(status="firing").exclude(uid="").order_by("id"):
        if not declared.exists(alert.uid):
            resolve(work, alert, f"the {alert.subject.partition('/')[0]} was deleted")
    waiting = OutboxRow.objects.filter(state="pending")
    gone = set(waiting.values_list("channel", flat=True).distinct())
    if gone and (gone := gone - set(declared.channel_names())):
        for row in waiting.filter(channel__in=gone).select_related("alert").order_by("id"):
            row.refresh_from_db()  # closing an earlier one may have closed this one
            if row.state == "pending":
                close(work, row, "cancelled", "the channel was deleted")
    for alert in AlertRow.objects.filter(status="firing").exclude(untold="").order_by("id"):
        tell_unheard(work, alert, "a channel or route for it was declared")


def open_alert(subject: str) -> AlertRow | None:
    return AlertRow.objects.filter(subject=subject, status="firing").first()


def fire(work: Work, alert: AlertRow) -> None:
    """Write a new alert with its messages and tell of it."""
    routing = declared.known(work).routing(alert.labels)
    alert.untold = routing.untold
    alert.save(force_insert=True)
    data: dict[str, Any] = {
        "alert": alert.id,
        "subject": alert.subject,
        "monitor": alert.name,
        "severity": alert.severity,
        "level": alert.level,
        "labels": alert.labels,
        "suppressed": bool(alert.suppressed_by),
        "channels": list(routing.channels),
    }
    if alert.suppressed_by:
        data["why"] = held_back(alert.suppressed_by, None, work.now)
    if alert.untold:
        data["untold"] = alert.untold
    work.record(Event("alert.fired", alert.subject, data))
    put_firing(work, alert, routing, changes_of(work, alert), keep=keep(), new=True)


def resolve(work: Work, alert: AlertRow, reason: str) -> None:
    """End an alert; channels that were told are told that it is over."""
    alert.status, alert.resolved_at, alert.resolved_reason = "resolved", work.now, reason[:300]
    alert.next_at = None
    alert.save()
    data = {
        "alert": alert.id,
        "subject": alert.subject,
        "monitor": alert.name,
        "reason": alert.resolved_reason,
        "seconds_open": round(max(0.0, work.now - alert.opened_at), 3),
    }
    work.record(Event("alert.resolved", alert.subject, data))
    put_resolved(work, alert, declared.known(work).channels, keep())


def _change(work: Work, alert: AlertRow, event: Event, level: str, decision: Decision) -> None:
    """An open alert got worse, milder or news; getting worse is worth waking people again, and news that says so."""
    was = {"level": alert.level, "severity": alert.severity}
    worse, parent = decision.action == "escalate", alert.suppressed_by
    explained_by = str(event.data.get("suppressed_by", ""))[:100]
    alert.suppressed_by = explained_by if worse or parent else ""
    _take_over(alert, event, level)
    if decision.action in ("escalate", "ease"):
        data = {
            "alert": alert.id,
            "subject": alert.subject,
            "monitor": alert.name,
            "level": level,
            "severity": alert.severity,
            "was": was,
        }
        kind = "alert.escalated" if worse else "alert.eased"
        work.record(Event(kind, alert.subject, {**data, "reason": decision.reason}))
    if parent and not explained_by:
        data = {"alert": alert.id, "subject": alert.subject, "monitor": alert.name, "suppressed_by": parent}
        work.record(Event("alert.unsuppressed", alert.subject, data))
    if worse or (parent and not explained_by) or event.data.get("again"):
        send(work, alert)


def _new_alert(work: Work, event: Event, level: str) -> AlertRow:
    alert = AlertRow(
        id=new_id(work.now),
        subject=event.subject,
        uid=str(event.data.get("uid", ""))[:26],
        name=event.subject.partition("/")[2][:100],
        opened_at=work.now,
        since=float(event.data.get("since") or work.now),
        suppressed_by=str(event.data.get("suppressed_by", ""))[:100],
    )
    _describe(alert, event, level)
    return alert


def _take_over(alert: AlertRow, event: Event, level: str) -> None:
    _describe(alert, event, level)
    alert.save()


def _describe(alert: AlertRow, event: Event, level: str) -> None:
    data = event.data
    alert.level, alert.severity = level, _severity(event)
    alert.labels = {str(key): str(value) for key, value in dict(data.get("labels") or {}).items()}
    flapping = str(data.get("flapping", ""))
    alert.reason, alert.code = str(data.get("reason", ""))[:300], str(data.get("code", ""))[:60]
    alert.title = str(data.get("title") or f"{alert.name} is {level}")[:300]
    alert.address = str(data.get("address", ""))[:2000]
    message = str(data.get("message", ""))
    if flapping:
        message = f"{flapping}, so the next message comes when it is calm; {message}"
    alert.message = message[:1000]
    evidence = data.get("evidence")
    alert.evidence = evidence if isinstance(evidence, dict) else {"text": str(evidence)} if evidence else {}


def _severity(event: Event) -> str:
    return str(event.data.get("severity") or "P2")[:2]
