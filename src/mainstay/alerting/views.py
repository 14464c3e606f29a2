"""Alerts and what is declared, in the shape that the stages decide with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainstay.alerting import declared
from mainstay.alerting.models import EscalationRow, OutboxRow
from mainstay.alerting.routing import with_priority
from mainstay.alerting.stages import Case, Facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.alerting.models import AlertRow
    from mainstay.store.work import Work


def matching_labels(alert: AlertRow) -> dict[str, str]:
    """What matchers see of an alert."""
    return with_priority(alert.labels, alert.severity)


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


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one alert by itself: of each receiver the state of the newest message, and its time."""

    states: dict[str, str] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)


NOTHING_TOLD = Told()


def facts_of(work: Work, told: Told = NOTHING_TOLD) -> Facts:
    """What is declared, and what was told."""
    known = declared.known(work)
    return Facts(
        known.channel_names,
        known.routes,
        told.states,
        told.at,
        known.silences,
        known.inhibitions,
        known.intervals,
    )


def told_of(alerts: Sequence[AlertRow]) -> dict[str, Told]:
    """By id, of those of which something was told."""
    ids, told = [alert.id for alert in alerts], defaultdict[str, Told](Told)
    rows = OutboxRow.objects.filter(alert__in=ids, group=None, escalation=None, kind="firing")
    columns = ("alert_id", "channel", "state", "created_at")
    for alert, receiver, state, at in rows.order_by("created_at", "id").values_list(*columns):
        told[alert].states[receiver], told[alert].at[receiver] = state, at
    runs = EscalationRow.objects.filter(alert__in=ids)  # those see to themselves, step by step
    for alert, receiver, at in runs.values_list("alert_id", "receiver", "began_at"):
        told[alert].states[receiver], told[alert].at[receiver] = "delivered", at
    return dict(told)
