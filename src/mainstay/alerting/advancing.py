"""Verbs of the delivery lane that take due alerts through the stages and write what comes of it into the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.alerting import declared
from mainstay.alerting.escalations import begin, wake
from mainstay.alerting.events import AlertHeld, AlertMuted, AlertResolved, AlertTold, AlertUnmuted
from mainstay.alerting.groups import join
from mainstay.alerting.models import AlertRow
from mainstay.alerting.outbox import put_firing, put_resolved
from mainstay.alerting.stages import walk
from mainstay.alerting.views import NOTHING_TOLD, case_of, facts_of, told_of
from mainstay.kernel.clock import SystemClock, to_iso
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.queries import living
from mainstay.store.rows import update_rows
from mainstay.store.work import quietly, unit_of_work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.alerting.stages import Way
    from mainstay.alerting.views import Told
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.clock import Clock
    from mainstay.store.work import Work

AT_ONCE = 200  # alerts of one transaction
_AGAIN = 60.0  # seconds until an alert that could not be decided about is tried again


def due_alerts(actor: Actor, clock: Clock | None = None) -> list[str]:
    """Ids of alerts to advance now, at most AT_ONCE, those that have waited longest first."""
    actor.require("alerts:write")
    due = AlertRow.objects.filter(next_at__lte=(clock or SystemClock()).now()).order_by("next_at", "id")
    return list(due.values_list("id", flat=True)[:AT_ONCE])


def advance_due(actor: Actor, clock: Clock | None = None) -> int:
    """Take the alerts that are due through the stages, at most AT_ONCE; how many."""
    ids = due_alerts(actor, clock)
    return advance_alerts(actor, ids, clock) if ids else 0


def advance_alerts(actor: Actor, ids: Sequence[str], clock: Clock | None = None) -> int:
    """Take those of them that are still due through the stages, in one transaction; how many.

    Whoever else wanted to (another server) finds them advanced: the row is locked, and due no more.
    """
    actor.require("alerts:write")
    with unit_of_work(actor, clock) as work:
        due = AlertRow.objects.select_for_update().filter(id__in=ids, next_at__lte=work.now)
        taken = list(due.order_by("id"))
        advance(work, taken)
        return len(taken)


def advance(work: Work, alerts: Sequence[AlertRow]) -> dict[str, Way]:
    """Go the way of each alert, from the first stage on; by id, without those that are over and had no news."""
    alive, told = living({alert.uid for alert in alerts if alert.uid}), told_of(alerts)
    for alert in alerts:  # first, since an end may free others of them
        if alert.is_open and alert.uid and alert.uid not in alive:
            end_of_deleted(work, alert)
    ways = {}
    for alert in alerts:
        if alert.is_open and alert.muted_until is not None and alert.muted_until <= work.now:
            alert.muted_until = None
            work.record(AlertUnmuted(alert.subject, reason="its time is up", **named(alert)))
        if alert.is_open or alert.news:
            ways[alert.id] = _go(work, alert, told.get(alert.id, NOTHING_TOLD))
        if not alert.is_open:
            alert.next_at, alert.news = None, ""
            put_resolved(work, alert, declared.known(work).receivers)
    columns = ("muted_until", "next_at", "news", "way", "untold")
    rows = [(alert.id, *(getattr(alert, column) for column in columns)) for alert in alerts]
    update_rows(AlertRow._meta.db_table, "id", columns, rows)
    join(work, alerts)
    return ways


def resolve(work: Work, alert: AlertRow, reason: str) -> None:
    """End an alert; channels that were told are told that it is over."""
    alert.status, alert.resolved_at, alert.resolved_reason = "resolved", work.now, reason[:300]
    alert.next_at = work.now
    alert.save()
    wake(work, alert)
    free_inhibited(work)
    lasted = round(max(0.0, work.now - alert.opened_at), 3)
    work.record(AlertResolved(alert.subject, reason=alert.resolved_reason, seconds_open=lasted, **named(alert)))


def free_inhibited(work: Work) -> None:
    """An alert is over: those that it may have held back go their way again."""
    known = declared.known(work)
    if known.inhibition_rules:
        known.forget_open()
        AlertRow.objects.filter(status="firing").exclude(news="").update(next_at=work.now)


def end_of_deleted(work: Work, alert: AlertRow) -> None:
    resolve(work, alert, f"the {alert.subject.partition('/')[0]} was deleted")


def put_off(actor: Actor, alert_id: str, problem: str, clock: Clock | None = None) -> None:
    """It could not be decided about, through a mistake in Mainstay: say so, and try again in a minute."""
    actor.require("alerts:write")
    with unit_of_work(actor, clock, quiet=True) as work:
        held = {"stage": "", "verdict": "hold", "reason": f"Mainstay could not decide about it: {problem}"}
        AlertRow.objects.filter(id=alert_id).update(next_at=work.now + _AGAIN, way={"at": work.now, "steps": [held]})


def follow_clock_back(actor: Actor, clock: Clock | None = None) -> int:
    """The clock was set back, or may have been: every alert that waits is looked at now. How many mutes were changed:
    those that were made while it was ahead last as long as they were meant to, from now on."""
    actor.require("alerts:write")

    def follow(work: Work) -> int:
        found = 0
        later = AlertRow.objects.filter(next_at__gt=work.now)
        for alert in later.filter(status="firing", muted_until__gt=work.now).select_for_update().order_by("id"):
            wanted = Filter(kind="alert.muted", subject=alert.subject, since=work.now)
            made_at = next((one.at for one in entries(wanted, limit=1) if one.data["alert"] == alert.id), None)
            if made_at is None or alert.muted_until is None or made_at <= work.now:
                continue
            alert.muted_until = work.now + alert.muted_until - made_at
            alert.save(update_fields=["muted_until"])
            work.record(AlertMuted(alert.subject, until=to_iso(alert.muted_until), **named(alert)))
            found += 1
        later.update(next_at=work.now)
        return found

    return quietly(actor, clock, follow)


def named(alert: AlertRow) -> dict[str, Any]:
    """What every event of an alert says of it, besides its subject."""
    return {"alert": alert.id, "monitor": alert.name}


def _go(work: Work, alert: AlertRow, told: Told) -> Way:
    at = work.now if alert.resolved_at is None else min(work.now, alert.resolved_at)
    way = walk(case_of(alert), facts_of(work, told), at)
    held = None if way.held is None else {"stage": way.held.stage, "reason": way.held.decision.reason}
    if held and alert.news and held != _held_before(alert):
        work.record(AlertHeld(alert.subject, news=alert.news, **held, **named(alert)))
    if way.to:
        why = alert.news or "not notified yet"
        work.record(AlertTold(alert.subject, channels=list(way.to), why=why, **named(alert)))
        put_firing(work, alert, {one: why for one, why in way.to.items() if "/" not in one}, _changes(work, alert))
        for receiver in way.to:
            if "/" in receiver:
                begin(work, receiver, why, alert=alert)
    alert.untold = way.held.decision.reason if way.held and way.held.stage == "route" else ""
    alert.news = alert.news if held else ""
    alert.next_at = way.next_at
    steps = [
        {
            "stage": step.stage,
            "verdict": step.decision.verdict,
            "reason": step.decision.reason,
            "rule": step.decision.rule,
        }
        for step in way.steps
    ]
    alert.way = {"at": work.now, "steps": steps, "to": list(way.to)}
    return way


def _held_before(alert: AlertRow) -> dict[str, str] | None:
    last = (alert.way or {}).get("steps", [])[-1:]
    return next(({"stage": one["stage"], "reason": one["reason"]} for one in last if one["verdict"] == "hold"), None)


def _changes(work: Work, alert: AlertRow) -> list[str]:
    """What was declared anew lately about the alert's subject."""
    kind, _, name = alert.subject.partition("/")
    return declared.known(work).recent_changes(kind, name, work.now) if name else []
