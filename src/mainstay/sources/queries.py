"""Reads of what came from outside. Callers check `alerts:read` at their door."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Max

from mainstay.alerting.queries import Alert, alerts
from mainstay.alerting.queries import open_alerts_by_subject as open_by_subject
from mainstay.kernel.clock import to_iso
from mainstay.kernel.matchers import all_match
from mainstay.sources.models import BodyRow, ChangeRow, ReportedRow
from mainstay.sources.rules import fingerprint
from mainstay.store.resources.queries import resources
from mainstay.store.work import sliced

BEFORE = 6 * 3600.0  # seconds before an alert in which a change may have to do with it
_VALUES = 500
_SCANNED = 2000  # changes that are looked at


@dataclass(frozen=True, slots=True)
class Outside:
    """An open alert with what its sender said of it beyond that. Times are epoch seconds."""

    alert: Alert
    fingerprint: str
    labels: Mapping[str, str]  # as sent
    annotations: Mapping[str, str]
    link: str
    ends_at: float | None
    updated_at: float
    source: str = ""  # empty: Mainstay found it itself
    key: str = ""


@dataclass(frozen=True, slots=True)
class ChangeView:
    """Something that was changed elsewhere."""

    id: str
    at: float
    what: str
    summary: str
    labels: Mapping[str, str]
    links: Sequence[Sequence[str]]
    details: Mapping[str, Any]
    recorded_by: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"at": to_iso(self.at)}


@dataclass(frozen=True, slots=True)
class BodyView:
    """What a source sent, masked and cut."""

    at: float
    remote: str
    agent: str
    outcome: str
    refused: bool
    body: str
    size: int


@dataclass(frozen=True, slots=True)
class SourceView:
    """One declared source, as lists show it."""

    uid: str
    name: str
    kind: str
    description: str
    last_at: float | None
    open: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"last_at": None if self.last_at is None else to_iso(self.last_at)}


def open_alerts(limits: Sequence[str] = (), subjects: Collection[str] | None = None) -> list[Outside]:
    """Everything that is wrong now, whoever found it, by fingerprint."""
    found = [one for one in open_by_subject(subjects).values() if all_match(limits, one.labels)]
    known = rows_of(one.name for one in found if one.kind == "alert")
    return sorted((_outside(one, known.get(one.name)) for one in found), key=lambda one: one.fingerprint)


def known_alerts(uid: str, fingerprints: Iterable[str]) -> list[Outside]:
    """Of those that this source reported within a day, the newest alert about each, over or not."""
    rows = [row for row in rows_of(fingerprints).values() if row.uid == uid]
    newest = [(row, next(iter(alerts(subject=f"alert/{row.fingerprint}", limit=1)), None)) for row in rows]
    return [_outside(alert, row) for row, alert in newest if alert is not None]


def rows_of(fingerprints: Iterable[str]) -> dict[str, ReportedRow]:
    """What senders said last, by fingerprint."""
    rows: dict[str, ReportedRow] = {}
    for some in sliced(list(fingerprints), _VALUES):
        rows |= {row.fingerprint: row for row in ReportedRow.objects.filter(fingerprint__in=some)}
    return rows


def _outside(alert: Alert, row: ReportedRow | None) -> Outside:
    if row is None:
        told = {"summary": alert.title, "description": alert.message}
        notes = {name: value for name, value in told.items() if value}
        return Outside(alert, fingerprint(alert.labels), alert.labels, notes, alert.address, None, alert.opened_at)
    said = (row.annotations, row.link, row.ends_at, row.updated_at, row.source, row.key)
    return Outside(alert, row.fingerprint, row.labels, *said)


def sources() -> list[SourceView]:
    """All that are declared, with when each was heard last."""
    last = dict(BodyRow.objects.values_list("uid").annotate(Max("at")))
    firing: dict[str, int] = {}
    for uid in ReportedRow.objects.filter(firing=True).values_list("uid", flat=True):
        firing[uid] = firing.get(uid, 0) + 1
    found = []
    for one in resources("alert_source"):
        kind = next((key for key in one.document if key != "description"), "")
        about = str(one.document.get("description", ""))
        found.append(SourceView(one.uid, one.name, kind, about, last.get(one.uid), firing.get(one.uid, 0)))
    return found


def bodies(uid: str) -> list[BodyView]:
    """What a source sent last, the newest first."""
    rows = BodyRow.objects.filter(uid=uid).order_by("-id")
    return [BodyView(row.at, row.remote, row.agent, row.outcome, row.refused, row.body, row.size) for row in rows]


def changes(*, limit: int = 100, before: float | None = None, text: str = "") -> list[ChangeView]:
    """The newest first."""
    rows = ChangeRow.objects.order_by("-at", "-id")
    if before is not None:
        rows = rows.filter(at__lt=before)
    if text:
        rows = rows.filter(summary__icontains=text)
    return [_change(row) for row in rows[:limit]]


def changes_near(labels: Mapping[str, str], at: float, *, seconds: float = BEFORE, limit: int = 10) -> list[ChangeView]:
    """What was changed in so many seconds before a moment, and may have to do with what has these labels.

    That is what contradicts none of them: every label that both have is the same. Those with the most labels in common
    come first, then the newest.
    """
    rows = ChangeRow.objects.filter(at__gt=at - seconds, at__lte=at + 60).order_by("-at", "-id")[:_SCANNED]
    fitting = []
    for row in rows:
        shared = [name for name in row.labels if name in labels and name != "severity"]
        if all(labels[name] == row.labels[name] for name in shared):
            fitting.append((-len(shared), -row.at, row))
    return [_change(row) for _, _, row in sorted(fitting, key=lambda one: one[:2])[:limit]]


def _change(row: ChangeRow) -> ChangeView:
    return ChangeView(row.id, row.at, row.what, row.summary, row.labels, row.links, row.details, row.recorded_by)
