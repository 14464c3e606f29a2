"""What people, programs and pings change of a heartbeat, besides reporting in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import ClassVar

from mainstay.heartbeats.deadlines import condition_of, write_condition
from mainstay.heartbeats.declared import entry_of, labels_of
from mainstay.heartbeats.directory import KnownHeartbeat, key_hash
from mainstay.heartbeats.events import HeartbeatCreatedByPing, PingKeyRotated
from mainstay.heartbeats.models import HeartbeatRow
from mainstay.heartbeats.rules import Condition, Decision, pause, resume
from mainstay.heartbeats.transitions import tell
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.kernel.errors import Broken, Conflict, NotFound, UserError
from mainstay.kernel.resource import Resource, check_name
from mainstay.kernel.wording import counted
from mainstay.store.models import FactRow, JournalEntry
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import by_uid, find, resource
from mainstay.store.work import Work, unit_of_work

PING_KEY_FACT = "heartbeats.ping_key"
# Whoever holds the ping key; it may make heartbeats and nothing else.
PING_KEY = Actor("token", "ping key", frozenset({"resources:read", "resources:write"}))
CREATED_LIKE_THE_ORIGINAL = {"every": "1d", "grace": "1h"}
CREATIONS_PER_HOUR = 100


class TooManyCreations(UserError):
    """More heartbeats were made by pings in the last hour than anybody means to make."""

    code: ClassVar[str] = "too_many_creations"
    status: ClassVar[int] = 429


@dataclass(frozen=True, slots=True)
class Created:
    entry: KnownHeartbeat
    fresh: bool  # False: somebody else was first


def pause_heartbeat(actor: Actor, name: str, *, clock: Clock | None = None) -> bool:
    """Pause it until it is resumed or reports success. True if that changed anything."""
    actor.require_some("monitors:check")
    with unit_of_work(actor, clock) as work:
        entry, row = _find(actor, name)
        before = condition_of(row)
        return _settle(work, entry, row, before, pause(before, work.now, "person"))


def resume_heartbeat(actor: Actor, name: str, *, clock: Clock | None = None) -> bool:
    """Resume it. Conflict if the declaration pauses it. True if that changed anything."""
    actor.require_some("monitors:check")
    with unit_of_work(actor, clock) as work:
        entry, row = _find(actor, name)
        if not entry.rhythm.enabled:
            raise Conflict(f"{name} is declared with `enabled: false`", hint="declare it with `enabled: true`")
        before = condition_of(row)
        return _settle(work, entry, row, before, resume(before, entry.rhythm, work.now))


def _settle(work: Work, entry: KnownHeartbeat, row: HeartbeatRow, before: Condition, decision: Decision) -> bool:
    if decision.condition == before:
        return False
    if not write_condition(row, decision.condition):
        raise Conflict(f"{entry.name} changed at the same moment", hint="try again")
    tell(work, entry, before, decision)
    return True


def _find(actor: Actor, name: str) -> tuple[KnownHeartbeat, HeartbeatRow]:
    """What lies outside of the actor's limits is not there for it."""
    found = find("heartbeat", name) if actor.limits else resource("heartbeat", name)  # the latter guesses other names
    if found is None or not actor.sees(labels_of(found)):
        raise NotFound(f"there is no heartbeat `{name[:100]}`")
    row = _row(found)
    return entry_of(found, row.ping_uuid), row


def _row(found: Resource) -> HeartbeatRow:
    row = HeartbeatRow.objects.select_for_update().filter(uid=found.uid).first()
    if row is None:
        raise Broken(f"the heartbeat {found.name} has no row", hint="restart the server, which creates what is missing")
    return row


def rotate_ping_key(actor: Actor) -> str:
    """Create a new ping key and forget the old one. The result is shown once; only its hash is kept."""
    actor.require("tokens:write")
    ping_key = secrets.token_urlsafe(16)
    with unit_of_work(actor) as work:
        FactRow.objects.update_or_create(key=PING_KEY_FACT, defaults={"value": key_hash(ping_key)})
        work.record(PingKeyRotated("token/ping-key"))
    return ping_key


def create_by_ping(actor: Actor, slug: str, *, clock: Clock | None = None) -> Created:
    """Declare a heartbeat named like the slug, with the original's defaults: every day, an hour of grace.

    Raises TooManyCreations after 100 within an hour, Conflict if several have this slug, UserError if no
    heartbeat can have this name. Harmless when repeated.
    """
    actor.require("resources:write")
    with unit_of_work(actor, clock) as work:
        known = _with_slug(slug)
        if known is not None:
            return Created(known, fresh=False)
        try:
            check_name(slug)
        except ValueError as error:
            raise UserError(f"`{slug}` cannot name a heartbeat: {error}") from None
        _bound_creations(work.now)
        declare(actor, "heartbeat", slug, CREATED_LIKE_THE_ORIGINAL, manager="ping")
        work.record(HeartbeatCreatedByPing(f"heartbeat/{slug}", slug))
        made = _with_slug(slug)
        if made is None:
            raise Broken(f"the heartbeat {slug} was declared and cannot be found")
        return Created(made, fresh=True)


def _with_slug(slug: str) -> KnownHeartbeat | None:
    rows = HeartbeatRow.objects.filter(slug=slug)[:2]
    if len(rows) > 1:
        raise Conflict(f"several heartbeats have the slug {slug}")
    found = by_uid(rows[0].uid) if rows else None
    return entry_of(found, rows[0].ping_uuid) if found is not None else None


def _bound_creations(now: float) -> None:
    since = int((now - 3600) * 1_000_000)
    made = JournalEntry.objects.filter(kind="heartbeat.created_by_ping", at_us__gte=since).count()
    if made >= CREATIONS_PER_HOUR:
        raise TooManyCreations(f"pings have created {counted(made, 'heartbeat')} within an hour")
