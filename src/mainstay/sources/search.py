"""What a search finds of alert sources."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.kernel.capability import Find
from mainstay.kernel.finding import best
from mainstay.sources import queries

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Sources by name, kind or description."""
    if not actor.may("alerts:read"):
        return []
    found = best(text, limit, queries.sources(), lambda one: (one.name, one.kind, one.description))
    return [
        Find(one.name, f"/sources/{quote(one.name)}/", "download", "Alert sources", one.description) for one in found
    ]
