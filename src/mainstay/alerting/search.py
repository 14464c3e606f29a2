"""What a search finds of alerting: alerts, channels and routes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.alerting import queries
from mainstay.kernel.capability import Find
from mainstay.kernel.finding import best

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.actor import Actor


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Open alerts, then those that ended last; channels and routes by name take half of the room at most."""
    declared = best(text, limit // 2, _declared(actor), lambda find: (find.title, find.about))
    return [*_alerts(actor, text, limit - len(declared)), *declared]


def _alerts(actor: Actor, text: str, limit: int) -> list[Find]:
    if not actor.may_some("alerts:read"):
        return []
    now = time.time()
    return [
        Find(one.title, f"/alerts/{one.id}/", "alerts", "Alerts", f"{_state(one, now)} \u00b7 {one.severity}")
        for one in queries.alerts(text=text, limit=limit, limits=actor.limits)
    ]


def _state(one: queries.Alert, now: float) -> str:
    """As lists of alerts say it."""
    state = one.state(now)
    return "open" if state == "firing" else state


def _declared(actor: Actor) -> Iterator[Find]:
    """What the actor may see of channels and routes."""
    if actor.may("alerts:read"):
        for name, told in queries.channels_told().items():
            address = f"/resources/channel/{quote(name)}/" if actor.may("resources:read") else "/channels/"
            yield Find(name, address, "channels", "Channels", told)
    if actor.may("resources:read"):
        for name, spec in queries.routes():
            about = f"to {', '.join(spec.to)}" if spec.to else ""
            yield Find(name, f"/resources/route/{quote(name)}/", "route", "Routes", about)
