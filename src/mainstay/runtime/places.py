"""What a search finds of Mainstay itself: its pages, and forms to add something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.frames.web.templatetags.mainstay import may_see
from mainstay.kernel.capability import CAPABILITIES, Find
from mainstay.kernel.finding import best
from mainstay.kernel.resource import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.actor import Actor


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Pages of the menu, and forms, by what they are called."""
    return best(text, limit, _places(actor), lambda find: (find.title, find.about))


def _places(actor: Actor) -> Iterator[Find]:
    for group, entries in CAPABILITIES.menu().items():
        for entry in entries:
            if may_see(actor, entry):
                yield Find(entry.label, entry.url, entry.icon, "Pages", group)
    yield Find("Your account", "/account/", "user", "Pages")
    for kind in KINDS if actor.may("resources:write") else ():
        if not kind.alone:
            words = kind.name.replace("_", " ")
            yield Find(f"Add {words}", f"/resources/new?kind={kind.name}", "plus", "Actions", kind.summary)
