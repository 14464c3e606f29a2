"""What a declared resource says, in one readable line, and what it touches right now."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainstay.kernel.clock import to_datetime
from mainstay.kernel.matchers import all_match
from mainstay.kernel.resource import KINDS, Reference, Resource
from mainstay.watch.spec import MonitorSpec
from mainstay.windows.queries import window_of

NAMED_BY = "Named by"


@dataclass(frozen=True, slots=True)
class Fact:
    """A question about a resource and its answer; `links` are (text, address) pairs."""

    question: str
    answer: str = ""
    links: Sequence[tuple[str, str]] = field(default_factory=tuple)


def summary(resource: Resource) -> str:
    """One line, from the declared document alone."""
    document = resource.document
    told = _SUMMARIES.get(resource.kind)
    return told(document) if told is not None else ""


def _first(document: Mapping[str, Any], skip: Container[str]) -> str:
    """The value of the key that chooses the kind of check or channel."""
    key = next((key for key in document if key not in skip), "")
    value = document.get(key)
    if isinstance(value, dict):
        value = next((inner for inner in value.values() if isinstance(inner, str | int)), "")
    return f"{key} {value if isinstance(value, str | int) else ''}".strip()


# What every monitor may have; the key beside these says what is checked.
_MONITOR_KEYS = frozenset(MonitorSpec.model_fields) | {"expect"}


def _monitor(document: Mapping[str, Any]) -> str:
    every = document.get("every")
    text = _first(document, _MONITOR_KEYS)
    return f"{text}, every {every}" if every else text


def _heartbeat(document: Mapping[str, Any]) -> str:
    if "cron" in document:
        return f"cron {document['cron']} {document.get('timezone', 'UTC')}"
    if "on_calendar" in document:
        return f"{document['on_calendar']} {document.get('timezone', 'UTC')}"
    return f"every {document.get('every', '')}"


def _channel(document: Mapping[str, Any]) -> str:
    key = next((key for key in document if key not in ("resolved", "description")), "")
    return f"{key}: {document['description']}" if document.get("description") else key


def _route(document: Mapping[str, Any]) -> str:
    match = " and ".join(document.get("match", [])) or "everything"
    stop = ", then stop" if document.get("stop") else ""
    return f"{match} to {', '.join(document.get('to', []))}{stop}"


def _window(document: Mapping[str, Any]) -> str:
    covers = " and ".join(document.get("covers", [])) or "everything"
    when = document.get("rule") or f"{document.get('from')} to {document.get('until')}"
    return f"{when} {document.get('timezone', 'UTC') if document.get('rule') else ''} covers {covers}".replace(
        "  ", " "
    )


def _status_page(document: Mapping[str, Any]) -> str:
    return f"{document.get('title', '')}, {len(document.get('components', []))} components"


def _reach(document: Mapping[str, Any]) -> str:
    what = f"like {document['like']}" if document.get("like") else f"{len(document.get('scopes', []))} scopes"
    limit = f", only where {' and '.join(document['limit'])}" if document.get("limit") else ""
    networks = f", only from {', '.join(document['from'])}" if document.get("from") else ""
    return f"{what}{limit}{networks}"


def _sign_in(document: Mapping[str, Any]) -> str:
    return f"{document.get('server', '')}{', the only way in' if document.get('only') else ''}"


_SUMMARIES = {
    "monitor": _monitor,
    "heartbeat": _heartbeat,
    "channel": _channel,
    "route": _route,
    "window": _window,
    "status_page": _status_page,
    "role": _reach,
    "service_account": _reach,
    "sign_in": _sign_in,
}


def facts(resource: Resource, every: Sequence[Resource]) -> list[Fact]:
    """What a person asks of this resource; `every` holds all that is declared."""
    found: list[Fact] = []
    if resource.kind in ("monitor", "heartbeat"):
        found.append(Fact("State", links=[(f"Open {resource.name}", f"/{resource.kind}s/{resource.name}/")]))
    if resource.kind == "window":
        found += _window_facts(resource, every)
    if resource.kind == "route":
        touched = _matching(resource.document.get("match", []), every)
        found.append(Fact("Fits now", _count(touched), _links(touched)))
    if resource.kind == "status_page":
        found.append(Fact("Page", links=[(f"/status/{resource.name}", f"/status/{resource.name}/")]))
    users = [other for other in every if _names(other, resource)]
    if users:
        found.append(Fact(NAMED_BY, links=[(_title(other), _address(other)) for other in users[:20]]))
    return found


def _names(other: Resource, resource: Resource) -> bool:
    """Whether `other` names `resource`."""
    named: Sequence[Reference] = list(KINDS[other.kind].references(other.spec))
    return any(one.kind == resource.kind and one.name == resource.name for one in named)


def _window_facts(resource: Resource, every: Sequence[Resource]) -> list[Fact]:
    window, now = window_of(resource.name, resource.spec), time.time()
    active, coming = window.active(now), window.next_after(now)
    found = []
    if active:
        found.append(Fact("In force", f"until {_moment(active[1])}"))
    found.append(Fact("Next", f"{_moment(coming[0])} to {_moment(coming[1])}" if coming else "never again"))
    touched = _matching(list(window.covers), every)
    found.append(Fact("Covers now", _count(touched), _links(touched)))
    return found


def _matching(matchers: Sequence[str], every: Sequence[Resource]) -> list[Resource]:
    return [one for one in every if one.kind in ("monitor", "heartbeat") and all_match(matchers, labels_of(one))]


def labels_of(resource: Resource) -> dict[str, str]:
    """The labels that alerts of this monitor or heartbeat carry."""
    document = resource.document
    own = {str(key): str(value) for key, value in document.get("labels", {}).items()}
    return {**own, resource.kind: resource.name, "severity": document.get("severity", "P2")}


def _count(found: Sequence[Resource]) -> str:
    monitors = sum(1 for one in found if one.kind == "monitor")
    beats = len(found) - monitors
    words = [(monitors, "monitor"), (beats, "heartbeat")]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in words)


def _links(found: Sequence[Resource]) -> list[tuple[str, str]]:
    return [(one.name, f"/{one.kind}s/{one.name}/") for one in found[:12]]


def _title(resource: Resource) -> str:
    return f"{resource.kind.replace('_', ' ')} {resource.name}"


def _address(resource: Resource) -> str:
    return f"/resources/{resource.kind}/{resource.name}/"


def _moment(at: float) -> str:
    return to_datetime(at).strftime("%a %Y-%m-%d %H:%M UTC")
