"""What a user may declare of routes: a list, each of which may have routes of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from mainstay.kernel.asking import first, helped, refers, sort
from mainstay.kernel.duration import Duration
from mainstay.kernel.resource import Kind, Reference, Spec
from mainstay.kernel.spec_fields import Matcher

EVERY_LABEL = "..."
DEEPEST = 8  # routes within routes
# What a receiver is called, by the kind that it is.
RECEIVERS = {
    "channel": "channel",
    "policy": "escalation_policy",
    "schedule": "schedule",
    "team": "team",
    "person": "person",
}

Matchers = list[Matcher]
Name = Annotated[str, Field(min_length=1, max_length=120)]


def receiver(text: str) -> tuple[str, str]:
    """(kind of resource, name) of a receiver as it is written: `mail`, `channel/mail`, `policy/default`."""
    prefix, slash, name = text.partition("/")
    return (RECEIVERS.get(prefix, ""), name) if slash else ("channel", prefix)


def check_receivers(value: list[str]) -> list[str]:
    for text in value:
        if not all(receiver(text)):
            known = ", ".join(f"{prefix}/NAME" for prefix in RECEIVERS)
            raise ValueError(f"`{text[:60]}` is no receiver: write the name of a channel, or one of {known}")
    return value


def receiver_references(to: Iterable[str], path: tuple[str | int, ...]) -> Iterator[Reference]:
    for index, text in enumerate(to):
        kind, name = receiver(text)
        yield Reference(kind, name, (*path, index))


_TO: dict[str, Any] = {
    "max_length": 40,
    "title": "Where they go",
    "description": "channels, or policy/NAME, schedule/NAME, team/NAME, person/NAME",
    "json_schema_extra": refers("channel"),
}


class InnerRoute(Spec):
    """A route within another, asked as Alertmanager asks its own: the first that fits takes the alert, unless it says
    `continue`, and what none of them takes stays with the route around them. What a route does not say it has from the
    route that it is in.
    """

    model_config = ConfigDict(json_schema_extra=first("match", "to"))

    match: Matchers = Field(
        [],
        max_length=40,
        title="Which alerts",
        description='label matchers, all of which must match, such as severity=~"P0|P1"; none: every alert',
        json_schema_extra=helped("those with labels for which all of these hold; with none of these, every alert"),
    )
    to: list[Name] = Field([], **_TO)
    proceed: bool = Field(
        False,
        alias="continue",
        title="Continue",
        description="within another route: the routes after this one are evaluated too",
    )
    group_by: list[Name] | None = Field(
        None,
        max_length=40,
        title="Group by",
        description="labels: alerts that agree in them share a notification; `...`: all labels; empty list: all alerts "
        "of the route share it; left out: each alert is notified by itself and at once",
    )
    group_wait: Duration | None = Field(
        None, title="Wait for others", description="how long a new group waits for more alerts; default 30s"
    )
    group_interval: Duration | None = Field(
        None, title="Between updates", description="how long until a group that has news is told again; default 5m"
    )
    repeat: Duration | None = Field(
        None,
        title="Remind after",
        description="notify again of what goes on for so long; groups: default 4h; else never",
    )
    hold: Duration | None = Field(
        None, title="Hold back", description="wait so long before the first notification, in case it passes by itself"
    )
    active: list[Name] | None = Field(
        None,
        max_length=40,
        title="Only during",
        description="time intervals outside of which this route notifies nobody",
        json_schema_extra=refers("time_interval"),
    )
    mute: list[Name] | None = Field(
        None,
        max_length=40,
        title="Not during",
        description="time intervals during which this route notifies nobody",
        json_schema_extra=refers("time_interval"),
    )
    routes: list[InnerRoute] = Field(
        [],
        max_length=1000,
        title="Routes within it",
        description="the first that matches takes the alert; see `continue`",
        json_schema_extra=sort("free"),
    )
    name: str | None = Field(None, max_length=100, description="a name; default: its position")

    _receivers = field_validator("to")(check_receivers)

    @field_validator("group_by")
    @classmethod
    def _all_or_some(cls, value: list[str] | None) -> list[str] | None:
        if value and EVERY_LABEL in value and len(value) > 1:
            raise ValueError(f"`{EVERY_LABEL}` stands for every label, so it stands alone")
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if _depth(self) > DEEPEST:
            raise ValueError(f"routes stand at most {DEEPEST} deep within each other")
        if self.group_interval == 0:
            raise ValueError("`group_interval` must be longer than nothing")
        return self


class RouteSpec(InnerRoute):
    """Every route whose matchers all fit an alert's labels takes it, for its own routes or for its receivers."""

    model_config = ConfigDict(json_schema_extra=first("match", "to", "stop"))

    to: list[Name] = Field(min_length=1, **_TO)
    stop: bool = Field(False, title="Stop here", description="routes after this one are not evaluated")


def _depth(route: InnerRoute) -> int:
    return 1 + max((_depth(inner) for inner in route.routes), default=0)


def _references(route: InnerRoute, path: tuple[str | int, ...] = ()) -> Iterator[Reference]:
    yield from receiver_references(route.to, (*path, "to"))
    for key, names in (("active", route.active), ("mute", route.mute)):
        for index, name in enumerate(names or ()):
            yield Reference("time_interval", name, (*path, key, index))
    for index, inner in enumerate(route.routes):
        yield from _references(inner, (*path, "routes", index))


def _in_words(document: Mapping[str, Any]) -> str:
    match = " and ".join(document.get("match", [])) or "everything"
    grouped = document.get("group_by")
    by = "" if grouped is None else f", grouped by {', '.join(grouped)}" if grouped else ", in one group"
    within = f", with {count} routes within" if (count := len(document.get("routes", []))) else ""
    stop = ", then stop" if document.get("stop") else ""
    return f"{match} to {', '.join(document.get('to', []))}{by}{within}{stop}"


_EXAMPLE = """routes:
  - {name: urgent, match: ['severity=~"P0|P1"'], to: [hook]}
"""


def route_kind() -> Kind:
    return Kind(
        "route",
        "routes",
        "which alerts go to whom, and how they are grouped",
        RouteSpec.model_validate,
        lambda: RouteSpec.model_json_schema(mode="validation"),
        _references,
        listed=True,
        example=_EXAMPLE,
        in_words=_in_words,
        facts="mainstay.alerting.facts:route_facts",
        afterwards=lambda _spec: "What it matches now is shown below.",
    )
