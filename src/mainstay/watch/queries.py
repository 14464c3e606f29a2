"""Reads of monitors: lists with search and counts, one monitor, its transitions. Callers check `monitors:read`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import NotFound
from mainstay.kernel.matchers import all_match, exact_pairs
from mainstay.kernel.views import At, Measured, View
from mainstay.store.journal import Filter as JournalFilter
from mainstay.store.journal import entries
from mainstay.watch.models import MonitorStateRow
from mainstay.watch.state import RANKS

STATES = tuple(RANKS)  # in the order in which lists show them
WRONG = ("down", "degraded", "unknown")


@dataclass(frozen=True, slots=True)
class Last(View):
    """The newest result, which is saved every few seconds (the live value is in memory, see the watch lane)."""

    at: At
    verdict: str
    duration: Annotated[Measured, "seconds"]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class MonitorView(View):
    """One monitor; lengths are seconds. Code, message and evidence are of the result that made the state."""

    uid: str
    name: str
    kind: Annotated[str, "of the check: http, tcp, ..."]
    address: str
    severity: str
    labels: dict[str, str]
    tags: list[str]
    interval: float
    state: Annotated[str, "up, degraded, down, unknown, paused or maintenance"]
    since: At
    reason: str
    code: str
    message: str
    evidence: dict[str, Any]
    suppressed_by: Annotated[str, "a parent that is failing too"]
    paused_by: str
    window: Annotated[str, "the maintenance window that covers it"]
    flapping: bool
    last: Annotated[Last | None, "the newest result, at most a few seconds old"]

    @property
    def subject(self) -> str:
        return f"monitor/{self.name}"

    @property
    def alert_labels(self) -> dict[str, str]:
        """The labels that its alerts carry."""
        return {**self.labels, "monitor": self.name, "severity": self.severity}

    @property
    def wrong(self) -> bool:
        return self.state in WRONG


@dataclass(frozen=True, slots=True)
class MonitorFilter:
    """Which monitors; empty fields fit everything. `text` is looked for in name, address, tags and labels."""

    text: str = ""
    states: tuple[str, ...] = ()
    tag: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    severity: str = ""
    limits: tuple[str, ...] = ()  # label matchers of whoever asks, which fit the labels that alerts carry


@dataclass(frozen=True, slots=True)
class Page:
    """`total` counts what the filter fits; `counts` is by state, as if the filter named no states."""

    monitors: list[MonitorView]
    total: int
    counts: dict[str, int]


_LAST = tuple(f"last_{one.name}" for one in fields(Last))
_COLUMNS = (*(one.name for one in fields(MonitorView) if one.name != "last"), *_LAST)


def page(wanted: MonitorFilter = MonitorFilter(), *, limit: int = 100, offset: int = 0) -> Page:
    """Monitors with what is wrong first, then by name, and the counts beside them."""
    rows = _fitting(wanted)
    counts = _counted(rows)
    if wanted.states:
        rows = rows.filter(state__in=wanted.states)
    total = sum(count for state, count in counts.items() if not wanted.states or state in wanted.states)
    return Page(_views(rows.order_by("rank", "name")[offset : offset + limit]), total, counts)


def monitors(wanted: MonitorFilter = MonitorFilter()) -> list[MonitorView]:
    """All that fit, what is wrong first."""
    rows = _fitting(wanted)
    if wanted.states:
        rows = rows.filter(state__in=wanted.states)
    return _views(rows.order_by("rank", "name"))


def best(text: str, limit: int, limits: tuple[str, ...] = ()) -> list[MonitorView]:
    """The first that a search for this text means: names that begin with it, then the others by name."""
    begins = Case(When(name__istartswith=text, then=Value(0)), default=Value(1), output_field=IntegerField())
    return _views(_fitting(MonitorFilter(text=text, limits=limits)).order_by(begins, "name")[:limit])


def counts() -> dict[str, int]:
    """How many monitors are in each state, every state named."""
    return _counted(MonitorStateRow.objects.all())


def monitor(name: str, limits: Sequence[str] = ()) -> MonitorView:
    """One monitor; NotFound with a guess if there is none within the limits of whoever asks."""
    found = _views(MonitorStateRow.objects.filter(name=name)[:1])
    if not found or not all_match(limits, found[0].alert_labels):
        names = MonitorStateRow.objects.values_list("name", flat=True)[:5000] if not limits else ()
        raise NotFound(f"there is no monitor `{name[:100]}`", hint=did_you_mean(name, names))
    return found[0]


def by_names(names: Iterable[str]) -> dict[str, MonitorView]:
    """The monitors of these names that exist, by name (status pages, parents)."""
    return {view.name: view for view in _views(MonitorStateRow.objects.filter(name__in=list(names)))}


def by_uids(uids: Iterable[str]) -> dict[str, MonitorView]:
    return {view.uid: view for view in _views(MonitorStateRow.objects.filter(uid__in=list(uids)))}


def tags(limits: tuple[str, ...] = ()) -> dict[str, int]:
    """Every tag with the number of monitors that carry it, by name."""
    texts = _fitting(MonitorFilter(limits=limits)).exclude(tags="[]").values_list("tags", flat=True)
    found = Counter(tag for text in texts for tag in json.loads(text))
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Happening(View):
    """One entry of a monitor's history; `kind` without its prefix: went_down, flapping_started, ..."""

    seq: int
    at: At
    kind: str
    actor: str
    since: At
    previous: str
    reason: str
    code: str
    message: str
    evidence: dict[str, Any]
    suppressed_by: str
    downtime: float | None

    @property
    def state(self) -> str:
        """What it became; empty where the state did not change."""
        if self.kind == "resumed":
            return "unknown"
        return self.kind.removeprefix("went_") if self.kind.startswith("went_") else ""


def transitions(name: str, *, limit: int = 50, before_seq: int | None = None) -> list[Happening]:
    """What the journal tells of a monitor, newest first."""
    wanted = JournalFilter(kind="monitor.*", subject=f"monitor/{name}", before_seq=before_seq)
    return [
        Happening(
            seq=entry.seq,
            at=entry.at,
            kind=entry.kind.removeprefix("monitor."),
            actor=entry.actor,
            since=float(entry.data.get("since", entry.at)),
            previous=str(entry.data.get("previous", "")),
            reason=str(entry.data.get("reason", "")),
            code=str(entry.data.get("code", "")),
            message=str(entry.data.get("message", "")),
            evidence=dict(entry.data.get("evidence") or {}),
            suppressed_by=str(entry.data.get("suppressed_by", "")),
            downtime=entry.data.get("downtime"),
        )
        for entry in entries(wanted, limit=limit)
    ]


def _fitting(wanted: MonitorFilter) -> QuerySet[MonitorStateRow]:
    """Without the filter's states."""
    rows = MonitorStateRow.objects.all()
    for word in wanted.text.lower().split()[:10]:
        rows = rows.filter(search__contains=word)
    if wanted.tag:
        rows = rows.filter(tags__contains=json.dumps(wanted.tag, ensure_ascii=False))
    for name, value in wanted.labels.items():
        rows = _carrying(rows, name, value)
    if wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    if wanted.severity:
        rows = rows.filter(severity=wanted.severity)
    return _within(rows, wanted.limits) if wanted.limits else rows


def _carrying(rows: QuerySet[MonitorStateRow], name: str, value: str) -> QuerySet[MonitorStateRow]:
    # A pair as `labels` writes it: both are JSON strings, so their ends cannot be mistaken.
    return rows.filter(labels__contains=json.dumps({name: value}, ensure_ascii=False)[1:-1])


def _within(rows: QuerySet[MonitorStateRow], limits: tuple[str, ...]) -> QuerySet[MonitorStateRow]:
    """Those whose labels all the matchers fit. The database narrows down, the matchers decide."""
    narrowed = rows
    for name, value in exact_pairs(limits).items():
        if name not in ("monitor", "severity"):
            narrowed = _carrying(narrowed, name, value)
    found = narrowed.values_list("uid", "name", "severity", "labels")
    fitting = [
        uid
        for uid, name, severity, labels in found
        if all_match(limits, {**json.loads(labels), "monitor": name, "severity": severity})
    ]
    return rows.filter(uid__in=fitting)


def _counted(rows: QuerySet[MonitorStateRow]) -> dict[str, int]:
    found = dict(rows.order_by().values_list("state").annotate(Count("uid")))
    return {state: found.get(state, 0) for state in STATES}


def _views(rows: QuerySet[MonitorStateRow]) -> list[MonitorView]:
    views = []
    for row in rows.values(*_COLUMNS):
        labels, words, evidence = (json.loads(row.pop(column)) for column in ("labels", "tags", "evidence"))
        newest = Last(*(row.pop(column) for column in _LAST))
        last = newest if newest.verdict else None
        views.append(MonitorView(labels=labels, tags=words, evidence=evidence, last=last, **row))
    return views
