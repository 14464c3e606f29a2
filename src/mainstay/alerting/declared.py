"""What is declared, in the shape that alerting decides with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.alerting.rules import Routing, choose_channels
from mainstay.kernel.errors import NotFound
from mainstay.kernel.resource import Resource
from mainstay.store.models import ResourceRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.spec import ChannelSpec, RouteSpec


def resources(kind: str) -> list[Resource]:
    import json

    return [
        Resource(r.uid, r.kind, r.name, json.loads(r.document), r.manager, r.source, r.revision, r.position)  # type: ignore[arg-type]
        for r in ResourceRow.objects.filter(kind=kind).order_by("position", "name")
    ]


def channels() -> dict[str, ChannelSpec]:
    """Every channel by its name."""
    return {resource.name: resource.spec for resource in resources("channel")}


def channel(name: str) -> ChannelSpec:
    """NotFound, with what was probably meant."""
    from mainstay.kernel.diagnostics import did_you_mean

    known = {resource.name: resource for resource in resources("channel")}
    if name not in known:
        raise NotFound(f"there is no channel `{name[:100]}`", hint=did_you_mean(name, known))
    spec: ChannelSpec = known[name].spec
    return spec


def routing(labels: Mapping[str, str]) -> Routing:
    """Which channels an alert with these labels goes to now."""
    routes: list[tuple[str, RouteSpec]] = [(resource.name, resource.spec) for resource in resources("route")]
    return choose_channels(routes, [resource.name for resource in resources("channel")], labels)


def alert_on(kind: str, name: str) -> frozenset[str]:
    """The states that open an alert: as a monitor declares it; everything else alerts on down only."""
    if kind != "monitor":
        return frozenset({"down"})
    found = next((resource for resource in resources("monitor") if resource.name == name), None)
    return frozenset(found.spec.alert_on) if found is not None else frozenset({"down"})


def existing(kind: str) -> frozenset[str]:
    """The uids of all resources of a kind."""
    return frozenset(resource.uid for resource in resources(kind))


def channel_names() -> list[str]:
    return [resource.name for resource in resources("channel")]


def recent_changes(kind: str, name: str, now: float) -> list[str]:
    return []
