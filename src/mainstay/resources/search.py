"""What a search finds of everything declared."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.kernel.capability import Find
from mainstay.kernel.finding import best
from mainstay.store.resources.queries import keys

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Resources of every kind by name and kind."""
    if not actor.may("resources:read"):
        return []
    found = best(text, limit, keys(), lambda key: (key[1], _words(key[0])))
    return [
        Find(name, f"/resources/{kind}/{quote(name)}/", "resources", "Resources", f"{_words(kind)}, as declared")
        for kind, name in found
    ]


def _words(kind: str) -> str:
    return kind.replace("_", " ")
