"""Who does what: fair shares of the leases, with as few moves as possible. Pure.

Every node computes its own moves from the same rows; where two want the same lease, the database decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

SHARDS = 64
TTL = 6.0  # seconds without a beat after which others may take over
BEAT = 1.5  # seconds between beats
# Seconds for which a node that vanished may still answer pings and keep them on its disk, until whoever sends them
# has noticed; no heartbeat is called missed meanwhile.
VANISHED = 30.0


def heard_until(expires_at: float, now: float) -> float:
    """Until when a node counts as heard. No beat reaches further than its TTL: what says more was written before the
    database's clock was set back, by a node that has not been heard since."""
    return expires_at if expires_at <= now + 2 * TTL else 0.0


def shard_name(number: int) -> str:
    return f"shard/{number:02}"


def shard_number(name: str) -> int | None:
    """None for the lease of a task."""
    kind, _, number = name.partition("/")
    return int(number) if kind == "shard" else None


@dataclass(frozen=True, slots=True)
class Member:
    """One node as the database has it."""

    id: str
    session: str
    alive: bool
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    name: str
    holder: str = ""
    token: int = 0


@dataclass(frozen=True, slots=True)
class Moves:
    """`take` is as it stands now: it is taken only if it still is so."""

    take: tuple[Lease, ...] = ()
    give: tuple[str, ...] = ()


def quotas(members: Iterable[Member], shards: int = SHARDS) -> dict[str, int]:
    """Session -> how many shards are its fair share. Nodes that drain get none, unless there are no others."""
    alive = sorted((member for member in members if member.alive), key=lambda member: member.id)
    sharing = [member for member in alive if not member.draining] or alive
    base, more = divmod(shards, max(1, len(sharing)))
    found = {member.session: 0 for member in alive}
    return found | {member.session: base + (index < more) for index, member in enumerate(sharing)}


def moves(
    me: str, members: Sequence[Member], leases: Iterable[Lease], tasks: Collection[str] = (), *, steady: bool = True
) -> Moves:
    """What the session `me` takes and gives up now.

    tasks: names of the tasks that this node can do. steady: this node was in touch with the database for as long as
    a lease lives; one that has just come back cannot know who else is about to, and takes only what is free.
    """
    quota = quotas(members).get(me, 0)
    known = {member.session: member for member in members}
    leases = list(leases)
    mine = [lease for lease in leases if lease.holder == me]

    def may_take(lease: Lease) -> bool:
        holder = known.get(lease.holder)  # a session that no row has was followed by another start of its node
        return lease.holder != me and (holder is None or (steady and not holder.alive))

    shards = [lease for lease in mine if shard_number(lease.name) is not None]
    loose = [lease for lease in leases if shard_number(lease.name) is not None and may_take(lease)]
    wanted = _preferred(me, loose)[: max(0, quota - len(shards))]
    surplus = _preferred(me, shards)[quota:] if len(shards) > quota else []
    give = [lease.name for lease in surplus]
    if quota:
        wanted += [lease for lease in leases if lease.name in tasks and may_take(lease)]
    else:
        give += [lease.name for lease in mine if shard_number(lease.name) is None]
    return Moves(tuple(sorted(wanted, key=lambda lease: lease.name)), tuple(give))


def _preferred(me: str, leases: Iterable[Lease]) -> list[Lease]:
    """In an order of each node's own, so that nodes that come for the same leases seldom meet."""
    return sorted(leases, key=lambda lease: hashlib.sha256(f"{me} {lease.name}".encode()).digest())
