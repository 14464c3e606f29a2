"""Every change of what is remembered of locations. Several servers may hear one: the rows are changed by compare and
set, so what happened is told once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.store.work import Work, unit_of_work
from mainstay.watch.events import LocationCameBack, LocationWentSilent
from mainstay.watch.models import LocationRow
from mainstay.watch.presence import PresenceState

SEVERITY = "P1"  # of a lost location


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server heard of the prober at a location; see models.LocationRow."""

    uid: str
    heard_at: float
    joined_at: float
    connected: bool
    version: str = ""
    address: str = ""
    offset: float = 0.0
    round_trip: float = 0.0
    assigned: int = 0
    checks: int = 0
    waiting: int = 0
    dropped: int = 0
    ignored: int = 0


def follow_locations(actor: Actor, declared: Mapping[str, str]) -> None:
    """declared: uid -> name. New locations get a row, those that are gone lose theirs."""
    actor.require("monitors:check")
    known = dict(LocationRow.objects.values_list("uid", "name"))
    if known == declared:
        return
    with unit_of_work(actor) as work:
        LocationRow.objects.exclude(uid__in=list(declared)).delete()
        for uid, name in declared.items():
            if uid not in known:
                LocationRow.objects.create(uid=uid, name=name, since=work.now)
            elif known[uid] != name:
                LocationRow.objects.filter(uid=uid).update(name=name)


def record_presence(
    actor: Actor, uid: str, to: PresenceState, silent_after: float, clock: Clock | None = None
) -> PresenceState | None:
    """Write that a location was lost or is back, with its event. Nothing is written if it is so already, or if another
    server hears it. Gives what it is afterwards; None if it is declared no more."""
    actor.require("monitors:check")
    with unit_of_work(actor, clock) as work:
        row = LocationRow.objects.select_for_update().filter(uid=uid).first()
        if row is None:
            return None
        heard = work.now - row.heard_at < silent_after
        if row.state == to or (to == "silent" and (row.state != "up" or heard)):
            return cast("PresenceState", row.state)
        previous, since = row.state, row.since
        row.state, row.since = to, work.now
        row.save(update_fields=["state", "since"])
        _tell(work, row, previous, since)
    return to


def _tell(work: Work, row: LocationRow, previous: str, since: float) -> None:
    subject = f"location/{row.name}"
    if row.state == "up":
        labels = {"location": row.name, "severity": SEVERITY}
        seconds = round(max(0.0, work.now - since), 3)
        work.record(LocationCameBack(subject, row.uid, SEVERITY, labels, row.address, previous, seconds))
        return
    silent = LocationWentSilent(
        subject,
        heading=f"the location {row.name} has stopped reporting",
        since=row.heard_at,
        severity=SEVERITY,
        labels={"location": row.name},
        uid=row.uid,
        reason="not_heard",
        message=f"the prober at {row.name} has stopped reporting; monitors that need its vote are unknown",
        evidence={"version": row.version, "address": row.address, "monitors": row.assigned},
        address=row.address,
        version=row.version,
    )
    work.record(silent)


def save_locations(actor: Actor, seen: Iterable[Seen], clock: Clock | None = None) -> None:
    """Save how the probers do; no event, because nothing happened. Of two servers the one that heard last counts."""
    actor.require("monitors:check")
    with unit_of_work(actor, clock):
        for one in seen:
            values = {name: getattr(one, name) for name in one.__slots__ if name != "uid"}
            LocationRow.objects.filter(uid=one.uid, heard_at__lte=one.heard_at).update(**values)
