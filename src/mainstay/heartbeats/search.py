"""What a search finds of heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mainstay.heartbeats.declared import labels_of, rhythm_of, spec_of
from mainstay.kernel.capability import Find
from mainstay.kernel.finding import best
from mainstay.kernel.wording import schedule_words
from mainstay.store.resources.queries import resources

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.resource import Resource


def search(actor: Actor, text: str, limit: int) -> list[Find]:
    """Heartbeats by name, title, schedule, tag or label."""
    if not actor.may_some("monitors:read"):
        return []
    seen = (one for one in resources("heartbeat") if actor.sees(labels_of(one)))
    return [_find(one) for one in best(text, limit, seen, _texts)]


def _texts(one: Resource) -> list[str]:
    spec = spec_of(one)
    labels = [f"{name}={value}" for name, value in spec.labels.items()]
    return [one.name, spec.title or "", _schedule(one), *spec.tags, *labels]


def _schedule(one: Resource) -> str:
    return schedule_words(str(rhythm_of(spec_of(one)).schedule))


def _find(one: Resource) -> Find:
    return Find(one.name, f"/heartbeats/{quote(one.name)}/", "heartbeats", "Heartbeats", _schedule(one))
