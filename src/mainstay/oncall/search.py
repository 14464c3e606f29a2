"""What a search finds of on-call."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.kernel.capability import Find
from mainstay.kernel.finding import best
from mainstay.kernel.resource import KINDS
from mainstay.store.resources.queries import resources

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.resource import Resource

_SHOWN = {"schedule": "schedules", "escalation_policy": "policies"}


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Schedules and escalation policies by name, or by whom they name."""
    if not actor.may("oncall:read"):
        return []
    found = best(text, limit, [one for kind in _SHOWN for one in resources(kind)], lambda one: (one.name, _about(one)))
    return [
        Find(one.name, f"/oncall/{_SHOWN[one.kind]}/{quote(one.name)}/", "oncall", "On-call", _about(one))
        for one in found
    ]


def _about(one: Resource) -> str:
    return KINDS[one.kind].in_words(one.document)
