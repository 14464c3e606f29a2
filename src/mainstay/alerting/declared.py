"""What is declared, in the shape that alerting decides with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from mainstay.alerting.rules import Routing, choose_channels
from mainstay.kernel.clock import to_datetime
from mainstay.kernel.errors import NotFound
from mainstay.store.resources.queries import by_uid, history, resource, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.spec import ChannelSpec, RouteSpec
    from mainstay.store.resources.queries import Revision

log = structlog.get_logger("alerting")

LATELY = 86_400.0  # seconds: changes of the last day are told with an alert
_CHANGES_TOLD, _FIELDS_TOLD = 3, 5


def channels() -> dict[str, ChannelSpec]:
    """Every usable channel by its name."""
    return dict(_usable("channel"))


def channel_names() -> list[str]:
    return [found.name for found in resources("channel")]


def channel(name: str) -> ChannelSpec:
    """NotFound, with what was probably meant."""
    spec: ChannelSpec = resource("channel", name).spec
    return spec


def routing(labels: Mapping[str, str]) -> Routing:
    """Which channels an alert with these labels goes to now."""
    routes: list[tuple[str, RouteSpec]] = _usable("route")
    return choose_channels(routes, channel_names(), labels)


def alert_on(kind: str, name: str) -> frozenset[str]:
    """The states that open an alert: as a monitor declares it; everything else alerts on down only."""
    if kind != "monitor":
        return frozenset({"down"})
    try:
        return frozenset(resource(kind, name).spec.alert_on)
    except (NotFound, ValidationError):
        return frozenset({"down"})


def exists(uid: str) -> bool:
    return by_uid(uid) is not None


def _usable(kind: str) -> list[tuple[str, Any]]:
    """(name, spec) of each; one that another version declared and this one cannot read must not stop the others."""
    specs = []
    for found in resources(kind):
        try:
            specs.append((found.name, found.spec))
        except ValidationError as error:
            log.error("a declared resource cannot be used", kind=kind, name=found.name, mistakes=error.error_count())
    return specs


def recent_changes(kind: str, name: str, now: float) -> list[str]:
    """What was declared anew about this resource in the last day, one sentence each, newest first.

    Names of fields only: values may be long, and a message leaves the house.
    """
    revisions = history(kind, name, limit=_CHANGES_TOLD)
    return [_sentence(revision) for revision in revisions if now - LATELY <= revision.at <= now]


def _sentence(revision: Revision) -> str:
    change = revision.changes[0]
    words = {"create": "declared", "update": "changed", "delete": "deleted"}
    fields = [found.path for found in change.fields] if change.action == "update" else []
    more = f" and {len(fields) - _FIELDS_TOLD} more" if len(fields) > _FIELDS_TOLD else ""
    what = f": {', '.join(fields[:_FIELDS_TOLD])}{more}" if fields else ""
    when = to_datetime(revision.at).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when} {words[change.action]} by {revision.actor} (revision {revision.number}){what}"
