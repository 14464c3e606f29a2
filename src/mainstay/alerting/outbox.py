"""The outbox: how messages get in, wait for each other and become final. Always inside a unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.rules import REACHED, UNDER_WAY, Routing, held_back, resolved_twin
from mainstay.kernel.clock import to_iso
from mainstay.kernel.event import Event
from mainstay.kernel.ids import new_id
from mainstay.kernel.ports import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainstay.alerting.spec import ChannelSpec
    from mainstay.store.work import Work


def payload_of(alert: AlertRow, status: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """What a message says, frozen when it is written, so that a repeat says the same."""
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
    return {
        "alert": {
            "id": alert.id,
            "monitor": alert.name,
            "kind": alert.subject.partition("/")[0],
            "severity": alert.severity,
            "labels": alert.labels,
            "since": to_iso(alert.since),
            "until": None if alert.resolved_at is None else to_iso(alert.resolved_at),
            "title": alert.title,
            "summary": alert.message or alert.reason,
        },
        "evidence": evidence,
        "changes": list(changes),
    }


def put_firing(work: Work, alert: AlertRow, routing: Routing, changes: Sequence[str], keep: float) -> None:
    """One firing message for each channel, or a suppressed one with its reason. `keep`: seconds until it expires."""
    held = held_back(alert.suppressed_by, alert.muted_until, work.now)
    payload = payload_of(alert, "firing", changes)
    for channel, reason in routing.channels.items():
        row = _row(work, alert, channel, ("firing", payload), keep)
        row.reason = reason
        if held:
            row.state, row.reason, row.next_at = "suppressed", held, None
        else:
            _wait_for_earlier(row)
        row.save(force_insert=True)
        _tell(work, row)


def put_resolved(work: Work, alert: AlertRow, channels: Mapping[str, ChannelSpec], keep: float) -> None:
    """A resolved message to exactly the channels that got the firing one or still wait for it."""
    states: dict[str, list[str]] = {}
    for channel, state in alert.notifications.filter(kind="firing").order_by("id").values_list("channel", "state"):
        states.setdefault(channel, []).append(state)
    payload = payload_of(alert, "resolved")
    for channel, firing_states in states.items():
        spec = channels.get(channel)
        twin = resolved_twin(firing_states, wanted=None if spec is None else spec.resolved)
        if twin is None:
            continue
        row = _row(work, alert, channel, ("resolved", payload), keep)
        row.state, row.reason = twin.state, twin.reason
        if twin.state == "pending":
            _wait_for_earlier(row)
        else:
            row.next_at = None
        row.save(force_insert=True)
        _tell(work, row)


def close(work: Work, row: OutboxRow, state: str, reason: str = "") -> None:
    """Make a message final, and let go whatever waits for it."""
    row.state, row.next_at = state, None
    if reason:
        row.reason = reason[:300]
    row.save()
    _tell(work, row)
    for waiting in OutboxRow.objects.filter(after_id=row.id, state="pending", next_at=None).order_by("id"):
        _release(work, waiting)


def _release(work: Work, row: OutboxRow) -> None:
    if row.kind == "resolved":
        firing = OutboxRow.objects.filter(alert_id=row.alert_id, channel=row.channel, kind="firing")
        if not firing.filter(state__in=REACHED).exists():
            close(work, row, "cancelled", "the firing message never reached this channel")
            return
    row.next_at = work.now
    row.save(update_fields=["next_at"])


def _row(work: Work, alert: AlertRow, channel: str, message: tuple[str, dict[str, Any]], keep: float) -> OutboxRow:
    """message: kind and payload."""
    told = OutboxRow.objects.filter(alert_id=alert.id, channel=channel, kind="firing").exclude(state="suppressed")
    first = told.order_by("created_at", "id").values_list("id", flat=True).first()
    return OutboxRow(
        id=new_id(work.now),
        alert=alert,
        channel=channel,
        kind=message[0],
        payload={**message[1], "thread": first or ""},
        next_at=work.now,
        created_at=work.now,
        expires_at=work.now + keep,
    )


def _wait_for_earlier(row: OutboxRow) -> None:
    """Messages about one alert reach a channel in order: a new one waits for the end of the chain."""
    earlier = OutboxRow.objects.filter(alert_id=row.alert_id, channel=row.channel, state__in=UNDER_WAY)
    last = earlier.exclude(id__in=earlier.exclude(after_id="").values("after_id")).values_list("id", flat=True).first()
    if last is not None:
        row.after_id, row.next_at = last, None


def _tell(work: Work, row: OutboxRow) -> None:
    """A message that will not be sent is explained in the journal."""
    if row.state in ("suppressed", "cancelled"):
        data = {"notification": row.id, "alert": row.alert_id, "channel": row.channel, "reason": row.reason}
        work.record(Event(f"notification.{row.state}", subject_of(row), data))


def subject_of(row: OutboxRow) -> str:
    return row.alert.subject if row.alert is not None else f"channel/{row.channel}"


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    return {"detail": receipt.detail[:500], **receipt.data}
