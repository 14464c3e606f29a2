"""Alerts and what is declared, in the shape that the stages decide with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.alerting import declared
from mainstay.alerting.models import EscalationRow, OutboxRow
from mainstay.alerting.stages import Case, Facts

if TYPE_CHECKING:
    from mainstay.alerting.models import AlertRow
    from mainstay.store.work import Work


def matching_labels(alert: AlertRow) -> dict[str, str]:
    """What matchers see: the labels as they came, and `priority`, P0 to P3, which every alert has."""
    return {"priority": alert.severity, **alert.labels}


def case_of(alert: AlertRow) -> Case:
    return Case(
        labels=matching_labels(alert),
        subject=alert.subject,
        opened_at=alert.opened_at,
        news=alert.news,
        suppressed_by=alert.suppressed_by,
        aside=alert.aside,
        muted_until=alert.muted_until,
        acknowledged=alert.acknowledged_at is not None,
        over=not alert.is_open,
    )


def facts_of(work: Work, alert: AlertRow | None = None) -> Facts:
    """What is declared, and what was told of this alert by itself."""
    known = declared.known(work)
    told, told_at = _told(alert) if alert is not None else ({}, {})
    return Facts(
        known.channel_names,
        known.routes,
        told,
        told_at,
        known.silences,
        known.inhibitions,
        known.intervals,
    )


def _told(alert: AlertRow) -> tuple[dict[str, str], dict[str, float]]:
    """Of each receiver that was to hear of it: the state of the newest message, and when it was written."""
    rows = OutboxRow.objects.filter(alert_id=alert.id, group=None, escalation=None, kind="firing")
    told, told_at = {}, {}
    for receiver, state, at in rows.order_by("created_at", "id").values_list("channel", "state", "created_at"):
        told[receiver], told_at[receiver] = state, at
    for receiver, at in EscalationRow.objects.filter(alert_id=alert.id).values_list("receiver", "began_at"):
        told[receiver], told_at[receiver] = "delivered", at  # that is its own to see to, step by step
    return told, told_at
