"""Which routes take an alert, and what each of them says: pure.

The declared list is asked from its beginning; every route that fits takes the alert, and `stop` ends the asking. Within
a route the rules are Alertmanager's (`dispatch/route.go`): the first of its routes that fits takes it, unless it says
`continue`; what none of them takes stays with the route itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mainstay.alerting.route_spec import EVERY_LABEL, InnerRoute, RouteSpec
from mainstay.kernel.matchers import all_match, is_broken

# Alertmanager's, for routes that group.
GROUP_WAIT, GROUP_INTERVAL, GROUP_REPEAT = 30.0, 300.0, 4 * 3600.0
NO_CHANNEL = "no channel is declared"
NO_ROUTE = "no route is declared, so every channel is notified"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A route that takes an alert, with what it has from those around it. Times in seconds; `group_by` None: it groups
    nothing; `repeat` None: it never reminds."""

    path: str
    to: tuple[str, ...]
    why: str
    group_by: tuple[str, ...] | None = None
    group_wait: float = GROUP_WAIT
    group_interval: float = GROUP_INTERVAL
    repeat: float | None = None
    hold: float = 0.0
    active: tuple[str, ...] = ()
    mute: tuple[str, ...] = ()

    def group(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels that an alert shares with its group; what it does not have is left out."""
        if self.group_by == (EVERY_LABEL,):
            return dict(labels)
        return {name: labels[name] for name in self.group_by or () if labels.get(name)}


@dataclass(frozen=True, slots=True)
class Routing:
    """The routes that take an alert; `channels`: the receivers of all, each with why; `untold`: why there is none."""

    leaves: tuple[Leaf, ...] = ()
    untold: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)


Routes = Sequence[tuple[str, RouteSpec]]


def with_priority(labels: Mapping[str, str], severity: str) -> dict[str, str]:
    """What matchers see: the labels as they came, and `priority`, P0 to P3, which every alert has."""
    return {"priority": severity, **labels}


def find_routes(routes: Routes, channels: Sequence[str], labels: Mapping[str, str]) -> Routing:
    """routes: (name, spec) in their order; channels: names of all that are declared."""
    if not routes and not channels:
        return Routing(untold=NO_CHANNEL)
    if not routes:
        return Routing((Leaf("", tuple(channels), NO_ROUTE),), channels=dict.fromkeys(channels, NO_ROUTE))
    leaves = tuple(
        replace(leaf, to=known) for leaf in _taking(routes, labels) if (known := _declared(leaf.to, channels))
    )
    whys: dict[str, str] = {}
    for leaf in leaves:
        for receiver in leaf.to:
            whys.setdefault(receiver, leaf.why)
    if leaves:
        return Routing(leaves, channels=whys)
    return Routing(untold="no route matches its labels" if channels else NO_CHANNEL)


def _declared(to: Sequence[str], channels: Sequence[str]) -> tuple[str, ...]:
    """Receivers as the outbox knows them: a channel by its bare name. One that was deleted is left out."""
    bare = (text.removeprefix("channel/") for text in to)
    return tuple(dict.fromkeys(text for text in bare if "/" in text or text in channels))


def _taking(routes: Routes, labels: Mapping[str, str]) -> Iterator[Leaf]:
    for name, route in routes:
        broken = is_broken(route.match)
        if broken or all_match(route.match, labels):  # rather one message too many than nobody who hears of it
            said = f"route {name}{', whose matchers cannot be read' if broken else ''}"
            yield from _within(route, _said(route, Leaf(name, (), said)), labels)
            if route.stop and not broken:
                return


def _within(route: InnerRoute, here: Leaf, labels: Mapping[str, str]) -> Iterator[Leaf]:
    taken = False
    for position, inner in enumerate(route.routes, start=1):
        if not all_match(inner.match, labels):
            continue
        taken = True
        path = f"{here.path}/{inner.name or position}"
        yield from _within(inner, _said(inner, replace(here, path=path, why=f"route {path}")), labels)
        if not inner.proceed:
            break
    if not taken:
        yield here


def _said(route: InnerRoute, around: Leaf) -> Leaf:
    """What the route says itself, and else what it has from the one around it."""
    grouped = around.group_by if route.group_by is None else tuple(sorted(set(route.group_by)))
    repeat = around.repeat if route.repeat is None else route.repeat
    if grouped is not None and repeat is None:
        repeat = GROUP_REPEAT
    return replace(
        around,
        to=tuple(route.to) or around.to,
        group_by=grouped,
        group_wait=around.group_wait if route.group_wait is None else route.group_wait,
        group_interval=route.group_interval or around.group_interval,
        repeat=repeat or None,
        hold=around.hold if route.hold is None else route.hold,
        active=around.active if route.active is None else tuple(route.active),
        mute=around.mute if route.mute is None else tuple(route.mute),
    )
