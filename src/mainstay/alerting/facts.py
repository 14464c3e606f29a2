"""What a person asks of a declared route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.store.resources.matching import fitting, fitting_none

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainstay.kernel.resource import Fact, Resource


def route_facts(resource: Resource, every: Sequence[Resource]) -> Iterator[Fact]:
    """What it takes, and what no route takes: as soon as there is one, nobody is told of the rest."""
    yield fitting("Matches now", resource.document.get("match", []), every)
    unheard = fitting_none("Match no route, so nobody is notified", every, "route")
    if unheard is not None:
        yield unheard
