"""What a person asks of a declared resource, beyond its specification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.kernel.capability import load
from mainstay.kernel.resource import KINDS, Fact
from mainstay.store.resources import queries

if TYPE_CHECKING:
    from mainstay.kernel.resource import Resource

NAMED_BY = "Named by"
_LINKS = 20


def facts(resource: Resource) -> list[Fact]:
    """What a person asks of it, and who names it."""
    kind, found = KINDS[resource.kind], list[Fact]()
    if page := KINDS.page_of(resource.subject):
        found.append(Fact("Page", links=[(f"Open {resource.name}", page)]))
    if kind.facts:
        found += load(kind.facts)(resource, queries.resources())
    users = queries.named_by([(resource.kind, resource.name)])
    if users:
        found.append(Fact(NAMED_BY, links=[(_title(other), _address(other)) for other in users[:_LINKS]]))
    return found


def _title(resource: Resource) -> str:
    return f"{resource.kind.replace('_', ' ')} {resource.name}"


def _address(resource: Resource) -> str:
    return f"/resources/{resource.kind}/{resource.name}/"
