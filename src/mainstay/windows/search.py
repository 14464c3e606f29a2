"""What a search finds of maintenance windows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.kernel.capability import Find
from mainstay.kernel.finding import best
from mainstay.windows import queries

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Windows by name, description or what they cover."""
    if not actor.may("monitors:read"):
        return []
    found = best(text, limit, queries.declared(), lambda one: (one.name, one.description, *one.covers))
    own = actor.may("resources:read")
    return [
        Find(
            one.name,
            f"/resources/window/{quote(one.name)}/" if own else "/windows/",
            "maintenance",
            "Maintenance",
            one.description or ", ".join(one.covers),
        )
        for one in found
    ]
