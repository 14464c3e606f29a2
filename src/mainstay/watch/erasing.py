"""Deleting what was measured of a monitor, on wish. What happened to it stays in the journal.

Telemetry is open in the server alone, so a wish is a row, and each server carries it out within about a minute.
"""

from __future__ import annotations

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.kernel.event import Event
from mainstay.store.resources.queries import resource
from mainstay.store.work import unit_of_work
from mainstay.watch.models import HistoryErasureRow

_KEPT = 400 * 86_400.0  # seconds; a store that is older than this and was never opened since has expired


def erase_history(actor: Actor, name: str, clock: Clock | None = None) -> None:
    """Have every result and roll-up of the monitor up to now deleted, archived ones too. There is no way back.

    NotFound for an unknown name.
    """
    actor.require("resources:write")
    with unit_of_work(actor, clock) as work:
        erased = resource("monitor", name)
        HistoryErasureRow.objects.filter(at__lt=work.now - _KEPT).delete()
        HistoryErasureRow.objects.create(uid=erased.uid, at=work.now)
        work.record(Event("monitor.history_erased", f"monitor/{erased.name}", {"uid": erased.uid}))


def wished_erasures(actor: Actor, after: int) -> list[tuple[int, str]]:
    """(number, uid) of the wishes with a higher number, oldest first."""
    actor.require("monitors:check")
    return list(HistoryErasureRow.objects.filter(id__gt=after).order_by("id").values_list("id", "uid")[:1000])
