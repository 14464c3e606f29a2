"""Deadlines that passed, claimed by compare-and-set so that several servers on one database judge each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from mainstay.heartbeats.directory import KnownHeartbeat
from mainstay.heartbeats.intake import Covering
from mainstay.heartbeats.models import HeartbeatRow
from mainstay.heartbeats.rules import Absence, Condition, deadline_passed, set_right
from mainstay.heartbeats.transitions import tell
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.store.models import FactRow
from mainstay.store.work import breathe, sliced, unit_of_work

ALIVE_FACT = "heartbeats.alive_at"

_FIELDS = [field.name for field in fields(Condition)]


def condition_of(row: HeartbeatRow) -> Condition:
    return Condition(**{name: getattr(row, name) for name in _FIELDS})


def write_condition(row: HeartbeatRow, condition: Condition) -> bool:
    """Write it if the row is still as it was read; False if somebody else was first."""
    unchanged = HeartbeatRow.objects.filter(uid=row.uid, next_at=row.next_at, state=row.state, pings=row.pings)
    return unchanged.update(**asdict(condition)) == 1


@dataclass(frozen=True, slots=True)
class Claimed:
    """`judged` deadlines were taken in this round; `more` says that others wait already."""

    judged: int
    more: bool


def claim_due(
    actor: Actor,
    entries: Mapping[str, KnownHeartbeat],
    now: float,
    absences: Sequence[Absence] = (),
    *,
    covering: Covering,
    clock: Clock | None = None,
    limit: int = 500,
) -> Claimed:
    """Judge up to `limit` heartbeats whose deadline is not after `now`, the longest overdue first."""
    actor.require("monitors:check")
    due = HeartbeatRow.objects.filter(next_at__lte=now).order_by("next_at")
    if not due.exists():  # no transaction, hence no lock and no disk, while nothing is due
        return Claimed(0, more=False)
    with unit_of_work(actor, clock) as work:
        judged = 0
        # Rows that somebody writes just now are judged in the next round; nobody waits for them here.
        for row in due.select_for_update(skip_locked=True)[:limit]:
            entry = entries.get(row.uid)
            if entry is None:  # declared a moment ago or just deleted; the next round knows
                continue
            before = condition_of(row)
            decision = deadline_passed(before, entry.rhythm, now, absences, covering(entry.alert_labels, now))
            if write_condition(row, decision.condition):
                judged += 1
                tell(work, entry, before, decision)
    return Claimed(judged, more=judged == limit)


def set_deadlines_right(
    actor: Actor, entries: Mapping[str, KnownHeartbeat], now: float, clock: Clock | None = None
) -> int:
    """Bring back what lies too far ahead: the clock was set back, perhaps while no server ran. The number of rows."""
    actor.require("monitors:check")
    found = []
    for row in HeartbeatRow.objects.order_by("uid"):
        entry = entries.get(row.uid)
        before = condition_of(row)
        right = set_right(before, entry.rhythm, now) if entry is not None else before
        if right is not before:
            found.append((row, right))
    count = 0
    for some in sliced(found):
        with unit_of_work(actor, clock, quiet=True):  # a ping that came meanwhile has set its heartbeat right already
            count += sum(write_condition(row, right) for row, right in some)
        breathe()
    return count


def last_alive() -> float | None:
    """When a server last noted that it takes pings in (epoch seconds); None on a new install."""
    fact = FactRow.objects.filter(key=ALIVE_FACT).first()
    return float(fact.value) if fact else None


def note_alive(actor: Actor, now: float) -> None:
    """Leave a trace that the next start measures its absence by."""
    actor.require("monitors:check")
    with unit_of_work(actor, quiet=True):
        FactRow.objects.update_or_create(key=ALIVE_FACT, defaults={"value": repr(now)})
