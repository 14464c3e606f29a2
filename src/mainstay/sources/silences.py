"""Silences in Alertmanager's terms: resources of the kind `silence` behind ids that are UUIDs.

Whoever may mute alerts may silence them by matchers, which is less than declaring anything. Edits follow Alertmanager
(`silence/silence.go`): of an active one the end alone moves, of a pending one the times; any other edit ends it and
makes another. What was ended is deleted here; revisions keep it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mainstay.alerting.calm import silence_period
from mainstay.alerting.calm_spec import SilenceSpec
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock, to_iso
from mainstay.kernel.errors import NotFound
from mainstay.kernel.ids import made_at, new_id
from mainstay.kernel.matchers import all_match
from mainstay.kernel.resource import Resource
from mainstay.store.resources.apply import declare, remove
from mainstay.store.resources.queries import resources
from mainstay.store.work import unit_of_work

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # of ids, as kernel.ids writes them

_LONGEST = 366 * 86_400.0  # seconds that a recurring one without an end is said to last
State = Literal["active", "pending", "expired"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for; times are epoch seconds. `id`: of the one to change; empty: another one."""

    matchers: tuple[str, ...]
    starts_at: float
    ends_at: float
    author: str
    comment: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """One set of matchers of a declared silence, as it is at a moment."""

    id: str
    name: str
    matchers: tuple[str, ...]
    starts_at: float
    ends_at: float
    state: State
    author: str
    comment: str
    updated_at: float


def id_of(uid: str) -> str:
    """The UUID with the bits of a resource's uid."""
    number = 0
    for sign in uid:
        number = number << 5 | _DIGITS.index(sign)
    return str(uuid.UUID(int=number & (1 << 128) - 1))


def silences(now: float) -> list[Silence]:
    """All that are declared and can be read, in Alertmanager's order: active ones by their end, pending ones by their
    start, then those that are over, the latest first."""
    found = [one for resource in resources("silence") for one in _of(resource, now)]
    return sorted(found, key=_order)


def _order(one: Silence) -> tuple[int, float]:
    if one.state == "active":
        return 0, one.ends_at
    return (1, one.starts_at) if one.state == "pending" else (2, -one.ends_at)


def _of(resource: Resource, now: float) -> Iterator[Silence]:
    try:
        spec: SilenceSpec = resource.spec
    except ValueError:
        return  # this version cannot read it
    period = silence_period(spec, now)
    begins = spec.start_at if spec.start else made_at(resource.uid)
    ends = spec.until_at if spec.until else now + 366 * 86_400.0
    if period is not None:
        begins, ends = max(period[0], begins), min(period[1], ends)
    state: State = "active" if period is not None else "expired" if ends <= now else "pending"
    for matchers in spec.sets:
        yield Silence(
            id_of(resource.uid), resource.name, tuple(matchers), begins, ends, state, spec.author, spec.comment, begins
        )


def silenced_by(found: Sequence[Silence], labels: Mapping[str, str]) -> list[str]:
    """Ids of those in force that cover an alert with these labels."""
    return sorted({one.id for one in found if one.state == "active" and all_match(one.matchers, labels)})


def set_silence(actor: Actor, wanted: Wanted, clock: Clock | None = None) -> str:
    """Make a silence, or change one; its id, which is another where the change is more than Alertmanager allows.

    NotFound without the one that is to be changed; InvalidInput if it cannot be declared so.
    """
    actor.require("alerts:write")
    with unit_of_work(actor, clock) as work:
        before = _named(wanted.id, work.now) if wanted.id else None
        if before is not None and _can_update(before, wanted, work.now):
            return _declared(actor, before.name, wanted)
        if before is not None and before.state != "expired":
            remove(_declarer(actor), "silence", before.name, manager="api")
        name = f"silence-{new_id(work.now)[-10:]}"
        return _declared(actor, name, replace(wanted, starts_at=max(wanted.starts_at, work.now)))


def expire_silence(actor: Actor, silence_id: str, clock: Clock | None = None) -> None:
    """End one. NotFound if there is none."""
    actor.require("alerts:write")
    with unit_of_work(actor, clock) as work:
        found = _named(silence_id, work.now)
        remove(_declarer(actor), "silence", found.name, manager="api")


def _named(silence_id: str, now: float) -> Silence:
    for one in silences(now):
        if one.id == silence_id.lower():
            return one
    raise NotFound("silence not found")


def _can_update(before: Silence, wanted: Wanted, now: float) -> bool:
    if sorted(before.matchers) != sorted(wanted.matchers) or before.state == "expired":
        return False
    if before.state == "active":
        return abs(before.starts_at - wanted.starts_at) < 0.001 and wanted.ends_at >= now
    return wanted.starts_at >= now


def _declared(actor: Actor, name: str, wanted: Wanted) -> str:
    document = {
        "match": list(wanted.matchers),
        "from": to_iso(wanted.starts_at),
        "until": to_iso(wanted.ends_at),
        "comment": wanted.comment,
        "author": wanted.author,
    }
    return id_of(declare(_declarer(actor), "silence", name, document, manager="api").uid)


def _declarer(actor: Actor) -> Actor:
    """The same person, who may declare this one thing."""
    return replace(actor, scopes=actor.scopes | {"resources:write"}, limits=())
