"""What is declared, in the shape that alerting decides with."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog
from pydantic import ValidationError

from mainstay.alerting.calm import Inhibitions, Source, out_of_hours
from mainstay.alerting.models import AlertRow
from mainstay.alerting.routing import find_routes, with_priority
from mainstay.alerting.ways import ways
from mainstay.kernel.clock import to_datetime
from mainstay.oncall.queries import duty
from mainstay.store.resources.queries import history, names, newest_change, resource, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.calm import Calm
    from mainstay.alerting.calm_spec import InhibitionSpec, SilenceSpec, TimeIntervalSpec
    from mainstay.alerting.route_spec import RouteSpec
    from mainstay.alerting.routing import Leaf, Routing
    from mainstay.alerting.spec import ChannelSpec
    from mainstay.oncall.queries import Duty
    from mainstay.store.resources.queries import Revision
    from mainstay.store.work import Work

log = structlog.get_logger("alerting")

LATELY = 86_400.0  # seconds: changes of the last day are told with an alert
_CHANGES_TOLD, _FIELDS_TOLD = 3, 5


def channels() -> dict[str, ChannelSpec]:
    """Every usable channel by its name."""
    return dict(_usable("channel"))


def channel_names() -> list[str]:
    return sorted(names("channel"))


def routes() -> list[tuple[str, RouteSpec]]:
    """Every usable route in its order."""
    return _usable("route")


def channel(name: str) -> ChannelSpec:
    """NotFound, with what was probably meant."""
    spec: ChannelSpec = resource("channel", name).spec
    return spec


class Known:
    """What one unit of work has read of what is declared: once, however many alerts it writes."""

    @cached_property
    def channels(self) -> dict[str, ChannelSpec]:
        return channels()

    @cached_property
    def channel_names(self) -> list[str]:
        return channel_names()

    @cached_property
    def routes(self) -> list[tuple[str, RouteSpec]]:
        return routes()

    @cached_property
    def receivers(self) -> dict[str, ChannelSpec]:
        """Whatever a message may be for: channels, and the ways to reach people."""
        return self.channels | ways(self.duty, self.channels)

    @cached_property
    def duty(self) -> Duty:
        return duty()

    @cached_property
    def silences(self) -> list[tuple[str, SilenceSpec]]:
        return _usable("silence")

    @cached_property
    def intervals(self) -> dict[str, TimeIntervalSpec]:
        return dict(_usable("time_interval"))

    @cached_property
    def inhibition_rules(self) -> list[tuple[str, InhibitionSpec]]:
        return _usable("inhibition")

    @cached_property
    def inhibitions(self) -> Inhibitions:
        """The rules over what is open; until `forget_open`."""
        return Inhibitions(self.inhibition_rules, _open_alerts() if self.inhibition_rules else ())

    def forget_open(self) -> None:
        """What is open has changed."""
        self.__dict__.pop("inhibitions", None)

    @cached_property
    def changed_at(self) -> float:
        return newest_change()

    def routing(self, labels: Mapping[str, str]) -> Routing:
        """Which channels an alert with these labels goes to now."""
        return find_routes(self.routes, self.channel_names, labels)

    def wants_resolved(self, receiver: str) -> bool:
        """Whether it is told of what is over."""
        spec = self.receivers.get(receiver) if "/" in receiver else self.channels.get(receiver)
        return spec.resolved if spec is not None else "/" in receiver

    def out_of_hours(self, leaf: Leaf, at: float) -> Calm | None:
        return out_of_hours(leaf.active, leaf.mute, self.intervals, at)

    def recent_changes(self, kind: str, name: str, now: float) -> list[str]:
        """What was declared anew about this resource in the last day, one sentence each, newest first.

        Names of fields only: values may be long, and a message leaves the house.
        """
        if self.changed_at < now - LATELY:
            return []
        revisions = history(kind, name, limit=_CHANGES_TOLD)
        return [_sentence(revision) for revision in revisions if now - LATELY <= revision.at <= now]


_known: WeakKeyDictionary[Work, Known] = WeakKeyDictionary()


def known(work: Work) -> Known:
    return _known.setdefault(work, Known())


def forget(work: Work) -> None:
    """What is declared has changed in this unit of work."""
    _known.pop(work, None)


def _open_alerts() -> list[Source]:
    rows = AlertRow.objects.filter(status="firing").order_by("id").values_list("subject", "severity", "labels")
    return [Source(subject, with_priority(labels, severity)) for subject, severity, labels in rows]


def _usable(kind: str) -> list[tuple[str, Any]]:
    """(name, spec) of each; one that another version declared and this one cannot read must not stop the others."""
    specs = []
    for found in resources(kind):
        try:
            specs.append((found.name, found.spec))
        except ValidationError as error:
            log.error("a declared resource cannot be used", kind=kind, name=found.name, mistakes=error.error_count())
    return specs


def _sentence(revision: Revision) -> str:
    change = revision.changes[0]
    words = {"create": "declared", "update": "changed", "delete": "deleted"}
    fields = [found.path for found in change.fields] if change.action == "update" else []
    more = f" and {len(fields) - _FIELDS_TOLD} more" if len(fields) > _FIELDS_TOLD else ""
    what = f": {', '.join(fields[:_FIELDS_TOLD])}{more}" if fields else ""
    when = to_datetime(revision.at).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when} {words[change.action]} by {revision.actor} (revision {revision.number}){what}"
