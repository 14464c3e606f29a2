"""Monitors and heartbeats as the overview shows them: one shape for both, grouped, what is wrong first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from mainstay.frames.days import Line, together
from mainstay.frames.web import shapes
from mainstay.frames.web.templatetags.mainstay import latency, look
from mainstay.kernel.wording import lasting, schedule_words
from mainstay.watch.results.history import HISTORY

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert
    from mainstay.heartbeats.queries import HeartbeatView
    from mainstay.watch.queries import MonitorView

ORDER = ("down", "late", "degraded", "unknown", "maintenance", "new", "up", "paused")
_WRONG = frozenset({"down", "late", "degraded", "unknown"})
_ROWS = 120  # that the overview shows below the problems; the rest is one click away
_FEWEST = 3  # of each group
OTHERS = "Others"
_GROUP_LABELS = ("group", "service", "team", "app")


@dataclass(frozen=True, slots=True)
class Row:
    """`latest` is what a list shows at its right: the last latency, or how long ago the last ping was."""

    kind: str
    uid: str
    name: str
    url: str
    state: str
    since: float
    about: str
    latest: str
    severity: str
    group: str
    reason: str
    message: str
    code: str
    flapping: bool = False
    suppressed_by: str = ""
    waiting: bool = False  # declared a moment ago: nothing is known because nothing was asked yet

    @property
    def wrong(self) -> bool:
        return self.state in _WRONG and not self.waiting

    @property
    def rank(self) -> tuple[int, str, str]:
        return (ORDER.index(self.state), self.severity, self.name)


def monitor_row(view: MonitorView) -> Row:
    return Row(
        kind="monitor",
        uid=view.uid,
        name=view.name,
        url=f"/monitors/{quote(view.name)}/",
        state=view.state,
        since=view.since,
        about=view.address,
        latest=latency(view.last.duration) if view.last else "",
        severity=view.severity,
        group=_group_of(view.labels, view.tags),
        reason=view.reason.replace("_", " "),
        message=view.message,
        code=view.code,
        flapping=view.flapping,
        suppressed_by=view.suppressed_by,
        waiting=view.state == "unknown" and view.last is None,
    )


def heartbeat_row(view: HeartbeatView) -> Row:
    last = f"{lasting(time.time() - view.last_ping)} ago" if view.last_ping else ""
    since = view.due_at if view.late and view.due_at else view.since
    late = f"its ping is overdue; it counts as down after a grace period of {lasting(view.grace)}"
    return Row(
        kind="heartbeat",
        uid=view.uid,
        name=view.name,
        url=f"/heartbeats/{quote(view.name)}/",
        state=view.shown,
        since=since,
        about=schedule_words(view.schedule),
        latest=last,
        severity=view.severity,
        group="Heartbeats",
        reason=view.reason.replace("_", " "),
        message=late if view.late else "",
        code="",
        waiting=view.state == "unknown" and view.last_ping is None,
    )


def _group_of(labels: Mapping[str, str], tags: Sequence[str]) -> str:
    for name in _GROUP_LABELS:
        if labels.get(name):
            return labels[name]
    return tags[0] if tags else ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now, with the alert that is about it."""

    row: Row
    alert: Alert | None
    muted: bool

    @property
    def shown(self) -> shapes.Problem:
        row, alert = self.row, self.alert
        return shapes.Problem(
            look=look(row.state),
            title=row.name,
            url=row.url,
            severity=row.severity,
            since=row.since,
            why=row.message or row.reason,
            code=row.code,
            state=row.state.capitalize(),
            acknowledge=f"/alerts/{alert.id}/acknowledge" if alert and not alert.acknowledged_at else "",
        )


def problems(rows: Sequence[Row], alerts: Mapping[str, Alert], now: float) -> list[Problem]:
    """The worst first; what only fails because of something else comes last."""
    found = []
    for row in sorted((row for row in rows if row.wrong), key=lambda row: (bool(row.suppressed_by), row.rank)):
        alert = alerts.get(f"{row.kind}/{row.name}")
        muted = alert is not None and alert.muted_until is not None and alert.muted_until > now
        found.append(Problem(row, alert, muted))
    return found


@dataclass(frozen=True, slots=True)
class Count:
    state: str
    number: int
    words: str
    url: str = ""


def counts(rows: Sequence[Row]) -> list[Count]:
    """How many are in each state, in the order of urgency, with the list that shows them."""
    found = []
    for state in ORDER:
        number = sum(1 for row in rows if row.state == state)
        beats = sum(1 for row in rows if row.state == state and row.kind == "heartbeat")
        place = "/heartbeats/" if number == beats else "/monitors/"
        if number:
            found.append(Count(state, number, state, f"{place}?{urlencode({'state': state})}"))
    return found


@dataclass(slots=True)
class Group:
    name: str
    url: str
    rows: list[Row] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    more: int = 0
    line: Line | None = None


def groups(rows: Sequence[Row]) -> list[Group]:
    """Everything under its group, worst groups first and what has no group last; long groups are cut and say so."""
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.group, []).append(row)
    lonely = [name for name, inside in named.items() if len(inside) == 1 and name not in ("", "Heartbeats")]
    for name in lonely:
        named.setdefault("", []).extend(named.pop(name))
    if not named:
        return []
    limit = max(_FEWEST, _ROWS // len(named)) if len(rows) > _ROWS else len(rows)
    found = [
        _group(name, sorted(inside, key=lambda row: row.rank), limit, len(named)) for name, inside in named.items()
    ]
    return sorted(found, key=_place_of)


def _place_of(group: Group) -> tuple[bool, int, bool, str]:
    worst = ORDER.index(group.rows[0].state)
    return group.name == OTHERS, worst, group.name == "Heartbeats", group.name


def _group(name: str, inside: list[Row], limit: int, groups_total: int) -> Group:
    if name == "Heartbeats":
        title, url = name, "/heartbeats/"
    elif name:
        title, url = name, f"/monitors/?{urlencode({'q': name})}"
    else:
        title, url = ("Monitors" if groups_total <= 2 else OTHERS), "/monitors/"
    return Group(title, url, inside[:limit], counts(inside), max(0, len(inside) - limit))


def lines_for(shown: Sequence[Group], days: int, now: float) -> dict[str, Line]:
    """History of everything that is shown, by uid; each group gets one for all of it."""
    lines = HISTORY.lines([row.uid for group in shown for row in group.rows if row.kind == "monitor"], days, now)
    for group in shown:
        own = [lines[row.uid] for row in group.rows if row.kind == "monitor"]
        group.line = together(own) if own else None
    return lines
