"""Verbs of the delivery lane for what has a time of its own: groups that are flushed, escalations that go on. Rows with
`next_at`; whoever else wanted to do one (another server) finds it done, since the row is locked and due no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F, Min

from mainstay.alerting.escalations import advance_escalation
from mainstay.alerting.groups import flush
from mainstay.alerting.models import EscalationRow, GroupRow
from mainstay.kernel.clock import SystemClock
from mainstay.store.work import unit_of_work

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.clock import Clock
    from mainstay.store.work import Work

AT_ONCE = 200  # of one turn of the lane
_AGAIN = 60.0  # seconds until what could not be decided about is tried again


@dataclass(frozen=True, slots=True)
class Timer:
    """Rows of one table, and what is done with one that is due."""

    name: str
    rows: Any  # the model
    do: Callable[[Work, Any], object]


TIMERS = (Timer("group", GroupRow, flush), Timer("escalation", EscalationRow, advance_escalation))


def due(actor: Actor, timer: Timer, clock: Clock | None = None) -> list[str]:
    """Ids of what is due now, at most AT_ONCE, those that have waited longest first."""
    actor.require("alerts:write")
    rows = timer.rows.objects.filter(next_at__lte=(clock or SystemClock()).now()).order_by("next_at", "id")
    return list(rows.values_list("id", flat=True)[:AT_ONCE])


def soonest(actor: Actor) -> float | None:
    """When the next of them is due, in epoch seconds; None if nothing waits."""
    actor.require("alerts:write")
    firsts = [timer.rows.objects.aggregate(first=Min("next_at"))["first"] for timer in TIMERS]
    return min((first for first in firsts if first is not None), default=None)


def go_off(actor: Actor, timer: Timer, key: str, clock: Clock | None = None) -> bool:
    """Do what is due of one row; False if it is due no more."""
    actor.require("alerts:write")
    with unit_of_work(actor, clock) as work:
        row = timer.rows.objects.select_for_update().filter(id=key, next_at__lte=work.now).first()
        if row is None:
            return False
        timer.do(work, row)
        return True


def put_off(actor: Actor, timer: Timer, key: str, clock: Clock | None = None) -> None:
    """It could not be decided about, through a mistake in Mainstay: try again in a minute."""
    actor.require("alerts:write")
    with unit_of_work(actor, clock, quiet=True) as work:
        timer.rows.objects.filter(id=key).update(next_at=work.now + _AGAIN)


def follow_clock(actor: Actor, step: float, clock: Clock | None = None) -> None:
    """The wall clock was set by so many seconds: what waits for a time waits as long as it was meant to."""
    actor.require("alerts:write")
    with unit_of_work(actor, clock, quiet=True):
        for timer in TIMERS:
            timer.rows.objects.filter(next_at__isnull=False).update(next_at=F("next_at") + step)
        for run in EscalationRow.objects.filter(state="running").select_for_update().order_by("id"):
            run.step_at = None if run.step_at is None else run.step_at + step
            run.contacts = [one | {"at": one["at"] + step} for one in run.contacts]
            run.save(update_fields=["step_at", "contacts"])
