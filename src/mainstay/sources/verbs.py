"""Every change that comes from outside: reports of alerts and of changes, and the end of alerts that fell silent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db import connection
from django.db.models import F

from mainstay.alerting import verbs as alerting
from mainstay.alerting.queries import open_alerts_by_subject
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.kernel.event import Event
from mainstay.kernel.ids import new_id
from mainstay.sources.events import AlertEnded, AlertReported, ChangeRecorded
from mainstay.sources.formats.reading import Change
from mainstay.sources.models import BodyRow, ChangeRow, ReportedRow
from mainstay.sources.rules import CHANGES_KEPT, Order, Report, Standing, identity, take
from mainstay.store.rows import insert_rows, update_rows
from mainstay.store.work import Work, quietly, sliced, unit_of_work

KEPT_BODIES, KEPT_BODY = 20, 16_384
AT_ONCE = 500  # alerts of one transaction
GRACE = 300.0  # seconds that senders have to repeat themselves after this server was away
ENDED_KEPT = 86_400.0
_VALUES = 500  # of one statement
_TABLE = ReportedRow._meta.db_table
_COLUMNS = [field.name for field in ReportedRow._meta.concrete_fields]
_ANEW = "ON CONFLICT (fingerprint) DO UPDATE SET " + ", ".join(
    f'"{name}" = excluded."{name}"' for name in _COLUMNS if name != "fingerprint"
)
_PRUNE = (
    "DELETE FROM source_body WHERE uid = %s AND id <= "
    "(SELECT id FROM source_body WHERE uid = %s ORDER BY id DESC LIMIT 1 OFFSET %s)"
)


@dataclass(frozen=True, slots=True)
class Body:
    """What was sent, for the page of its source: masked already, and cut to KEPT_BODY characters."""

    text: str
    size: int
    outcome: str
    refused: bool = False
    remote: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one request to a source says."""

    uid: str
    source: str
    reports: Sequence[Report | Order] = ()
    changes: Sequence[Change] = ()
    body: Body | None = None
    by: str = ""


@dataclass(slots=True)
class _Row:
    """An alert while a batch is applied to it."""

    standing: Standing
    key: str
    source: str
    uid: str
    whole: bool = False  # more than its times changed
    new: bool = False


@dataclass(slots=True)
class _Rows:
    known: dict[str, _Row] = field(default_factory=dict)
    touched: dict[str, _Row] = field(default_factory=dict)


def take_in(actor: Actor, batch: Sequence[Sent], clock: Clock | None = None) -> None:
    """Record what came, and tell of what it changes, in one transaction.

    Repeats that change nothing cost a row's times and no event. Raises StoreBusy; nothing is written then.
    """
    actor.require("alerts:send")
    found = [(identity(sent.source, report), sent, report) for sent in batch for report in sent.reports]

    def write(work: Work) -> None:
        rows = _load({one[0] for one in found})
        told = [event for key, sent, one in found if (event := _apply(rows, key, sent, one, work.now))]
        _save(work, rows.touched)
        work.record_all(told)
        _follow_orders(work, found)
        for sent in batch:
            for change in sent.changes:
                _record_change(work, change, sent.by or f"source {sent.source}")
        _keep_bodies(work, batch)

    quietly(actor, clock, write)


def record_change(actor: Actor, change: Change, clock: Clock | None = None) -> str:
    """Keep that something was changed elsewhere; its id."""
    actor.require("alerts:send")
    with unit_of_work(actor, clock) as work:
        return _record_change(work, change, str(actor))


def end_silent(actor: Actor, clock: Clock | None = None) -> int:
    """End the alerts that their senders named an end for, or said nothing more of; how many, at most AT_ONCE."""
    actor.require("alerts:send")

    def write(work: Work) -> int:
        due = ReportedRow.objects.select_for_update().filter(next_at__lte=work.now).order_by("next_at", "fingerprint")
        rows = list(due[:AT_ONCE])
        why = {True: "its source said nothing more of it", False: AlertEnded.over}
        work.record_all([_ended(row.fingerprint, row.uid, row.source, why[row.guessed]) for row in rows])
        keys = [row.fingerprint for row in rows]
        ReportedRow.objects.filter(fingerprint__in=keys).update(firing=False, next_at=None, updated_at=work.now)
        return len(rows)

    return quietly(actor, clock, write)


def wait_again(actor: Actor, by: float, clock: Clock | None = None) -> None:
    """Senders get GRACE to repeat themselves: the clock was set by so many seconds, or it was away (infinity)."""
    actor.require("alerts:send")

    def write(work: Work) -> None:
        waiting = ReportedRow.objects.filter(next_at__isnull=False)
        if math.isfinite(by):
            waiting.update(next_at=F("next_at") + by, ends_at=F("ends_at") + by)
        soon = work.now + GRACE
        waiting.filter(next_at__lt=soon).update(next_at=soon, ends_at=soon)

    quietly(actor, clock, write)


def prune(actor: Actor, clock: Clock | None = None) -> None:
    """Forget alerts a day after their end, and changes after 90 days."""
    actor.require("alerts:send")

    def write(work: Work) -> None:
        ReportedRow.objects.filter(firing=False, updated_at__lt=work.now - ENDED_KEPT).delete()
        ChangeRow.objects.filter(at__lt=work.now - CHANGES_KEPT).delete()

    quietly(actor, clock, write)


def _load(keys: Iterable[str]) -> _Rows:
    rows = _Rows()
    for some in sliced(sorted(keys), _VALUES):
        query = ReportedRow.objects.filter(fingerprint__in=some).order_by("fingerprint").select_for_update()
        for row in query:
            standing = Standing(
                row.labels,
                row.annotations,
                row.severity,
                row.link,
                row.starts_at,
                row.ends_at,
                row.guessed,
                row.firing,
            )
            rows.known[row.fingerprint] = _Row(standing, row.key, row.source, row.uid)
    return rows


def _apply(rows: _Rows, key: str, sent: Sent, report: Report | Order, at: float) -> Event | None:
    """Change what is known by one report; what there is to tell of it."""
    before = rows.known.get(key)
    if isinstance(report, Order):
        if report.what != "resolve" or before is None or not before.standing.firing:
            return None
        before.standing = replace(before.standing, firing=False, ends_at=at, guessed=False)
        before.whole = True
        rows.touched[key] = before
        return _ended(key, sent.uid, sent.source)
    known = None if before is None else before.standing
    now, told = take(known, report, at)
    if known is None and not now.firing:
        return None  # it was over before it was known: nobody ever hears of it
    row = before or _Row(now, report.key, sent.source, sent.uid, whole=True, new=True)
    if known is not None and not row.whole:
        row.whole = replace(now, ends_at=known.ends_at, guessed=known.guessed) != known
    row.standing, row.source, row.uid = now, sent.source, sent.uid
    rows.known[key] = rows.touched[key] = row
    if told == "same":
        return None
    return _ended(key, sent.uid, sent.source) if told == "ended" else _reported(key, sent, report, now)


def _follow_orders(work: Work, found: Sequence[tuple[str, Sent, Report | Order]]) -> None:
    """What a sender asks for an alert is done as for a person, under the sender's name."""
    orders = [(key, sent, one) for key, sent, one in found if isinstance(one, Order) and one.what != "resolve"]
    open_now = open_alerts_by_subject(f"alert/{key}" for key, _, _ in orders) if orders else {}
    for key, sent, order in orders:
        alert = open_now.get(f"alert/{key}")
        if alert is not None:
            name = f"{order.by} by {sent.source}" if order.by else f"source {sent.source}"
            _follow(Actor("token", name[:200], frozenset({"alerts:write"})), alert.id, order, work.now)


def _follow(actor: Actor, alert: str, order: Order, now: float) -> None:
    if order.what == "acknowledge":
        alerting.acknowledge_alert(actor, alert)
    elif order.what == "unacknowledge":
        alerting.unacknowledge_alert(actor, alert)
    elif order.what == "note":
        alerting.note_alert(actor, alert, order.text[: alerting.LONGEST_NOTE])
    elif now < order.until <= now + alerting.LONGEST_MUTE:
        alerting.mute_alert(actor, alert, order.until)


def _reported(key: str, sent: Sent, report: Report, now: Standing) -> AlertReported:
    return AlertReported(
        f"alert/{key}",
        heading=report.title,
        severity=now.severity,
        labels=dict(now.labels),
        since=now.starts_at,
        uid=sent.uid,
        source=sent.source,
        reason=f"reported by {sent.source}",
        message=report.message,
        evidence=dict(now.annotations),
        address=now.link,
    )


def _ended(key: str, uid: str, source: str, why: str = AlertEnded.over) -> AlertEnded:
    return AlertEnded(f"alert/{key}", uid=uid, source=source, reason=why)


def _save(work: Work, touched: Mapping[str, _Row]) -> None:
    whole = [_values(key, row, work.now) for key, row in touched.items() if row.whole]
    insert_rows(_TABLE, _COLUMNS, whole, _ANEW)
    times = [
        (key, row.standing.ends_at, row.standing.guessed, work.now, _due(row.standing))
        for key, row in touched.items()
        if not row.whole
    ]
    update_rows(_TABLE, "fingerprint", ("ends_at", "guessed", "updated_at", "next_at"), times)


def _values(key: str, row: _Row, now: float) -> tuple[object, ...]:
    """A row of the table, in the order of _COLUMNS."""
    standing = row.standing
    found = {
        "fingerprint": key,
        "source": row.source,
        "uid": row.uid,
        "key": row.key,
        "labels": dict(standing.labels),
        "annotations": dict(standing.annotations),
        "severity": standing.severity,
        "link": standing.link,
        "starts_at": standing.starts_at,
        "ends_at": standing.ends_at,
        "guessed": standing.guessed,
        "firing": standing.firing,
        "updated_at": now,
        "next_at": _due(standing),
    }
    return tuple(found[column] for column in _COLUMNS)


def _due(standing: Standing) -> float | None:
    return standing.ends_at if standing.firing else None


def _record_change(work: Work, change: Change, by: str) -> str:
    key = new_id(work.now)
    row = ChangeRow(id=key, at=change.at, what=change.what, summary=change.summary, labels=dict(change.labels))
    row.links, row.details, row.recorded_by = [list(link) for link in change.links], dict(change.details), by[:300]
    row.save(force_insert=True)
    subject, labels = f"change/{key}", dict(change.labels)
    work.record(ChangeRecorded(subject, change=key, what=change.what, summary=change.summary, labels=labels))
    return key


def _keep_bodies(work: Work, batch: Sequence[Sent]) -> None:
    """The newest of each source."""
    of: dict[str, list[Body]] = {}
    for sent in batch:
        if sent.body is not None:
            of.setdefault(sent.uid, []).append(sent.body)
    for uid, bodies in of.items():
        rows = [
            BodyRow(
                uid=uid,
                at=work.now,
                remote=body.remote[:45],
                agent=body.agent[:200],
                outcome=body.outcome[:300],
                refused=body.refused,
                body=body.text,
                size=body.size,
            )
            for body in bodies[-KEPT_BODIES:]
        ]
        BodyRow.objects.bulk_create(rows)
        with connection.cursor() as cursor:
            cursor.execute(_PRUNE, (uid, uid, KEPT_BODIES))
