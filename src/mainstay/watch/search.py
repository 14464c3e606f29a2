"""What a search finds of monitors."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.kernel.capability import Find
from mainstay.watch import queries

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Monitors by name, address, tag or label."""
    if not actor.may_some("monitors:read"):
        return []
    views = queries.best(text, limit, actor.limits)
    return [
        Find(view.name, f"/monitors/{quote(view.name)}/", "monitors", "Monitors", f"{view.state} \u00b7 {view.address}")
        for view in views
    ]
