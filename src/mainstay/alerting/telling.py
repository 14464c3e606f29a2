"""Telling channels of an open alert: all that it goes to now, or those that have not heard of it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from mainstay.alerting import declared
from mainstay.alerting.models import OutboxRow
from mainstay.alerting.outbox import put_firing
from mainstay.alerting.rules import REACHED, UNDER_WAY, Routing, held_back
from mainstay.kernel.event import Event
from mainstay.store.resources.queries import find
from mainstay.windows.queries import covering

if TYPE_CHECKING:
    from mainstay.alerting.models import AlertRow
    from mainstay.store.work import Work


def send(work: Work, alert: AlertRow) -> None:
    """A firing message to every channel that the alert goes to now."""
    routing = declared.known(work).routing(alert.labels)
    alert.untold = routing.untold
    alert.save()
    put_firing(work, alert, routing, changes_of(work, alert), keep=keep())


def tell_unheard(work: Work, alert: AlertRow, why: str) -> list[str]:
    """A firing message to each channel that the alert goes to now and whose newest one did not reach it; their names.

    Nobody while the alert is muted, explained by another or covered by a window: they are told when that ends.
    """
    routing = declared.known(work).routing(alert.labels)
    if routing.untold != alert.untold:
        alert.untold = routing.untold
        alert.save(update_fields=["untold"])
    if held_back(alert.suppressed_by, alert.muted_until, work.now) or _is_covered(work, alert):
        return []
    heard = _heard(alert)
    missing = {channel: reason for channel, reason in routing.channels.items() if channel not in heard}
    if missing:
        data = {
            "alert": alert.id,
            "subject": alert.subject,
            "monitor": alert.name,
            "channels": list(missing),
            "why": why,
        }
        work.record(Event("alert.told", alert.subject, data))
        put_firing(work, alert, Routing(missing), changes_of(work, alert), keep=keep())
    return list(missing)


def _is_covered(work: Work, alert: AlertRow) -> bool:
    """Whether a window covers the monitor; it is judged anew at the end. Of heartbeats nothing is heard then."""
    kind, _, name = alert.subject.partition("/")
    windows = declared.known(work).windows
    if kind != "monitor" or not windows or (found := find(kind, name)) is None:
        return False
    return covering({**alert.labels, "kind": found.spec.check.name}, work.now, windows) is not None


def _heard(alert: AlertRow) -> set[str]:
    """Channels that the newest firing message reached, or is on its way to."""
    rows = OutboxRow.objects.filter(alert_id=alert.id, kind="firing").order_by("created_at", "id")
    newest = dict(rows.values_list("channel", "state"))
    return {channel for channel, state in newest.items() if state in REACHED | UNDER_WAY}


def changes_of(work: Work, alert: AlertRow) -> list[str]:
    """What was declared anew lately about the alert's subject."""
    kind, _, name = alert.subject.partition("/")
    return declared.known(work).recent_changes(kind, name, work.now) if name else []


def keep() -> float:
    """Seconds until a message that cannot be delivered expires."""
    return float(settings.MAINSTAY.notification_expiry)
