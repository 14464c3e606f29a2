"""Reactions of heartbeats to events of other capabilities."""

from __future__ import annotations

from functools import partial

from mainstay.kernel.event import Event
from mainstay.store.resources.queries import changed_in
from mainstay.store.work import Work, guard, in_slices


@guard("resources.applied")
def keep_rows_in_step(work: Work, event: Event) -> None:
    """A heartbeat has its ping address from the moment it is declared, or a little later, where many are at once."""
    from mainstay.heartbeats.reconcile import reconcile  # models load late: commands start without them

    in_slices(work, changed_in(int(event.data["revision"]), "heartbeat"), partial(reconcile, work.actor))
