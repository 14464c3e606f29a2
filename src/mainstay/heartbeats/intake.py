"""Pings into the database, many in one transaction, in plain SQL: the ORM would cost more than the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from django.db import connection

from mainstay.heartbeats.directory import KnownHeartbeat
from mainstay.heartbeats.rules import Condition, Ping, receive
from mainstay.heartbeats.transitions import tell
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.store.work import Work, quietly

# (labels, epoch seconds) -> name of a maintenance window that covers them, or empty.
Covering = Callable[[Mapping[str, str], float], str]

# (uid, run id) -> when that run started, of the pings in a batch; None once it has ended.
Runs = dict[tuple[str, str], float | None]

PRUNE_EVERY = 20  # pings of one heartbeat between two prunings

# The columns of rules.Condition, in the order of its fields.
_condition = attrgetter(*(field.name for field in fields(Condition)))
_SELECT = (
    "SELECT uid, pings, failures, state, reason, since, paused_by, last_ping, last_kind, last_start, last_rid, "
    "last_duration, due_at, next_at FROM heartbeat WHERE uid IN "
)
_UPDATE = (
    "UPDATE heartbeat SET pings = %s, failures = %s, state = %s, reason = %s, since = %s, paused_by = %s, "
    "last_ping = %s, last_kind = %s, last_start = %s, last_rid = %s, last_duration = %s, due_at = %s, next_at = %s "
    "WHERE uid = %s"
)
_INSERT = (
    "INSERT INTO ping (heartbeat, n, at, kind, exit_status, rid, method, scheme, remote, user_agent, duration, late, "
    "body, body_size) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_LAST_OF_RUN = (
    "SELECT kind, at FROM ping WHERE heartbeat = %s AND rid = %s AND kind IN ('start', 'success', 'fail') "
    "ORDER BY n DESC LIMIT 1"
)
_LONGEST_RUN = 259_200.0  # seconds; the original pairs what lies at most 72 h apart
_PRUNE = "DELETE FROM ping WHERE heartbeat = %s AND n <= %s"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One ping as the door took it; `body` is cut to its limit already, `body_size` is what was sent."""

    entry: KnownHeartbeat
    ping: Ping
    method: str
    scheme: str
    remote: str
    user_agent: str
    body: bytes | None = None
    body_size: int = 0


@dataclass(slots=True)
class _Standing:
    """A heartbeat's row while a batch is applied to it."""

    condition: Condition
    pings: int
    failures: int
    before: int


def take_in(
    actor: Actor, batch: Sequence[Incoming], *, kept: int, covering: Covering, clock: Clock | None = None
) -> frozenset[str]:
    """Record all pings and what they change, in one transaction. Returns uids that exist no more.

    Raises StoreBusy; nothing is written then and the same batch may be given again.
    """
    actor.require("monitors:check")

    def write(work: Work) -> frozenset[str]:
        standings = _load({incoming.entry.uid for incoming in batch})
        runs: Runs = {}
        written = [_apply(work, _timed(incoming, standings, runs), standings, covering) for incoming in batch]
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, [row for row in written if row is not None])
            cursor.executemany(_UPDATE, [_update_row(uid, standing) for uid, standing in standings.items()])
            prunings = [
                (uid, standing.pings - kept)
                for uid, standing in standings.items()
                if standing.pings // PRUNE_EVERY != standing.before // PRUNE_EVERY and standing.pings > kept
            ]
            if prunings:
                cursor.executemany(_PRUNE, prunings)
        return frozenset(incoming.entry.uid for incoming in batch if incoming.entry.uid not in standings)

    return quietly(actor, clock, write)


def _load(uids: Iterable[str]) -> dict[str, _Standing]:
    wanted = sorted(uids)
    query = _SELECT + "(" + ", ".join(["%s"] * len(wanted)) + ")"
    if connection.vendor == "postgresql":
        query += " ORDER BY uid FOR UPDATE"  # one order for everybody, or two writers could wait for each other
    with connection.cursor() as cursor:
        cursor.execute(query, wanted)
        return {row[0]: _Standing(Condition(*row[3:]), row[1], row[2], row[1]) for row in cursor.fetchall()}


def _timed(incoming: Incoming, standings: Mapping[str, _Standing], runs: Runs) -> Incoming:
    """The ping with the time since the start of its own run, where another run of the same job began since."""
    ping, key = incoming.ping, (incoming.entry.uid, incoming.ping.rid)
    standing = standings.get(incoming.entry.uid)
    if not ping.rid or standing is None or ping.kind not in ("start", "success", "fail"):
        return incoming
    if ping.kind == "start":
        runs[key] = ping.at
        return incoming
    began = runs[key] if key in runs else _start_of_run(*key)
    runs[key] = None
    latest = standing.condition.last_rid == ping.rid and standing.condition.last_start is not None
    if latest or ping.duration is not None or began is None or not 0 <= ping.at - began <= _LONGEST_RUN:
        return incoming
    return replace(incoming, ping=replace(ping, duration=ping.at - began))


def _start_of_run(uid: str, rid: str) -> float | None:
    with connection.cursor() as cursor:
        cursor.execute(_LAST_OF_RUN, (uid, rid))
        found = cursor.fetchone()
    return found[1] if found is not None and found[0] == "start" else None


def _apply(
    work: Work, incoming: Incoming, standings: Mapping[str, _Standing], covering: Covering
) -> tuple[Any, ...] | None:
    """Change the standing by one ping and return its row, or None if the heartbeat is gone."""
    entry, ping = incoming.entry, incoming.ping
    standing = standings.get(entry.uid)
    if standing is None:
        return None
    window = covering(entry.alert_labels, ping.at) if ping.kind == "fail" else ""
    before = standing.condition
    decision = receive(before, entry.rhythm, ping, window)
    standing.condition = decision.condition
    standing.pings += 1
    standing.failures += decision.recorded == "fail"
    tell(work, entry, before, decision, ping=standing.pings)
    counted = decision.recorded in ("success", "fail") and decision.condition is not before
    return (
        entry.uid,
        standing.pings,
        ping.at,
        decision.recorded,
        ping.exit_status,
        ping.rid,
        incoming.method,
        incoming.scheme,
        incoming.remote,
        incoming.user_agent,
        decision.condition.last_duration if counted else ping.duration,
        ping.late,
        incoming.body,
        incoming.body_size,
    )


def _update_row(uid: str, standing: _Standing) -> tuple[Any, ...]:
    return (standing.pings, standing.failures, *_condition(standing.condition), uid)
