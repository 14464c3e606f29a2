"""What a search finds of status pages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.kernel.capability import Find
from mainstay.kernel.finding import best
from mainstay.store.resources.queries import resources

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Status pages by title or name."""
    if not actor.may("resources:read"):
        return []
    pages = [(str(one.document.get("title", one.name)), one.name) for one in resources("status_page")]
    return [
        Find(title, f"/resources/status_page/{quote(name)}/", "status", "Status pages", name)
        for title, name in best(text, limit, pages, lambda page: page)
    ]
