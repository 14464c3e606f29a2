"""Every change of what is remembered of monitors, each in one transaction with the events that tell of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import Broken, Conflict, NotFound
from mainstay.kernel.event import Event
from mainstay.kernel.probing import CheckResult
from mainstay.kernel.resource import Resource
from mainstay.store.models import FactRow, ResourceRow
from mainstay.store.resources.queries import by_keys, living
from mainstay.store.resources.queries import names as names_of
from mainstay.store.rows import insert_rows
from mainstay.store.work import Work, breathe, sliced, unit_of_work
from mainstay.watch.board import Moved
from mainstay.watch.facts import facts_of
from mainstay.watch.models import MonitorRequestRow, MonitorStateRow
from mainstay.watch.rules import decide
from mainstay.watch.state import RANKS, MonitorState, Paused, Policy, Resumed, from_json, to_json
from mainstay.watch.telling import NOTHING_FOUND, Facts, Finding, events_of, text_of, uplink_event
from mainstay.watch.uplink import Change, reached_fact

# The uids among these whose decisions do not count any more, because another node has taken them over; asked within
# the transaction that writes them, and true until its end.
Fence = Callable[[Collection[str]], set[str]]
_WISH_KEPT = 60.0  # seconds after which a wish that no node has heard is dropped
ORDERED_AT_ONCE = 20  # monitors that are paused or resumed in one transaction
_REQUEST = ("uid", "wish", "at")
CONFIGURATION = "configuration"  # who paused a monitor that is declared with `enabled: false`


@dataclass(frozen=True, slots=True)
class Latest:
    """A monitor's counters and its newest result, as they are saved every few seconds."""

    uid: str
    version: int
    state: MonitorState
    result: CheckResult | None = None


def record_transitions(
    actor: Actor,
    moves: Sequence[Moved | Change],
    clock: Clock | None = None,
    *,
    fence: Fence | None = None,
    node: str = "",
) -> list[str]:
    """Write states and events in the order given, in one transaction.

    A Change is what the uplink guard has found, of `node` where there are several. Gives the uids whose row somebody
    else has changed meanwhile (a person paused it), or that another node has taken over: nothing is written for
    those, and the caller reads them anew. Moves of monitors that are not declared any more are dropped.
    """
    actor.require("monitors:check")
    with unit_of_work(actor, clock) as work:
        uids = [move.uid for move in moves if isinstance(move, Moved)]
        overtaken = sorted(fence(set(uids))) if fence is not None else []
        declared = set(ResourceRow.objects.filter(uid__in=uids).values_list("uid", flat=True))
        events: list[Event] = []
        for move in moves:
            if isinstance(move, Change):
                events.append(uplink_event(move, node))
                continue
            if move.uid in overtaken or move.uid not in declared:
                continue
            if _write(move.uid, move.version, move.state, move.finding):
                events += move.events
            else:
                overtaken.append(move.uid)
        work.record_all(events)
    return overtaken


def save_counters(
    actor: Actor, latest: Iterable[Latest], clock: Clock | None = None, *, fence: Fence | None = None
) -> None:
    """Save counters and newest results; no event, because nothing happened. Rows changed meanwhile are left alone."""
    actor.require("monitors:check")
    known = {item.uid: item for item in latest}
    if not known:
        return
    with unit_of_work(actor, clock, quiet=True), connection.cursor() as cursor:
        lost = fence(known.keys()) if fence is not None else set()
        rows = [_saved(known[uid]) for uid in sorted(known.keys() - lost)]
        cursor.executemany(
            'UPDATE monitor_state SET counters=%s, reason=%s, suppressed_by=%s, "window"=%s, flapping=%s, '
            "last_verdict=%s, last_at=%s, last_duration=%s, last_code=%s, last_message=%s "
            "WHERE uid=%s AND version=%s",
            rows,
        )


def _saved(item: Latest) -> tuple[str | float | bool, ...]:
    state, result = item.state, item.result
    found = ("", 0.0, 0.0, "", "")
    if result is not None:
        found = (result.verdict, result.at, result.duration, text_of(result.code, 60), text_of(result.message))
    counters = (to_json(state), state.reason, state.suppressed_by, state.window, state.flapping)
    return (*counters, *found, item.uid, item.version)


def describe_monitors(actor: Actor, declared: Sequence[tuple[Resource, Facts, float]]) -> None:
    """Write what is declared into the rows of these monitors: (resource, its facts, interval in seconds).

    Who has no row yet gets one, so that pages and counts show it from the start. States are left alone.
    """
    actor.require("monitors:check")
    state = MonitorState(since=time.time())
    rows = [
        MonitorStateRow(uid=facts.uid, **_declared(resource, facts, interval), **_columns(state, NOTHING_FOUND))
        for resource, facts, interval in sorted(declared, key=lambda one: one[1].uid)
    ]
    # Prepared before the turn to write is taken, as Django's own way of inserting many is not.
    fields = MonitorStateRow._meta.concrete_fields
    values = [tuple(field.get_prep_value(getattr(row, field.attname)) for field in fields) for row in rows]
    columns = [str(field.column) for field in fields]
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in _DECLARED)
    with unit_of_work(actor):
        insert_rows("monitor_state", columns, values, f"ON CONFLICT (uid) DO UPDATE SET {changed}")


def _declared(resource: Resource, facts: Facts, interval: float) -> dict[str, object]:
    tags = [str(tag) for tag in resource.document.get("tags", [])]
    pairs = [f"{name}={value}" for name, value in facts.labels.items()]
    return {
        "revision": resource.revision,
        "name": facts.name,
        "kind": facts.kind,
        "address": facts.address,
        "severity": facts.severity,
        "labels": json.dumps(dict(facts.labels), sort_keys=True, ensure_ascii=False),
        "tags": json.dumps(tags, ensure_ascii=False),
        "interval": interval,
        "search": "\n".join((facts.name, facts.address, *tags, *pairs)).lower(),
    }


_DECLARED = ("revision", "name", "kind", "address", "severity", "labels", "tags", "interval", "search")


def forget_monitors(actor: Actor, uids: Sequence[str], clock: Clock | None = None) -> None:
    """Delete the states of monitors that are not declared any more."""
    actor.require("monitors:check")
    with unit_of_work(actor, clock):
        for start in range(0, len(uids), 500):
            MonitorStateRow.objects.filter(uid__in=uids[start : start + 500]).delete()


def pause_monitors(actor: Actor, names: Sequence[str], clock: Clock | None = None, *, by: str = "") -> int:
    """Stop checking; survives a restart. Gives how many were not paused before. NotFound names an unknown one."""
    actor.require_some("monitors:check")
    return _order_all(actor, _monitors(actor, names), Paused(by or str(actor)), clock)


def resume_monitors(actor: Actor, names: Sequence[str], clock: Clock | None = None, *, configured: bool = False) -> int:
    """Check again. Gives how many were paused before; Conflict for one whose declaration says `enabled: false`."""
    actor.require_some("monitors:check")
    found = _monitors(actor, names)
    for resource in found:
        if not configured and resource.document.get("enabled", True) is False:
            raise Conflict(
                f"the monitor `{resource.name}` is declared with `enabled: false`",
                hint="remove that line where it is declared to have it checked",
            )
    return _order_all(actor, found, Resumed(), clock)


def check_now(actor: Actor, names: Sequence[str], clock: Clock | None = None) -> int:
    """Ask the running server to check these at once, beside their schedule. Conflict for a paused one."""
    actor.require_some("monitors:check")
    found = _monitors(actor, names)
    with unit_of_work(actor, clock) as work:
        paused = MonitorStateRow.objects.filter(state="paused").values_list("uid", flat=True)
        among = {resource.uid: resource.name for resource in found}
        if stopped := among.keys() & set(paused):
            raise Conflict(f"the monitor `{among[min(stopped)]}` is paused", hint="resume it first")
        insert_rows("monitor_request", _REQUEST, [(uid, "check", work.now) for uid in among])
        return len(among)


def take_requests(
    actor: Actor, clock: Clock | None = None, *, mine: Callable[[str], bool] | None = None
) -> list[tuple[str, str]]:
    """(uid, wish) of everything that was asked since the last time, oldest first; they are deleted.

    mine: whether this node checks the monitor; wishes about others stay for those that do.
    """
    actor.require("monitors:check")
    if not MonitorRequestRow.objects.exists():
        return []
    with unit_of_work(actor, clock, quiet=True) as work:
        rows = list(MonitorRequestRow.objects.order_by("id")[:10_000])
        heard = rows if mine is None else [row for row in rows if mine(row.uid)]
        over = [row.id for row in rows if work.now - row.at > _WISH_KEPT]
        MonitorRequestRow.objects.filter(id__in=[*over, *(row.id for row in heard)]).delete()
    return [(row.uid, row.wish) for row in heard]


def remember_reached(actor: Actor, targets: Iterable[str], clock: Clock | None = None, *, node: str = "") -> None:
    """Keep which uplink targets could be reached: a restart in the middle of a cut must know what it misses."""
    actor.require("monitors:check")
    with unit_of_work(actor, clock, quiet=True) as work:
        value = json.dumps({"at": work.now, "targets": sorted(targets)})
        FactRow.objects.update_or_create(key=reached_fact(node), defaults={"value": value})


def _monitors(actor: Actor, names: Sequence[str]) -> list[Resource]:
    """The monitors of these names. What lies outside of the actor's limits is not there for it."""
    known = {resource.name: resource for resource in by_keys(("monitor", name) for name in set(names))}
    if actor.limits:
        known = {name: resource for name, resource in known.items() if actor.sees(facts_of(resource).alert_labels)}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known if actor.limits else sorted(names_of("monitor")))
            raise NotFound(f"there is no monitor `{name[:100]}`", hint=hint)
    return sorted((known[name] for name in set(names)), key=lambda resource: resource.uid)  # the order of row locks


def _order_all(actor: Actor, found: Sequence[Resource], signal: Paused | Resumed, clock: Clock | None = None) -> int:
    """Some at a time, so that others write in between; how many it made a difference to."""
    changed = 0
    for some in sliced(found, ORDERED_AT_ONCE):
        facts = {resource.uid: facts_of(resource) for resource in some}
        with unit_of_work(actor, clock) as work:
            changed += _order(work, facts, signal)
        if len(found) > ORDERED_AT_ONCE:
            breathe()
    return changed


def _order(work: Work, facts: Mapping[str, Facts], signal: Paused | Resumed) -> int:
    rows = MonitorStateRow.objects.select_for_update().filter(uid__in=facts).order_by("uid")
    stored = list(rows.values_list("uid", "version", "counters"))
    if lost := living(facts.keys() - {row[0] for row in stored}):  # others were deleted a moment ago
        name = facts[min(lost)].name
        raise Broken(f"the monitor `{name}` has no state row", hint="restart the server, which creates one")
    events: list[Event] = []
    wishes = []
    for uid, version, counters in stored:
        decision = decide(from_json(counters), signal, work.now, Policy())
        if decision.transition is not None:
            _write(uid, version, decision.state, NOTHING_FOUND)  # the row is locked, so it is at that version
            events += events_of(facts[uid], decision, NOTHING_FOUND)
            wishes.append((uid, "reload", work.now))
    work.record_all(events)
    insert_rows("monitor_request", _REQUEST, wishes)
    return len(wishes)


def _write(uid: str, version: int, state: MonitorState, finding: Finding) -> bool:
    """Compare and set: False if the row is not at `version`."""
    columns = _columns(state, finding)
    assigned = ", ".join(f'"{name}" = %s' for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE monitor_state SET version = %s, {assigned} WHERE uid = %s AND version = %s",  # noqa: S608  of the code
            [version + 1, *columns.values(), uid, version],
        )
        return bool(cursor.rowcount == 1)


def _columns(state: MonitorState, finding: Finding) -> dict[str, Any]:
    return {
        "state": state.shown,
        "rank": RANKS[state.shown],
        "since": state.since,
        "reason": state.reason,
        "code": finding.code,
        "message": finding.message,
        "evidence": json.dumps(finding.evidence, ensure_ascii=False),
        "counters": to_json(state),
        "suppressed_by": state.suppressed_by,
        "paused_by": state.paused_by,
        "window": state.window,
        "flapping": state.flapping,
    }
