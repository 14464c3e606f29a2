"""Channels as integrations: their ids, and which of them a check tells.

Healthchecks assigns integrations to each check; we have routes. Assigning makes a route for this heartbeat alone,
before all others and the last to be asked (`stop`), so exactly the assigned channels are told. Assigning none
removes that route: the general routes decide again, and somebody is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from mainstay.alerting.routing import find_routes
from mainstay.foreign.compat.healthchecks.keys import Refusal
from mainstay.heartbeats.queries import HeartbeatView
from mainstay.kernel.actor import Actor
from mainstay.kernel.resource import NAME_LIMIT, Resource
from mainstay.store.resources import queries as resources
from mainstay.store.resources.apply import declare, remove

# Names of the original's integrations where they differ from ours.
_KINDS = {"pagerduty": "pd"}


def channel_id(channel: Resource) -> str:
    """A uuid that stays while the channel exists."""
    return str(uuid5(NAMESPACE_URL, f"mainstay:channel:{channel.uid}"))


def shown(channel: Resource) -> dict[str, str]:
    kind: str = channel.spec.channel.name
    return {"id": channel_id(channel), "name": channel.name, "kind": _KINDS.get(kind, kind)}


class Assignments:
    """Which channels each check tells now, for many checks at once."""

    def __init__(self) -> None:
        self._ids = {one.name: channel_id(one) for one in resources.resources("channel")}
        self._routes: Sequence[tuple[str, Any]] = [(one.name, one.spec) for one in resources.resources("route")]

    def of(self, view: HeartbeatView) -> str:
        """Ids, comma-separated, sorted."""
        labels = {**view.labels, "heartbeat": view.name, "severity": view.severity}
        chosen = find_routes(self._routes, list(self._ids), labels).channels
        return ",".join(sorted(self._ids[name] for name in chosen))


def wanted(text: str | None) -> list[str] | None:
    """Names of the channels that a client lists by id or name (`*`: all); None: leave them as they are."""
    if text is None:
        return None
    known = resources.resources("channel")
    if text == "*":
        return [one.name for one in known]
    by_word = {word: one.name for one in known for word in (one.name, channel_id(one))}
    found: list[str] = []
    for word in text.split(",") if text else []:
        if not word:
            raise Refusal("empty channel identifier")
        if word not in by_word:
            raise Refusal(f"invalid channel identifier: {word[:100]}")
        if by_word[word] not in found:
            found.append(by_word[word])
    return found


def assign(actor: Actor, view: HeartbeatView, channels: list[str] | None) -> None:
    """Tell exactly these channels about the check; None changes nothing."""
    actor.require("resources:write")
    if channels is None:
        return
    if not channels:
        unassign(actor, view)
        return
    document = {"match": [f'heartbeat="{view.name}"'], "to": channels, "stop": True}
    declare(actor, "route", _route(view), document, manager="api", source=actor.name, position=0)


def unassign(actor: Actor, view: HeartbeatView) -> None:
    actor.require("resources:write")
    if resources.find("route", _route(view)) is not None:
        remove(actor, "route", _route(view), manager="api", source=actor.name)


def _route(view: HeartbeatView) -> str:
    """By uid: it is unique, and short enough for any name."""
    return f"heartbeat-{view.uid}"[:NAME_LIMIT]
