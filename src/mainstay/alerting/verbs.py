"""Every change to alerts that somebody asks for, and test messages. Deliveries are in `delivery.py`."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from mainstay.alerting import declared
from mainstay.alerting.handover import hand_over
from mainstay.alerting.links import test_links
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.outbox import close, receipt_document
from mainstay.alerting.rules import held_back
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock, SystemClock, to_iso
from mainstay.kernel.errors import Conflict, MainstayError, NotFound, UserError
from mainstay.kernel.event import Event
from mainstay.kernel.ids import new_id
from mainstay.kernel.ports import Notification, Receipt
from mainstay.store.work import unit_of_work

LONGEST_MUTE = 30 * 86_400.0


def acknowledge_alert(actor: Actor, alert_id: str, clock: Clock | None = None) -> AlertRow:
    """Take an alert. A repeat, also by somebody else, changes nothing. Conflict if it is over already."""
    actor.require_some("alerts:write")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        if alert.acknowledged_at is not None:
            return alert
        _must_be_open(alert, "acknowledged")
        alert.acknowledged_at, alert.acknowledged_by = work.now, str(actor)[:300]
        alert.save()
        work.record(Event("alert.acknowledged", alert.subject, {"alert": alert.id, "monitor": alert.name}))
        return alert


def mute_alert(actor: Actor, alert_id: str, until: float, clock: Clock | None = None) -> AlertRow:
    """No more firing messages until then (epoch seconds); those not yet handed over are held back for good."""
    actor.require_some("alerts:write")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        _must_be_open(alert, "muted")
        if not work.now < until <= work.now + LONGEST_MUTE:
            raise UserError("an alert is muted until a time in the next 30 days", hint="such as --for 2h")
        if alert.muted_until == until:
            return alert
        alert.muted_until = until
        alert.save()
        data = {"alert": alert.id, "monitor": alert.name, "until": to_iso(until)}
        work.record(Event("alert.muted", alert.subject, data))
        for row in list(alert.notifications.filter(kind="firing", state="pending").order_by("id")):
            close(work, row, "suppressed", held_back("", until, work.now))
        return alert


def unmute_alert(actor: Actor, alert_id: str, clock: Clock | None = None) -> AlertRow:
    actor.require_some("alerts:write")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        if alert.muted_until is not None and alert.muted_until > work.now:
            work.record(Event("alert.unmuted", alert.subject, {"alert": alert.id, "monitor": alert.name}))
        if alert.muted_until is not None:
            alert.muted_until = None
            alert.save()
        return alert


def test_channel(actor: Actor, name: str) -> Receipt:
    """Send a test message now and wait for the answer. Refused or Unavailable if it did not get through."""
    actor.require("channels:test")
    spec = declared.channel(name)
    now = SystemClock().now()
    message = _test_message(settings.MAINSTAY.base_url, name, now)
    row = OutboxRow(id=message.id, channel=name, kind="test", created_at=now, expires_at=now, attempts=1)
    row.payload = {"alert": dict(message.alert), "evidence": {}, "changes": []}
    try:
        receipt = hand_over(spec, message, settings.MAINSTAY, now)
    except MainstayError as error:
        row.state, row.last_error, row.failed_at = "refused", error.message[:1000], now
        _record_test(actor, row, {"outcome": "failed", "error": row.last_error})
        raise
    row.state, row.delivered_at, row.receipt = "delivered", now, receipt_document(receipt)
    _record_test(actor, row, {"outcome": "delivered"})
    return receipt


def send_report(actor: Actor, channel: str, title: str, text: str, evidence: dict[str, Any]) -> str:
    """Put a message that is about no alert into the outbox, as durable as any; its id. NotFound without the channel."""
    actor.require("alerts:write")
    declared.channel(channel)
    with unit_of_work(actor) as work:
        key = new_id(work.now)
        alert = _about_nothing(f"report-{key}", "report", title, text, work.now)
        OutboxRow.objects.create(
            id=key,
            channel=channel,
            kind="report",
            payload={"alert": alert, "evidence": evidence, "changes": [], "thread": ""},
            next_at=work.now,
            created_at=work.now,
            expires_at=work.now + settings.MAINSTAY.notification_expiry,
        )
    return key


def _record_test(actor: Actor, row: OutboxRow, outcome: dict[str, str]) -> None:
    with unit_of_work(actor) as work:
        row.save(force_insert=True)
        work.record(Event("channel.tested", f"channel/{row.channel}", {"channel": row.channel, **outcome}))


def _test_message(base_url: str, channel: str, now: float) -> Notification:
    key = new_id(now)
    text = "Somebody asked for this test. Nothing is wrong."
    alert = _about_nothing(f"test-{key}", "test", f"Mainstay reaches {channel}", text, now)
    return Notification(key, "test", alert, {}, test_links(base_url))


def _about_nothing(name: str, kind: str, title: str, text: str, now: float) -> dict[str, Any]:
    """What stands where a message has its alert."""
    return {
        "id": name,
        "monitor": "",
        "kind": kind,
        "severity": "P3",
        "labels": {},
        "since": to_iso(now),
        "until": None,
        "title": title,
        "summary": text,
    }


def _locked(actor: Actor, alert_id: str) -> AlertRow:
    """What lies outside of the actor's limits is not there for it."""
    alert = AlertRow.objects.select_for_update().filter(id=alert_id[:26]).first()
    if alert is None or not actor.sees(alert.labels):
        raise NotFound(f"there is no alert `{alert_id[:40]}`", hint="`mainstay alerts` lists them")
    return alert


def _must_be_open(alert: AlertRow, what: str) -> None:
    if alert.status != "firing":
        raise Conflict(f"the alert is over and cannot be {what}", hint=alert.resolved_reason)
