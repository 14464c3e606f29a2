"""Maintenance of one monitor or heartbeat for a while, begun at once: a window that is declared for it.

Whoever may pause something may do this, which is less. The window is a resource like any other: it is listed,
exported, found in revisions, and named after what it covers, so that a repeat moves its end instead of adding one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from mainstay.kernel.actor import Actor, ActorKind
from mainstay.kernel.clock import Clock, to_iso
from mainstay.kernel.errors import NotFound, UserError
from mainstay.kernel.resource import Manager, Resource
from mainstay.store.resources.apply import declare, remove
from mainstay.store.resources.queries import find, resource
from mainstay.store.work import unit_of_work
from mainstay.windows.queries import Occurrence, covers_of, name_for, own, window_of

Subject = Literal["monitor", "heartbeat"]
LONGEST = 30 * 86_400.0  # seconds; planned work that lasts longer is declared
_SHORTEST = 60.0
_MANAGERS: dict[ActorKind, Manager] = {"user": "page", "token": "api"}


def begin_maintenance(
    actor: Actor, name: str, seconds: float, reason: str = "", *, kind: Subject = "monitor", clock: Clock | None = None
) -> Occurrence:
    """From now on and for so long nobody is woken about it. A repeat moves the end.

    reason: a person's words, also shown on public status pages. NotFound if it is not declared, UserError if it is to
    last less than a minute or more than 30 days, Conflict if a file keeps its window.
    """
    actor.require_some("monitors:check")
    with unit_of_work(actor, clock) as work:
        subject = _seen(actor, kind, name)
        if not _SHORTEST <= seconds <= LONGEST:
            raise UserError("maintenance lasts from a minute to 30 days", hint="declare a window for what lasts longer")
        if len(reason) > 2000:
            raise UserError("a reason has at most 2,000 characters", hint="say less, and link to the rest")
        document: dict[str, object] = {
            "from": to_iso(work.now),
            "until": to_iso(work.now + seconds),
            "covers": covers_of(subject),
        }
        if reason.strip():
            document["description"] = reason.strip()
        made = _declared(actor, name_for(subject), document)
        window = window_of(made.name, made.spec)
        start, end = window.period or (work.now, work.now + seconds)
        return Occurrence(window.name, start, end, True, window.description, window.covers)


def end_maintenance(actor: Actor, name: str, *, kind: Subject = "monitor", clock: Clock | None = None) -> bool:
    """Over before its time: the window that `begin_maintenance` made is deleted. False if there is none."""
    actor.require_some("monitors:check")
    with unit_of_work(actor, clock):
        window = own(_seen(actor, kind, name))
        if window is None:
            return False
        remove(_declarer(actor), "window", window.name, manager=_manager(actor))
        return True


def end_window(actor: Actor, name: str, *, clock: Clock | None = None) -> bool:
    """End a window that does not recur now; False if it is not in force. UserError if it recurs."""
    actor.require("resources:write")
    with unit_of_work(actor, clock) as work:
        window = resource("window", name)
        if window.document.get("rule"):
            raise UserError(f"{name} recurs, so its next period comes all the same", hint="edit or delete it")
        if window_of(name, window.spec).active(work.now) is None:
            return False
        declare(actor, "window", name, {**window.document, "until": to_iso(work.now)}, manager=_manager(actor))
        return True


def _declared(actor: Actor, name: str, document: dict[str, object]) -> Resource:
    return declare(_declarer(actor), "window", name, document, manager=_manager(actor))


def _seen(actor: Actor, kind: Subject, name: str) -> Resource:
    """What lies outside of the actor's limits is not there for it."""
    found = find(kind, name) if actor.limits else resource(kind, name)  # the latter guesses other names
    if found is None or not actor.sees({**found.spec.labels, kind: found.name, "severity": found.spec.severity}):
        raise NotFound(f"there is no {kind} `{name[:100]}`")
    return found


def _declarer(actor: Actor) -> Actor:
    """The same person, who was allowed this one window; the journal keeps the name."""
    return replace(actor, scopes=actor.scopes | {"resources:read", "resources:write"}, limits=())


def _manager(actor: Actor) -> Manager:
    return _MANAGERS.get(actor.kind, "command")
