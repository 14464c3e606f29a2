"""Every change to alerts that somebody asks for, and test messages. Deliveries are in `delivery.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings

from mainstay.alerting import declared
from mainstay.alerting.advancing import advance, named, resolve
from mainstay.alerting.devices import devices_for
from mainstay.alerting.escalations import wake
from mainstay.alerting.events import (
    AlertAcknowledged,
    AlertMuted,
    AlertNoted,
    AlertUnacknowledged,
    AlertUnmuted,
    ChannelTested,
)
from mainstay.alerting.handover import hand_over
from mainstay.alerting.links import test_links
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.outbox import close, receipt_document
from mainstay.alerting.payloads import NOTHING_WRONG, report_payload
from mainstay.alerting.settings import NOTIFICATION_EXPIRY
from mainstay.alerting.stages import muted
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock, SystemClock, to_iso
from mainstay.kernel.errors import Conflict, MainstayError, NotFound, UserError
from mainstay.kernel.ids import new_id
from mainstay.kernel.ports import Notification, Receipt
from mainstay.store.work import unit_of_work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_MUTE = 30 * 86_400.0
LONGEST_NOTE = 1000  # characters
MOST_AT_ONCE = 500


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
        work.record(AlertAcknowledged(alert.subject, **named(alert)))
        wake(work, alert)
        return alert


def unacknowledge_alert(actor: Actor, alert_id: str, clock: Clock | None = None) -> AlertRow:
    """Nobody has it any more. A repeat changes nothing; Conflict if it is over already."""
    actor.require_some("alerts:write")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        _must_be_open(alert, "unacknowledged")
        if alert.acknowledged_at is not None:
            before = alert.acknowledged_by
            alert.acknowledged_at, alert.acknowledged_by = None, ""
            alert.save()
            work.record(AlertUnacknowledged(alert.subject, acknowledged_by=before, **named(alert)))
            wake(work, alert)
        return alert


def note_alert(actor: Actor, alert_id: str, text: str, clock: Clock | None = None) -> AlertRow:
    """Write what others should know; it stands in place of an earlier note, an empty one takes that away."""
    actor.require_some("alerts:write")
    note = text.strip()
    if len(note) > LONGEST_NOTE:
        raise UserError(f"a note has at most {LONGEST_NOTE} characters", hint="put the rest elsewhere and link to it")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        if alert.note != note:
            alert.note, alert.noted_by, alert.noted_at = note, str(actor)[:300], work.now
            alert.save()
            work.record(AlertNoted(alert.subject, note=note, **named(alert)))
        return alert


def mute_alert(actor: Actor, alert_id: str, until: float, clock: Clock | None = None) -> AlertRow:
    """No firing messages until then (epoch seconds). Those not yet handed over are held back; whoever misses one is
    told when the mute ends, if the trouble goes on."""
    actor.require_some("alerts:write")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        _must_be_open(alert, "muted")
        if not work.now < until <= work.now + LONGEST_MUTE:
            raise UserError("an alert is muted until a time in the next 30 days", hint="such as --for 2h")
        if alert.muted_until == until:
            return alert
        alert.muted_until, alert.next_at = until, work.now
        alert.save()
        work.record(AlertMuted(alert.subject, until=to_iso(until), **named(alert)))
        for row in list(alert.notifications.filter(kind="firing", state="pending", group=None).order_by("id")):
            close(work, row, "suppressed", muted(until))
        return alert


def unmute_alert(actor: Actor, alert_id: str, clock: Clock | None = None) -> AlertRow:
    """Firing messages again, at once to whoever missed one. A repeat changes nothing."""
    actor.require_some("alerts:write")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        if alert.muted_until is not None and alert.is_open:
            alert.muted_until, alert.next_at = None, work.now
            alert.save()
            work.record(AlertUnmuted(alert.subject, reason="a person unmuted it", **named(alert)))
        return alert


def send_alert(actor: Actor, alert_id: str, clock: Clock | None = None) -> list[str]:
    """Tell channels that have not heard of an open alert, such as new ones; their names. A repeat tells nobody twice.

    Conflict if it is over, muted or explained by another, or if there is no channel for it.
    """
    actor.require_some("alerts:write")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        _must_be_open(alert, "sent")
        way = advance(work, [alert]).get(alert.id)
        if alert.untold:
            raise Conflict(
                f"nobody can be notified: {alert.untold}", hint="declare a channel, and a route if there are any"
            )
        if way is not None and way.held:
            hint = "unmute it first" if alert.muted_until else ""
            raise Conflict(f"nobody is notified now: {way.held.decision.reason}", hint=hint)
        return list(way.to) if way else []


def resolve_alert(actor: Actor, alert_id: str, reason: str, clock: Clock | None = None) -> AlertRow:
    """Close an alert by hand; channels that were told hear of it. A repeat changes nothing.

    What it is about may still fail: it opens another alert when it fails anew or gets worse.
    """
    actor.require_some("alerts:write")
    if not reason.strip():
        raise UserError("closing an alert needs a reason", hint="say why it is resolved; others read it")
    with unit_of_work(actor, clock) as work:
        alert = _locked(actor, alert_id)
        if alert.is_open:
            resolve(work, alert, f"closed manually: {reason.strip()}")
        return alert


IN_BULK = ("acknowledge", "unacknowledge", "mute", "unmute", "resolve")


@dataclass(frozen=True, slots=True)
class Order:
    """What is done to several alerts: one of IN_BULK. `until` (epoch seconds) of a mute, `reason` of a resolve."""

    what: str
    until: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Outcome:
    """Ids of alerts that are as they were asked to be, and of others with why not."""

    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def order_alerts(actor: Actor, ids: Sequence[str], order: Order, clock: Clock | None = None) -> Outcome:
    """Do the same to up to 500 alerts in one transaction. What is over or not there is told and holds up nothing."""
    actor.require_some("alerts:write")
    if len(ids) > MOST_AT_ONCE:
        raise UserError(f"at most {MOST_AT_ONCE} alerts at once", hint="repeat it for the others")
    calls: dict[str, Callable[[str], AlertRow]] = {
        "acknowledge": lambda one: acknowledge_alert(actor, one, clock),
        "unacknowledge": lambda one: unacknowledge_alert(actor, one, clock),
        "mute": lambda one: mute_alert(actor, one, order.until, clock),
        "unmute": lambda one: unmute_alert(actor, one, clock),
        "resolve": lambda one: resolve_alert(actor, one, order.reason, clock),
    }
    outcome = Outcome()
    with unit_of_work(actor, clock):
        for alert_id in sorted(set(ids)):
            try:
                outcome.done.append(calls[order.what](alert_id).id)
            except (Conflict, NotFound) as error:
                outcome.refused[alert_id[:26]] = error.message
    return outcome


def test_channel(actor: Actor, name: str) -> Receipt:
    """Send a test message now and wait for the answer. Refused or Unavailable if it did not get through."""
    actor.require("channels:test")
    spec = declared.channel(name)
    now = SystemClock().now()
    message = _test_message(settings.MAINSTAY.base_url, name, now)
    row = OutboxRow(id=message.id, channel=name, kind="test", created_at=now, expires_at=now, attempts=1)
    row.payload = {"alert": dict(message.alert), "evidence": {}, "changes": []}
    try:
        receipt = hand_over(spec, message, settings.MAINSTAY, now, devices_for(spec))
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
        OutboxRow.objects.create(
            id=key,
            channel=channel,
            kind="report",
            payload=report_payload(key, "report", (title, text), work.now) | {"evidence": evidence},
            next_at=work.now,
            created_at=work.now,
            expires_at=work.now + settings.MAINSTAY[NOTIFICATION_EXPIRY],
        )
    return key


def _record_test(actor: Actor, row: OutboxRow, outcome: dict[str, str]) -> None:
    with unit_of_work(actor) as work:
        row.save(force_insert=True)
        work.record(ChannelTested(f"channel/{row.channel}", row.channel, **outcome))


def _test_message(base_url: str, channel: str, now: float) -> Notification:
    key = new_id(now)
    payload = report_payload(key, "test", (f"Mainstay reaches {channel}", NOTHING_WRONG), now)
    return Notification(key, "test", payload["alert"], {}, test_links(base_url))


def _locked(actor: Actor, alert_id: str) -> AlertRow:
    """What lies outside of the actor's limits is not there for it."""
    alert = AlertRow.objects.select_for_update().filter(id=alert_id[:26]).first()
    if alert is None or not actor.sees(alert.labels):
        raise NotFound(f"there is no alert `{alert_id[:40]}`", hint="`mainstay alerts` lists them")
    return alert


def _must_be_open(alert: AlertRow, what: str) -> None:
    if not alert.is_open:
        raise Conflict(f"the alert is resolved and cannot be {what}", hint=alert.resolved_reason)
