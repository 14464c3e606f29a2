"""Reads of nodes: who there is, who does what. Callers check `settings:read` at their door."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated

from django.conf import settings
from django.db import connection

from mainstay.kernel.views import At, View
from mainstay.nodes.models import LeaseRow, NodeRow
from mainstay.nodes.rules import VANISHED, Lease, Member, heard_until, shard_number

_FINISHES = 5.0  # seconds that a server which leaves takes to end its deliveries


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that a node decides its moves by, read at one moment; `now` is the database's clock.

    unsettled: pings may lie on the disk of a node that is not heard, or were not read back yet; until then nobody
    calls a heartbeat missed.
    """

    now: float
    members: tuple[Member, ...]
    leases: tuple[Lease, ...]
    vanished: tuple[str, ...]  # sessions that did not leave in good order and are not heard any more, not told yet
    unsettled: bool
    journal: int
    lost: frozenset[str]  # sessions that were told of as lost
    living: frozenset[str]  # sessions that may still be at work: alive, or left a moment ago


def standing(in_touch_for: float = math.inf) -> Standing:
    """In three small queries; asked twice a second by every node.

    in_touch_for: seconds since the database answers the asker again, if it did not: the others may not have had the
    time to come back and to say what lies on their disks.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch from clock_timestamp()), (SELECT seq FROM journal_head WHERE id = 1), "
            "id, session, expires_at, left_at, lost_at, draining, spooled FROM node"
        )
        rows = cursor.fetchall()
        cursor.execute("SELECT name, holder, token FROM lease ORDER BY name")
        leases = tuple(Lease(*row) for row in cursor.fetchall())
    now, journal = (float(rows[0][0]), int(rows[0][1] or 0)) if rows else (0.0, 0)
    members, vanished, unsettled = [], [], False
    lost: set[str] = set()
    living: set[str] = set()
    for _, _, key, session, expires_at, left_at, lost_at, draining, spooled in rows:
        heard = heard_until(expires_at, now)
        alive = left_at is None and heard > now
        members.append(Member(key, session, alive, draining))
        if alive or (left_at is not None and now < left_at + _FINISHES):
            living.add(session)
        if lost_at is not None:
            lost.add(session)
        if left_at is None and not alive:
            unsettled = unsettled or now < heard + VANISHED or in_touch_for < VANISHED
            if lost_at is None:
                vanished.append(session)
        unsettled = unsettled or (alive and spooled > 0)
    return Standing(
        now, tuple(members), leases, tuple(vanished), unsettled, journal, frozenset(lost), frozenset(living)
    )


def database_time() -> float:
    """Epoch seconds by the clock that tells who is alive."""
    if connection.vendor != "postgresql":
        return time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch from clock_timestamp())")
        return float(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class NodeView(View):
    """One node as pages and programs see it; lengths are seconds."""

    id: str
    name: str
    state: Annotated[str, "working, draining (handing over), silent (not reporting) or stopped"]
    version: str
    address: Annotated[str, "on which it listens"]
    shards: Annotated[tuple[int, ...], "shares of the monitors, of 64"]
    tasks: Annotated[tuple[str, ...], "tasks that only one server at a time does"]
    monitors: int
    lag_p99: float
    decisions_waiting: Annotated[int, "not written yet"]
    pings_spooled: Annotated[int, "accepted and on its disk, not in the database yet"]
    started: At
    seen: At
    starts: int

    @property
    def ranges(self) -> str:
        """`0-3 17`."""
        spans: list[list[int]] = []
        for number in self.shards:
            if spans and spans[-1][1] == number - 1:
                spans[-1][1] = number
            else:
                spans.append([number, number])
        return " ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)


def nodes() -> list[NodeView]:
    """All that are known, by name; none on SQLite, where no server joins."""
    rows = list(NodeRow.objects.order_by("name", "id"))
    if not rows:
        return []
    now = database_time()
    held: dict[str, list[str]] = defaultdict(list)
    for name, holder in LeaseRow.objects.exclude(holder="").order_by("name").values_list("name", "holder"):
        held[holder].append(name)
    return [_view(row, held[row.session], now) for row in rows]


def _view(row: NodeRow, held: list[str], now: float) -> NodeView:
    alive = row.left_at is None and heard_until(row.expires_at, now) > now
    quiet = "stopped" if row.left_at is not None else "silent"
    state = quiet if not alive else "draining" if row.draining else "working"
    return NodeView(
        id=row.id,
        name=row.name,
        state=state,
        version=row.version,
        address=row.address,
        shards=tuple(number for name in held if (number := shard_number(name)) is not None),
        tasks=tuple(name.partition("/")[2] for name in held if shard_number(name) is None),
        monitors=row.monitors if alive else 0,
        lag_p99=row.lag,
        decisions_waiting=row.waiting,
        pings_spooled=row.spooled,
        started=row.started_at,
        seen=row.seen_at,
        starts=row.starts,
    )


def keeps_apart() -> str:
    """Name of the server in this process if others keep results which it does not see; empty if it sees all."""
    if not _here or settings.MAINSTAY.telemetry:
        return ""
    names = dict(NodeRow.objects.values_list("id", "name"))
    return names.get(_here, "") if len(names) > 1 else ""


def is_known(node: str) -> bool:
    """Whether a row stands for the node with this id, of whichever start."""
    return NodeRow.objects.filter(id=node).exists()


def free_shards() -> int:
    """How many nobody checks at this moment."""
    sessions = NodeRow.objects.values("session")
    return LeaseRow.objects.filter(name__startswith="shard/").exclude(holder__in=sessions).count()


def standing_leases(session: str, tokens: dict[str, int]) -> set[str]:
    """Which of these leases are still held with these tokens; in a transaction they stay so until its end."""
    if not tokens:
        return set()
    names = sorted(tokens)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, token FROM lease WHERE name = ANY(%s) AND holder = %s ORDER BY name FOR SHARE",
            [names, session],
        )
        return {name for name, token in cursor.fetchall() if token == tokens[name]}


_here = ""


def set_here(node: str) -> None:
    """The id of the node that runs in this process."""
    global _here  # noqa: PLW0603  one running server per process
    _here = node


def here() -> str:
    """Empty in a process that is no server, and on SQLite."""
    return _here
