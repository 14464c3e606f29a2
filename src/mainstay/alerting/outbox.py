"""The outbox: how messages get in, wait for each other and become final. Always inside a unit of work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings

from mainstay.alerting.events import NotificationCancelled, NotificationSuppressed
from mainstay.alerting.models import AlertRow, EscalationRow, OutboxRow
from mainstay.alerting.payloads import alert_payload
from mainstay.alerting.rules import LOST, REACHED, UNDER_WAY, resolved_twin
from mainstay.alerting.settings import NOTIFICATION_EXPIRY
from mainstay.kernel.ids import new_id
from mainstay.kernel.ports import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainstay.alerting.spec import ChannelSpec
    from mainstay.store.work import Work


def keep() -> float:
    """Seconds until a message that cannot be delivered expires."""
    return float(settings.MAINSTAY[NOTIFICATION_EXPIRY])


@dataclass(slots=True)
class _Told:
    """What one channel has of an alert so far."""

    firing_states: list[str] = field(default_factory=list)
    first: str = ""  # the first firing message that was to be sent
    tail: str = ""  # the end of the chain of messages under way, which a new one waits for


def put_firing(work: Work, alert: AlertRow, to: Mapping[str, str], changes: Sequence[str]) -> None:
    """One firing message to each channel, with why it was chosen."""
    payload = alert_payload(alert, "firing", changes)
    told = _told(alert)
    rows = []
    for channel, reason in to.items():
        row = _row(work, alert, channel, told.get(channel, _Told()))
        row.kind, row.payload, row.reason = "firing", row.payload | payload, reason[:300]
        rows.append(row)
    put(work, rows)


def put_resolved(work: Work, alert: AlertRow, channels: Mapping[str, ChannelSpec]) -> None:
    """A resolved message to exactly the channels that got the firing one or still wait for it."""
    payload = alert_payload(alert, "resolved")
    rows = []
    for channel, told in _told(alert).items():
        spec = channels.get(channel)
        twin = resolved_twin(told.firing_states, wanted=None if spec is None else spec.resolved)
        if twin is None:
            continue
        row = _row(work, alert, channel, told)
        row.kind, row.payload, row.state, row.reason = "resolved", row.payload | payload, twin.state, twin.reason
        if twin.state != "pending":
            row.after_id, row.next_at = "", None
        rows.append(row)
    put(work, rows)


def _told(alert: AlertRow) -> dict[str, _Told]:
    found: dict[str, _Told] = {}
    columns = ("id", "channel", "kind", "state", "after_id")
    rows = list(
        OutboxRow.objects.filter(alert_id=alert.id, group=None).order_by("created_at", "id").values_list(*columns)
    )
    waited_for = {after for *_, state, after in rows if state in UNDER_WAY}
    for key, channel, kind, state, _ in rows:
        told = found.setdefault(channel, _Told())
        if kind == "firing":
            told.firing_states.append(state)
            if state != "suppressed":
                told.first = told.first or key
        if state in UNDER_WAY and key not in waited_for:
            told.tail = key
    return found


def put(work: Work, rows: list[OutboxRow]) -> None:
    """Messages into the outbox; those that will never be sent are explained in the journal."""
    OutboxRow.objects.bulk_create(rows)
    for row in rows:
        _tell(work, row)


def close(work: Work, row: OutboxRow, state: str, reason: str = "") -> None:
    """Make a message final, and let go whatever waits for it."""
    row.state, row.next_at = state, None
    if reason:
        row.reason = reason[:300]
    row.save()
    _tell(work, row)
    if row.escalation_id and row.kind == "firing" and state in LOST:  # perhaps nobody is left who was reached
        waiting_for = EscalationRow.objects.filter(id=row.escalation_id, state__in=("running", "exhausted"))
        waiting_for.update(next_at=work.now)
    for waiting in OutboxRow.objects.filter(after_id=row.id, state="pending", next_at=None).order_by("id"):
        _release(work, waiting)


def _release(work: Work, row: OutboxRow) -> None:
    if row.kind == "resolved":
        about = {"group": row.group_id} if row.group_id else {"alert": row.alert_id, "group": None}
        firing = OutboxRow.objects.filter(channel=row.channel, kind="firing", **about)
        if not firing.filter(state__in=REACHED).exists():
            close(work, row, "cancelled", "the firing message never reached this channel")
            return
    row.next_at = work.now
    row.save(update_fields=["next_at"])


def _row(work: Work, alert: AlertRow, channel: str, told: _Told) -> OutboxRow:
    row = row_after(work, channel, told.tail)
    row.alert, row.payload = alert, {"thread": told.first}
    return row


def row_after(work: Work, channel: str, tail: str) -> OutboxRow:
    """A pending message, due at once or after the one before it: a channel hears of an alert in order."""
    return OutboxRow(
        id=new_id(work.now),
        channel=channel,
        next_at=None if tail else work.now,
        after_id=tail,
        created_at=work.now,
        expires_at=work.now + keep(),
    )


def _tell(work: Work, row: OutboxRow) -> None:
    """A message that will not be sent is explained in the journal."""
    if row.state in ("suppressed", "cancelled"):
        told = NotificationSuppressed if row.state == "suppressed" else NotificationCancelled
        about = subject_of(row)
        work.record(told(about, notification=row.id, alert=row.alert_id, channel=row.channel, reason=row.reason))


def subject_of(row: OutboxRow) -> str:
    if row.alert is not None:
        return row.alert.subject
    return row.channel.rpartition("/")[0] if "/" in row.channel else f"channel/{row.channel}"


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    return {"detail": receipt.detail[:500], **receipt.data}
