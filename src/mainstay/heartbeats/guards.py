"""Reactions of heartbeats to events of other capabilities."""

from __future__ import annotations

from mainstay.kernel.event import Event
from mainstay.store.models import ChangeRow
from mainstay.store.work import Work, guard


@guard("resources.applied", "resources.rolled_back")
def keep_rows_in_step(work: Work, event: Event) -> None:
    """A heartbeat has its ping address from the moment it is declared."""
    from mainstay.heartbeats.reconcile import reconcile  # models load late: commands start without them

    revision = event.data.get("revision")
    changed = ChangeRow.objects.filter(revision_id=revision, kind="heartbeat").values_list("uid", flat=True)
    uids = list(changed)
    if uids:
        reconcile(work, uids)
