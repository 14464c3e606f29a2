"""What the lane writes: who was on duty, as it was, and the gaps that are ahead."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise

from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.kernel.hours import Span
from mainstay.kernel.resource import Resource
from mainstay.oncall import events
from mainstay.oncall.models import RecordRow, WatchRow
from mainstay.oncall.queries import Duty, duty
from mainstay.oncall.rules.duty import Schedule
from mainstay.oncall.rules.forecast import WEEK, forecast
from mainstay.store.resources.queries import resources
from mainstay.store.work import Work, quietly

AHEAD = 4.0  # weeks that gaps are told of in advance
LOOK = 86_400.0  # seconds between two looks ahead; a change of what is declared or by hand is looked at at once
_ACTOR = system("oncall")
_FIRST_DAYS = 31 * 86_400.0  # of a server that was off for longer, only this much is made up for


def keep_up(clock: Clock) -> None:
    """Record who was on duty since the last time, tell of hand-overs, and look ahead where it is due."""
    if resources("schedule") or WatchRow.objects.exists():
        quietly(_ACTOR, clock, _turn)


def _turn(work: Work) -> None:
    known = duty(work.now)
    declared = resources("schedule")
    for one in declared:
        _keep_up(work, one, known)
    _forget([one.uid for one in declared])


def _keep_up(work: Work, declared: Resource, known: Duty) -> None:
    schedule = known.schedules[declared.name]
    row = WatchRow.objects.filter(schedule=declared.uid).first()
    if row is None:
        row = WatchRow(schedule=declared.uid, name=declared.name, recorded_until=work.now)
        _record(work, declared, work.now, [one.person for one in schedule.at(work.now).on], None)
    elif row.recorded_until < work.now:
        begin = max(row.recorded_until, work.now - _FIRST_DAYS)
        _record_span(work, declared, schedule, begin)
        row.recorded_until = work.now
    row.name = declared.name
    if row.next_at <= work.now or row.next_at > work.now + LOOK:  # later than ever: the clock was set back
        row.next_at = work.now + LOOK
        _look_ahead(work, declared, schedule, row)
    row.save()


def _record_span(work: Work, declared: Resource, schedule: Schedule, begin: float) -> None:
    """Each change between the last time and now, at its own moment."""
    last = RecordRow.objects.filter(schedule=declared.uid).order_by("-since").first()
    people = json.loads(last.people) if last is not None else None
    seen = forecast(schedule, begin, (work.now - begin) / WEEK)
    edges = sorted({begin, *(float(edge) for shift in seen.shifts for edge in (shift.start, shift.end)), work.now})
    for edge, until in pairwise([*edges, work.now + 1]):
        if begin <= edge <= work.now < until or begin <= edge < until:
            now = [one.person for one in schedule.at(edge).on]
            if people is None or set(now) != set(people):
                _record(work, declared, edge, now, people)
                people = now


def _record(work: Work, declared: Resource, since: float, people: list[str], previous: list[str] | None) -> None:
    RecordRow.objects.update_or_create(schedule=declared.uid, since=since, defaults={"people": json.dumps(people)})
    if previous is not None:
        work.record(events.HandedOver(declared.subject, people=people, previous=previous, since=since))


def _look_ahead(work: Work, declared: Resource, schedule: Schedule, row: WatchRow) -> None:
    gaps = forecast(schedule, work.now, AHEAD).gaps
    if gaps and row.gap is None:
        row.gap = float(gaps[0][0])
        work.record(_trouble(work, declared, schedule, gaps))
    elif not gaps and row.gap is not None:
        row.gap = None
        work.record(events.Covered(declared.subject))


def _trouble(work: Work, declared: Resource, schedule: Schedule, gaps: tuple[Span, ...]) -> events.GapAhead:
    first, hours = gaps[0], sum(end - start for start, end in gaps) / 3600
    shown = [[_local(schedule, edge) for edge in gap] for gap in gaps[:20]]
    return events.GapAhead(
        declared.subject,
        heading=f"nobody is on duty in {declared.name}",
        uid=declared.uid,
        severity=declared.spec.severity,
        labels={"schedule": declared.name},
        since=work.now,
        reason="gap_ahead",
        code="gap",
        message=f"nobody is on duty from {_local(schedule, first[0])} to {_local(schedule, first[1])}",
        evidence={"gaps": shown, "hours": round(hours, 1), "weeks": AHEAD},
    )


def _local(schedule: Schedule, at: int) -> str:
    return datetime.fromtimestamp(at, schedule.clock.zone).strftime("%a %Y-%m-%d %H:%M %Z")


def look_again(uids: list[str] | None = None) -> None:
    """A schedule, or all of them, may have other gaps now: the lane looks at its next turn. Within a unit of work."""
    rows = WatchRow.objects.all() if uids is None else WatchRow.objects.filter(schedule__in=uids)
    rows.update(next_at=0.0)


def _forget(uids: list[str]) -> None:
    """Schedules that are no longer declared; alerts of theirs end with the resource."""
    WatchRow.objects.exclude(schedule__in=uids).delete()
    RecordRow.objects.exclude(schedule__in=uids).delete()
