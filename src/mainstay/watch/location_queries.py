"""Reads of locations. Callers check `monitors:read`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, cast

from mainstay.kernel.clock import to_iso
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import NotFound
from mainstay.store.resources.queries import resources
from mainstay.watch.models import LocationRow
from mainstay.watch.presence import PresenceState


@dataclass(frozen=True, slots=True)
class LocationView:
    """One location; times are epoch seconds (0: never), lengths seconds. See models.LocationRow.

    `state` is waiting (nothing joined yet), up or silent; `monitors` are the names of those that it checks.
    """

    uid: str
    name: str
    state: str
    since: float
    heard_at: float
    joined_at: float
    connected: bool
    version: str
    address: str
    offset: float
    round_trip: float
    assigned: int
    checks: int
    waiting: int
    dropped: int
    ignored: int
    description: str = ""
    monitors: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("since", "heard_at", "joined_at"):
            found[name] = to_iso(found[name]) if found[name] else None
        return found | {"monitors": list(self.monitors)}


_COLUMNS = tuple(one.name for one in fields(LocationView))[:-2]


def states() -> dict[str, PresenceState]:
    """uid -> state of every location that was declared."""
    return cast("dict[str, PresenceState]", dict(LocationRow.objects.values_list("uid", "state")))


def locations() -> list[LocationView]:
    """Every location by name, with what is declared of it."""
    rows = list(LocationRow.objects.order_by("name").values(*_COLUMNS))
    if not rows:
        return []
    about = {resource.uid: str(resource.document.get("description", "")) for resource in resources("location")}
    checked: dict[str, list[str]] = {}
    for resource in resources("monitor"):
        for name in resource.document.get("locations", ()):
            checked.setdefault(name, []).append(resource.name)
    return [
        LocationView(**row, description=about.get(row["uid"], ""), monitors=tuple(sorted(checked.get(row["name"], ()))))
        for row in rows
    ]


def checked_at(name: str) -> tuple[str, ...]:
    """Names of the monitors that name this location."""
    found = resources("monitor")
    return tuple(sorted(one.name for one in found if name in one.document.get("locations", ())))


def location(name: str) -> LocationView:
    """One location; NotFound with a guess if there is none."""
    found = {view.name: view for view in locations()}
    if name not in found:
        raise NotFound(f"there is no location `{name[:100]}`", hint=did_you_mean(name, found))
    return found[name]
