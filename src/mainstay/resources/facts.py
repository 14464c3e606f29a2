"""What a person asks of a declared resource, beyond its specification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.kernel.capability import load
from mainstay.kernel.resource import KINDS, Fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.kernel.resource import Resource

NAMED_BY = "Named by"
_LINKS = 20


def facts(resource: Resource, every: Sequence[Resource]) -> list[Fact]:
    """`every` holds all that is declared."""
    kind, found = KINDS[resource.kind], list[Fact]()
    if kind.page:
        found.append(Fact("Page", links=[(f"Open {resource.name}", kind.page.format(resource.name))]))
    if kind.facts:
        found += load(kind.facts)(resource, every)
    users = [other for other in every if _names(other, resource)]
    if users:
        found.append(Fact(NAMED_BY, links=[(_title(other), _address(other)) for other in users[:_LINKS]]))
    return found


def _names(other: Resource, resource: Resource) -> bool:
    """Whether `other` names `resource`."""
    named = KINDS[other.kind].references(other.spec)
    return any(one.kind == resource.kind and one.name == resource.name for one in named)


def _title(resource: Resource) -> str:
    return f"{resource.kind.replace('_', ' ')} {resource.name}"


def _address(resource: Resource) -> str:
    return f"/resources/{resource.kind}/{resource.name}/"
