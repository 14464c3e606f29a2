"""What nodes write: joining, beats, taking and giving leases, leaving; and what people ask of them.

Whether a node is alive is told by the database's clock alone. Beats and leases are written outside of the journal's
turn, so that a node whose transaction hangs cannot keep others from taking over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Conflict, NotFound
from mainstay.nodes.events import (
    NodeDrainingBegan,
    NodeDrainingEnded,
    NodeForgotten,
    NodeJoined,
    NodeLeft,
    NodeLost,
    NodeReturned,
)
from mainstay.nodes.models import LeaseRow, NodeRow
from mainstay.nodes.queries import database_time
from mainstay.nodes.rules import SHARDS, TTL, Lease, heard_until, shard_name
from mainstay.store.work import unit_of_work

_BEAT = (
    "UPDATE node SET seen_at = extract(epoch from clock_timestamp()), "
    "expires_at = extract(epoch from clock_timestamp()) + %s, monitors = %s, lag = %s, waiting = %s, "
    "spooled = %s WHERE session = %s"
)
_TAKE = (
    "UPDATE lease SET holder = %s, token = token + 1, since = extract(epoch from clock_timestamp()) "
    "WHERE name IN (SELECT name FROM lease WHERE name = %s AND holder = %s AND token = %s FOR UPDATE SKIP LOCKED) "
    "RETURNING name, token"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """`id` stays with the data folder, `session` is of this start."""

    id: str
    session: str
    name: str
    version: str
    address: str
    keys: str


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a node says of itself with each beat; see NodeRow."""

    monitors: int = 0
    lag: float = 0.0
    waiting: int = 0
    spooled: int = 0


def join(actor: Actor, me: Identity, tasks: Iterable[str]) -> None:
    """Make this start known; leases of the start before count as free from now on.

    Conflict if this server's keys are not those of the others: sessions and links made by one would not work on
    another, and the journal would be signed by two.
    """
    actor.require("nodes:write")
    with unit_of_work(actor) as work:
        for other in NodeRow.objects.exclude(id=me.id).exclude(keys=me.keys).order_by("-seen_at")[:1]:
            raise Conflict(
                f"this server's keys differ from those of the server {other.name}, which uses the same database",
                hint="copy secret.key, vault.key and journal.key of that one here, or name a folder of shared keys "
                f"with MAINSTAY_KEYS; if {other.name} is gone for good, `mainstay nodes forget {other.name}`",
            )
        names = [*map(shard_name, range(SHARDS)), *tasks]
        LeaseRow.objects.bulk_create([LeaseRow(name=name) for name in names], ignore_conflicts=True)
        now = database_time()
        row = NodeRow.objects.select_for_update().filter(id=me.id).first()
        row = row or NodeRow(id=me.id, starts=0, draining=False, started_at=now)
        row.session, row.name, row.version, row.address, row.keys = me.session, me.name, me.version, me.address, me.keys
        row.starts, row.started_at, row.seen_at, row.expires_at = row.starts + 1, now, now, now + TTL
        row.left_at = row.lost_at = None
        row.save()
        work.record(NodeJoined(f"node/{me.name}", me.id, me.session, me.version, me.address))


def beat(actor: Actor, me: Identity, vitals: Vitals) -> bool:
    """Say that this node lives. False if another start has taken its place, or somebody has made it forgotten."""
    actor.require("nodes:write")
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, [TTL, vitals.monitors, vitals.lag, vitals.waiting, vitals.spooled, me.session])
        return bool(cursor.rowcount)


def take(actor: Actor, session: str, leases: Sequence[Lease]) -> dict[str, int]:
    """Take those that are still as they were seen; name -> new token.

    One under which somebody writes just now is left for the next time: all that was written under those that are
    taken can be read.
    """
    actor.require("nodes:write")
    taken: dict[str, int] = {}
    with connection.cursor() as cursor:
        for lease in leases:
            cursor.execute(_TAKE, [session, lease.name, lease.holder, lease.token])
            taken |= {name: int(token) for name, token in cursor.fetchall()}
    return taken


def give(actor: Actor, session: str, names: Iterable[str]) -> None:
    """Let go of leases, so that others take them at once."""
    actor.require("nodes:write")
    LeaseRow.objects.filter(holder=session, name__in=list(names)).update(holder="")


def leave(actor: Actor, me: Identity) -> None:
    """Stop in good order: nothing is held any more, and nobody misses this node."""
    actor.require("nodes:write")
    LeaseRow.objects.filter(holder=me.session).update(holder="")
    with unit_of_work(actor) as work:
        now = database_time()
        if NodeRow.objects.filter(session=me.session).update(left_at=now, expires_at=now, spooled=0):
            work.record(NodeLeft(f"node/{me.name}", me.id, me.session))


def note_lost(actor: Actor, sessions: Iterable[str]) -> list[str]:
    """Tell of nodes that vanished, each once, whoever notices; the sessions told of."""
    actor.require("nodes:write")
    told = []
    with unit_of_work(actor) as work:
        now = database_time()
        members = NodeRow.objects.filter(session__in=list(sessions), lost_at=None, left_at=None)
        for row in members.select_for_update().order_by("id"):
            if heard_until(row.expires_at, now) > now:
                continue
            row.lost_at = now
            row.save(update_fields=["lost_at"])
            lost = NodeLost(
                f"node/{row.name}",
                heading=f"the server {row.name} has stopped reporting",
                since=row.seen_at,
                labels={"node": row.name},
                reason="not_heard",
                message="other servers have taken over its monitors",
                address=row.address,
                node=row.id,
                session=row.session,
            )
            work.record(lost)
            told.append(row.session)
    return told


def note_returned(actor: Actor, me: Identity) -> bool:
    """This node was told of as lost, and is back."""
    actor.require("nodes:write")
    with unit_of_work(actor) as work:
        row = NodeRow.objects.select_for_update().filter(session=me.session, lost_at__isnull=False).first()
        if row is None:
            return False
        seconds = round(database_time() - (row.lost_at or 0.0), 1)
        row.lost_at = None
        row.save(update_fields=["lost_at"])
        work.record(NodeReturned(f"node/{me.name}", me.id, me.session, seconds))
        return True


def drain_node(actor: Actor, name: str, *, draining: bool = True) -> bool:
    """Let a node hand its monitors to the others, or share again. False if it was so already.

    Conflict if nobody else would check them.
    """
    actor.require("nodes:write")
    with unit_of_work(actor) as work:
        row = _named(name)
        if row.draining == draining:
            return False
        now, others = database_time(), NodeRow.objects.exclude(id=row.id).filter(draining=False, left_at=None)
        if draining and not any(heard_until(other.expires_at, now) > now for other in others):
            raise Conflict(f"no other node could check what {name} checks", hint="start another one first")
        row.draining = draining
        row.save(update_fields=["draining"])
        told = NodeDrainingBegan if draining else NodeDrainingEnded
        work.record(told(f"node/{row.name}", row.id))
        return True


def forget_node(actor: Actor, name: str) -> None:
    """Remove a node that is gone for good. Conflict while it lives."""
    actor.require("nodes:write")
    with unit_of_work(actor) as work:
        row = _named(name)
        if row.left_at is None and heard_until(row.expires_at, now := database_time()) > now:
            raise Conflict(f"the node {row.name} is running", hint="stop it first")
        LeaseRow.objects.filter(holder=row.session).update(holder="")
        work.record(NodeForgotten(f"node/{row.name}", row.id))
        row.delete()


def _named(name: str) -> NodeRow:
    """By its name, or the beginning of its id where several have that name."""
    found = list(NodeRow.objects.select_for_update().filter(name=name))
    found = found or list(NodeRow.objects.select_for_update().filter(id__startswith=name)) if name else []
    if not found:
        raise NotFound(f"there is no node `{name[:100]}`", hint="`mainstay nodes` lists them")
    if len(found) > 1:
        ids = ", ".join(row.id[:8] for row in found)
        raise Conflict(f"several nodes match `{name[:100]}`: {ids}", hint="use its id")
    return found[0]
