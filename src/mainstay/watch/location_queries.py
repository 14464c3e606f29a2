"""Reads of locations. Callers check `monitors:read`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, cast

from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import NotFound
from mainstay.kernel.views import AtOrNever, View
from mainstay.store.resources.queries import resources
from mainstay.watch.models import LocationRow
from mainstay.watch.presence import PresenceState


@dataclass(frozen=True, slots=True)
class LocationView(View):
    """One location; lengths are seconds. See models.LocationRow."""

    uid: str
    name: str
    state: Annotated[str, "waiting (no prober has joined yet), up or silent"]
    since: AtOrNever
    heard_at: AtOrNever
    joined_at: Annotated[AtOrNever, "of the current link"]
    connected: bool
    version: str
    address: str
    offset: Annotated[float, "how far its clock is behind this server's"]
    round_trip: Annotated[float, "of the exchange that measured the offset"]
    assigned: Annotated[int, "monitors assigned to it"]
    checks: Annotated[int, "since its prober started"]
    waiting: Annotated[int, "results that it holds until the server confirms them"]
    dropped: Annotated[int, "results dropped because its buffer was full"]
    ignored: Annotated[int, "results for monitors not assigned to it"]
    description: str = ""
    monitors: tuple[str, ...] = ()


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
