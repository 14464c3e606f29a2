"""What alerting does when something happens elsewhere: alerts open, change and end, in the transaction of the event
itself, so that neither can be lost without the other, and are due at once. Who is told is decided by the stages, to
which the delivery lane takes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Q

from mainstay.alerting import declared
from mainstay.alerting.advancing import end_of_deleted, named, resolve
from mainstay.alerting.events import AlertEased, AlertEscalated, AlertFired, AlertUnsuppressed
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.outbox import close
from mainstay.alerting.rules import Decision, on_trouble
from mainstay.alerting.stages import explained
from mainstay.kernel.actor import Actor
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.event import Event
from mainstay.kernel.ids import new_id
from mainstay.kernel.subject import tells
from mainstay.store.erasure import on_erasure
from mainstay.store.resources.queries import living
from mainstay.store.rows import insert_rows
from mainstay.store.work import Work, guard, guard_many, in_slices, sliced, unit_of_work

_AT_ONCE = 500  # values of one statement
_COLUMNS = tuple(field.attname for field in AlertRow._meta.concrete_fields)


@on_erasure
def forget_person(before: str, after: str) -> None:
    """Who took an alert, and who wrote on it."""
    AlertRow.objects.filter(acknowledged_by=before).update(acknowledged_by=after)
    AlertRow.objects.filter(noted_by=before).update(noted_by=after)


def _telling(what: str) -> list[str]:
    """The kinds of events by which subjects of any capability say so; see `kernel.subject`."""
    return [kind for kind, event in CAPABILITIES.events.items() if tells(event) == what]


@guard_many(*_telling("trouble"))
def on_trouble_told(work: Work, events: Sequence[Event]) -> None:
    """Things began to fail, got worse or milder, or their parents no longer explain them."""
    alerts, fresh = open_alerts({event.subject for event in events}), dict[str, AlertRow]()
    for event in events:
        level = str(event.data.get("level", "down"))
        if event.subject in fresh:  # told of twice at once
            _fire(work, fresh)
        alert = alerts.get(event.subject)
        current = None if alert is None else alert.level
        severities = None if alert is None else (alert.severity, _severity(event))
        decision = on_trouble(level, event.data.get("alert_on", ("down",)), current, severities)
        if alert is None:
            if decision.action == "open":
                fresh[event.subject] = alerts[event.subject] = _new_alert(work, event, level, decision.reason)
        elif decision.action == "resolve":
            resolve(work, alert, decision.reason)
            del alerts[event.subject]
        elif decision.action != "ignore":
            _change(work, alert, event, level, decision)
    _fire(work, fresh)


@guard(*_telling("over"))
def on_over(work: Work, event: Event) -> None:
    """It works again, or a person wants no more of it."""
    alert = open_alert(event.subject)
    if alert is not None:
        resolve(work, alert, str(event.data.get("over") or CAPABILITIES.events[event.kind].over))


@guard(*_telling("aside"))
def on_aside(work: Work, event: Event) -> None:
    """Nobody is to hear of it for now. That is no end: what fails may go on failing, and nobody is told twice."""
    alert = open_alert(event.subject)
    if alert is not None:
        alert.aside = str(event.data.get("aside") or "it was set aside for now")[:300]
        alert.next_at = work.now
        alert.save(update_fields=["aside", "next_at"])


@guard("resources.applied")
def on_applied(work: Work, _event: Event) -> None:
    """Whatever was deleted takes its open alert and its undelivered messages with it; what no channel was there for is
    due again."""
    declared.forget(work)
    about = dict(AlertRow.objects.filter(status="firing").exclude(uid="").order_by("id").values_list("id", "uid"))
    there = living(about.values())
    ended = [alert for alert, uid in about.items() if uid not in there]
    for some in sliced(ended, _AT_ONCE):  # those that a crash leaves open are ended when they are advanced
        AlertRow.objects.filter(id__in=some).update(next_at=work.now)
    in_slices(work, ended, partial(_end_of_deleted, work.actor))
    waiting = OutboxRow.objects.filter(state="pending")
    gone = set(waiting.values_list("channel", flat=True).distinct())
    if gone and (gone := {name for name in gone if "/" not in name} - set(declared.channel_names())):
        for row in waiting.filter(channel__in=gone).select_related("alert").order_by("id"):
            row.refresh_from_db()  # closing an earlier one may have closed this one
            if row.state == "pending":
                close(work, row, "cancelled", "the channel was deleted")
    # Whatever waits for something else than its time may go on now: a channel, a route, a silence that is gone.
    AlertRow.objects.filter(Q(news__gt="") | Q(untold__gt=""), status="firing").update(next_at=work.now)


def _end_of_deleted(actor: Actor, ids: Sequence[str]) -> None:
    with unit_of_work(actor) as work:
        for alert in AlertRow.objects.filter(id__in=ids, status="firing").order_by("id"):
            end_of_deleted(work, alert)


def open_alert(subject: str) -> AlertRow | None:
    return open_alerts({subject}).get(subject)


def open_alerts(subjects: Collection[str]) -> dict[str, AlertRow]:
    """By subject. Most have none, and to see so in plain SQL takes a fraction of what the ORM takes to read a row."""
    found: list[str] = []
    with connection.cursor() as cursor:
        for some in sliced(sorted(subjects), _AT_ONCE):
            marks = ", ".join(["%s"] * len(some))
            cursor.execute(f"SELECT id FROM alert WHERE status = 'firing' AND subject IN ({marks})", some)  # noqa: S608  marks only
            found += [row[0] for row in cursor.fetchall()]
    rows = (AlertRow.objects.filter(id__in=some) for some in sliced(found, _AT_ONCE)) if found else ()
    return {alert.subject: alert for some in rows for alert in some}


def _fire(work: Work, fresh: dict[str, AlertRow]) -> None:
    """Write new alerts, by subject, and tell of them; none of them is new then."""
    alerts = list(fresh.values())
    if not alerts:
        return
    fresh.clear()
    insert_rows(AlertRow._meta.db_table, _COLUMNS, [tuple(getattr(one, name) for name in _COLUMNS) for one in alerts])
    work.record_all([_fired(alert) for alert in alerts])


def _fired(alert: AlertRow) -> AlertFired:
    alert._state.adding = False  # so that it is updated from now on
    return AlertFired(
        alert.subject,
        severity=alert.severity,
        level=alert.level,
        labels=alert.labels,
        suppressed=bool(alert.suppressed_by),
        why=explained(alert.suppressed_by) if alert.suppressed_by else None,
        **named(alert),
    )


def _change(work: Work, alert: AlertRow, event: Event, level: str, decision: Decision) -> None:
    """An open alert got worse, milder or news; getting worse is worth waking people again, and news that says so."""
    was = {"level": alert.level, "severity": alert.severity}
    worse, parent, aside = decision.action == "escalate", alert.suppressed_by, alert.aside
    explained_by = str(event.data.get("suppressed_by", ""))[:100]
    alert.suppressed_by, alert.aside = explained_by if worse or parent else "", ""
    alone = parent if not explained_by else ""  # what explained it does so no more
    alert.news = (_news(decision, alone, str(event.data.get("again", ""))) or alert.news)[:300]
    if alert.news or aside:
        alert.next_at = work.now
    _describe(alert, event, level)
    alert.save()
    if decision.action in ("escalate", "ease"):
        told = AlertEscalated if worse else AlertEased
        now: dict[str, Any] = {"level": level, "severity": alert.severity, "was": was, "reason": decision.reason}
        work.record(told(alert.subject, **now, **named(alert)))
    if alone:
        work.record(AlertUnsuppressed(alert.subject, suppressed_by=alone, **named(alert)))


def _news(decision: Decision, alone: str, again: str) -> str:
    """Why people are told anew; empty if they are not."""
    if decision.action == "escalate":
        return decision.reason
    return "nothing else explains it any more" if alone else again


def _new_alert(work: Work, event: Event, level: str, news: str) -> AlertRow:
    alert = AlertRow(
        id=new_id(work.now),
        subject=event.subject,
        uid=str(event.data.get("uid", ""))[:26],
        name=event.subject.partition("/")[2][:100],
        opened_at=work.now,
        since=float(event.data.get("since") or work.now),
        suppressed_by=str(event.data.get("suppressed_by", ""))[:100],
        news=news,
        next_at=work.now,
    )
    _describe(alert, event, level)
    return alert


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
        message = f"{flapping}, so the next message comes when it has stopped flapping; {message}"
    alert.message = message[:1000]
    evidence = data.get("evidence")
    alert.evidence = evidence if isinstance(evidence, dict) else {"text": str(evidence)} if evidence else {}


def _severity(event: Event) -> str:
    return str(event.data.get("severity") or "P2")[:2]
