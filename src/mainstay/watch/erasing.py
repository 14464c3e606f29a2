"""Deleting what was measured of a monitor, on wish. What happened to it stays in the journal.

Telemetry is open in the server alone, so a wish is a row, and each server carries it out within about a minute.
"""

from __future__ import annotations

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock, SystemClock
from mainstay.store.resources.queries import resource
from mainstay.store.work import unit_of_work
from mainstay.watch.events import MonitorHistoryErased
from mainstay.watch.models import HistoryErasureRow

_SETTLE = 10.0  # seconds in which a wish is written, by a server whose clock may be another one's
_KEPT = 400 * 86_400.0  # seconds; a store that is older than this and was never opened since has expired


def erase_history(actor: Actor, name: str, clock: Clock | None = None) -> None:
    """Have every result and roll-up of the monitor up to now deleted, archived ones too. There is no way back.

    NotFound for an unknown name.
    """
    actor.require("resources:write")
    with unit_of_work(actor, clock) as work:
        erased = resource("monitor", name)
        HistoryErasureRow.objects.filter(at__lt=work.now - _KEPT).delete()
        HistoryErasureRow.objects.create(uid=erased.uid, at=round(work.now, 6))  # as stores remember it
        work.record(MonitorHistoryErased(f"monitor/{erased.name}", erased.uid))


def wished_erasures(actor: Actor, after: float, clock: Clock | None = None) -> list[tuple[float, list[str]]]:
    """(when, uids) of the wishes after that moment, oldest first, less the newest: one from before may still come."""
    actor.require("monitors:check")
    wishes: dict[float, list[str]] = {}
    settled = (clock or SystemClock()).now() - _SETTLE
    rows = HistoryErasureRow.objects.filter(at__gt=after, at__lte=settled).order_by("at", "id")
    for at, uid in rows.values_list("at", "uid")[:1000]:
        wishes.setdefault(at, []).append(uid)
    return list(wishes.items())
