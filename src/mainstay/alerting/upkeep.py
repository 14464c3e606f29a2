"""Upkeep: alerts that ended long ago are deleted with their messages; the journal keeps what happened."""

from __future__ import annotations

from mainstay.alerting.models import AlertRow, GroupRow, OutboxRow
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.store.work import unit_of_work

_AT_ONCE = 500  # alerts of one transaction, so that it stays short
_UNFINISHED = ("pending", "delivering")


def prune_alerts(actor: Actor, days: int, clock: Clock | None = None) -> int:
    """Delete alerts resolved more than `days` ago, unless a message of theirs is still on its way; how many."""
    actor.require("alerts:write")
    deleted = 0
    while True:
        with unit_of_work(actor, clock, quiet=True) as work:
            before = work.now - days * 86_400
            waiting = OutboxRow.objects.filter(state__in=_UNFINISHED, alert__isnull=False).values("alert_id")
            old = AlertRow.objects.filter(status="resolved", resolved_at__lt=before).exclude(id__in=waiting)
            ids = list(old.order_by("resolved_at").values_list("id", flat=True)[:_AT_ONCE])
            OutboxRow.objects.filter(alert_id__in=ids).delete()
            about_nothing = OutboxRow.objects.filter(kind__in=("test", "report"), created_at__lt=before)
            about_nothing.exclude(state__in=_UNFINISHED).delete()
            AlertRow.objects.filter(id__in=ids).delete()
            GroupRow.objects.filter(closed_at__lt=before, members=None).delete()
        deleted += len(ids)
        if len(ids) < _AT_ONCE:
            return deleted
