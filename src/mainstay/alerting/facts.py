"""What a person asks of a declared route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.store.resources.matching import fitting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainstay.kernel.resource import Fact, Resource


def route_facts(resource: Resource, every: Sequence[Resource]) -> Iterator[Fact]:
    yield fitting("Fits now", resource.document.get("match", []), every)
