"""Reads of alerts and notifications. Callers check `alerts:read` at their door."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from django.db.models import Case, Count, IntegerField, Max, Min, Q, Value, When

from mainstay.alerting import declared
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.rules import NO_CHANNEL, UNDER_WAY
from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import NotFound
from mainstay.kernel.matchers import all_match
from mainstay.kernel.resource import KINDS
from mainstay.kernel.wording import plain_labels, schedule_of
from mainstay.store.journal import Entry, Filter
from mainstay.store.seals.reading import history

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mainstay.alerting.rules import Routing
    from mainstay.alerting.spec import RouteSpec

AlertState = Literal["firing", "acknowledged", "muted", "suppressed", "resolved"]
_LIMIT = 500
_TIMES = ("opened_at", "since", "resolved_at", "acknowledged_at", "muted_until", "noted_at", "next_at")
_NOTIFICATION_TIMES = ("next_at", "created_at", "delivered_at", "failed_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as readers see it; times are epoch seconds."""

    id: str
    subject: str
    uid: str
    name: str
    severity: str
    level: str
    labels: Mapping[str, str]
    status: str
    title: str
    address: str
    reason: str
    code: str
    message: str
    evidence: Mapping[str, Any]
    opened_at: float
    since: float
    resolved_at: float | None
    resolved_reason: str
    acknowledged_at: float | None
    acknowledged_by: str
    muted_until: float | None
    note: str
    noted_by: str
    noted_at: float | None
    suppressed_by: str
    untold: str
    news: str  # why people are to be notified; empty once they were
    aside: str  # why nobody is to hear of its subject for now
    next_at: float | None  # when it is looked at again
    way: Mapping[str, Any] | None  # the last one through the stages: at, steps, to

    @property
    def kind(self) -> str:
        """Of its subject, such as `monitor`."""
        return self.subject.partition("/")[0]

    @property
    def page(self) -> str:
        """Of its subject; how Mainstay does, if that has none of its own."""
        return KINDS.page_of(self.subject) or "/health/"

    @property
    def schedule(self) -> str:
        """When its subject has to report in, in words; empty if it has no schedule. It stands as the address too."""
        return schedule_of(self.evidence)

    @property
    def plain_labels(self) -> dict[str, str]:
        return plain_labels(self.labels, self.kind)

    @property
    def is_open(self) -> bool:
        return self.status == "firing"

    @property
    def remedy(self) -> str:
        """The page on which to change that nobody is notified of it."""
        return "/resources/new?kind=channel" if self.untold == NO_CHANNEL else "/routes/"

    def state(self, now: float) -> AlertState:
        """The one word that a list shows."""
        if not self.is_open:
            return "resolved"
        if self.suppressed_by:
            return "suppressed"
        if self.muted_until is not None and self.muted_until > now:
            return "muted"
        return "acknowledged" if self.acknowledged_at is not None else "firing"

    def as_dict(self) -> dict[str, Any]:
        way = self.way and {**self.way, "at": to_iso(self.way["at"])}
        return _with_iso(asdict(self) | {"way": way}, _TIMES)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification and what became of it; `reason` says why it was sent, held back or cancelled."""

    id: str
    alert_id: str | None
    channel: str
    kind: str
    state: str
    reason: str
    attempts: int
    next_at: float | None
    last_error: str
    failed_at: float | None
    receipt: Mapping[str, Any]
    created_at: float
    delivered_at: float | None
    expires_at: float
    monitor: str  # the name of whatever it concerns; empty for a test
    title: str

    def next_try(self, now: float) -> float | None:
        """When it is tried next, never in the past; None if it waits for the message before it, or is final."""
        if self.state == "delivering":
            return now
        return None if self.state != "pending" or self.next_at is None else max(now, self.next_at)

    def as_dict(self) -> dict[str, Any]:
        return _with_iso(asdict(self), _NOTIFICATION_TIMES)


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """How one declared channel does. `problem` is set while its newest attempt failed."""

    name: str
    kind: str
    resolved: bool
    description: str
    last_success: float | None
    last_failure: float | None
    problem: str
    pending: int
    delivered: int
    refused: int
    expired: int

    @property
    def state(self) -> str:
        """`up`, `down` (its newest attempt failed) or `unknown` (it was never tried)."""
        if self.problem:
            return "down"
        return "unknown" if self.last_success is None else "up"

    def as_dict(self) -> dict[str, Any]:
        return {**_with_iso(asdict(self), ("last_success", "last_failure")), "state": self.state}


def alerts(
    *,
    status: Literal["", "firing", "resolved"] = "",
    severity: str = "",
    subject: str = "",
    text: str = "",
    limit: int = 100,
    offset: int = 0,
    limits: Sequence[str] = (),
) -> list[Alert]:
    """Open ones first, the worst first among them, then the newest. `limits`: label matchers of whoever asks."""
    rows = AlertRow.objects.all()
    for column, value in (("status", status), ("severity", severity), ("subject", subject)):
        if value:
            rows = rows.filter(**{column: value})
    for word in text.split()[:10]:
        rows = rows.filter(Q(title__icontains=word) | Q(message__icontains=word))
    # Suppressed ones come last among the open: their parent is the one to look at.
    rank = Case(
        When(status="firing", suppressed_by="", then=Value(0)),
        When(status="firing", then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    severity_order = Case(When(status="firing", then="severity"), default=Value(""))
    ordered = rows.order_by(rank, severity_order, "-opened_at", "-id")
    end = offset + min(limit, _LIMIT)
    if not limits:
        return [_alert(row) for row in ordered[offset:end]]
    fitting = (row for row in ordered.iterator(chunk_size=_LIMIT) if all_match(limits, row.labels))
    return [_alert(row) for row in islice(fitting, offset, end)]


def open_count(limits: Sequence[str] = ()) -> int:
    rows = AlertRow.objects.filter(status="firing")
    return (
        sum(all_match(limits, labels) for labels in rows.values_list("labels", flat=True)) if limits else rows.count()
    )


def open_since() -> float | None:
    """When the oldest open alert began, in epoch seconds; None if nothing is wrong."""
    moments = AlertRow.objects.filter(status="firing").values_list("since", "opened_at")
    return min((min(pair) for pair in moments), default=None)


def open_by_severity() -> dict[str, int]:
    """How many alerts are open, by severity."""
    counted = AlertRow.objects.filter(status="firing").values_list("severity").annotate(Count("id"))
    return dict(counted.order_by("severity"))


def oldest_due(now: float) -> float:
    """Seconds for which the oldest alert or message has been due; 0 if none is."""
    due = (AlertRow.objects, OutboxRow.objects.filter(state__in=UNDER_WAY))
    found: list[float | None] = [rows.filter(next_at__lte=now).aggregate(first=Min("next_at"))["first"] for rows in due]
    return max(0.0, *(now - first for first in found if first is not None), 0.0)


def outbox_counts() -> dict[str, int]:
    """How many notifications there are in each state."""
    return dict(OutboxRow.objects.values_list("state").annotate(Count("id")).order_by("state"))


def open_alerts_by_subject(subjects: Iterable[str] | None = None) -> dict[str, Alert]:
    """The open alerts, for lists of subjects; `subjects` None: all."""
    rows = AlertRow.objects.filter(status="firing")
    if subjects is not None:
        rows = rows.filter(subject__in=list(subjects))
    return {row.subject: _alert(row) for row in rows}


def alert(alert_id: str, limits: Sequence[str] = ()) -> Alert:
    """NotFound if there is none within the limits of whoever asks."""
    row = AlertRow.objects.filter(id=alert_id[:26]).first()
    if row is None or not all_match(limits, row.labels):
        raise NotFound(f"there is no alert `{alert_id[:40]}`", hint="`mainstay alerts` lists them")
    return _alert(row)


def ids_beginning(start: str, *, limit: int = 2) -> list[str]:
    """For people who type part of an id; too short a start fits nothing."""
    if len(start) < 4:
        return []
    rows = AlertRow.objects.filter(id__startswith=start.lower()[:26]).values_list("id", flat=True)
    return list(rows[:limit])


def notifications_of_alert(alert_id: str) -> list[Delivery]:
    """In the order in which they were written."""
    return [_delivery(row) for row in OutboxRow.objects.filter(alert_id=alert_id).order_by("created_at", "id")]


def notifications_of(subject: str, *, limit: int = 50) -> list[Delivery]:
    """Of one subject (`monitor/api`), the newest first."""
    rows = OutboxRow.objects.filter(alert__subject=subject).order_by("-created_at", "-id")
    return [_delivery(row) for row in rows[:limit]]


def notifications(*, channel: str = "", state: str = "", limit: int = 100, offset: int = 0) -> list[Delivery]:
    """Of all alerts, the newest first."""
    rows = OutboxRow.objects.order_by("-created_at", "-id")
    for column, value in (("channel", channel), ("state", state)):
        if value:
            rows = rows.filter(**{column: value})
    return [_delivery(row) for row in rows[offset : offset + min(limit, _LIMIT)]]


def journal_of(found: Alert, *, limit: int = 100) -> list[Entry]:
    """What happened to its subject while the alert was open, oldest first."""
    end = None if found.resolved_at is None else found.resolved_at + 60  # deliveries of the end belong to it
    wanted = Filter(subject=found.subject, since=min(found.since, found.opened_at), until=end)
    return list(history(wanted, limit=limit, newest_first=False))


def routes() -> list[tuple[str, RouteSpec]]:
    """(name, spec) in the order in which they are asked."""
    return declared.Known().routes


def routing_of(labels: Mapping[str, str]) -> Routing:
    """Which channels an alert with these labels would go to now, each with its reason."""
    return declared.Known().routing(labels)


def channels_told() -> dict[str, str]:
    """What each channel is, by name: its description, or else its kind."""
    return {name: spec.description or spec.channel.name for name, spec in declared.channels().items()}


def channel_health() -> list[ChannelHealth]:
    """Every declared channel with what became of its notifications; a refusal stays visible until a success."""
    rows = OutboxRow.objects.values("channel").annotate(
        last_success=Max("delivered_at"),
        last_failure=Max("failed_at"),
        pending=Count("id", filter=Q(state__in=UNDER_WAY)),
        delivered=Count("id", filter=Q(state="delivered")),
        refused=Count("id", filter=Q(state="refused")),
        expired=Count("id", filter=Q(state="expired")),
    )
    known: dict[str, dict[str, Any]] = {row["channel"]: dict(row) for row in rows}
    empty: dict[str, Any] = {
        "last_success": None,
        "last_failure": None,
        "pending": 0,
        "delivered": 0,
        "refused": 0,
        "expired": 0,
    }
    specs, found = declared.channels(), []
    for name in declared.channel_names():
        numbers = {column: known.get(name, empty)[column] for column in empty}
        spec = specs.get(name)
        unreadable = "" if spec else "this version of Mainstay cannot read its declaration"
        health = ChannelHealth(
            name=name,
            kind=spec.channel.name if spec else "",
            resolved=spec.resolved if spec else True,
            description=spec.description if spec else "",
            problem=unreadable or _problem(name, numbers["last_success"], numbers["last_failure"]),
            **numbers,
        )
        found.append(health)
    return found


def _problem(channel: str, success: float | None, failure: float | None) -> str:
    if failure is None or (success is not None and success > failure):
        return ""
    row = OutboxRow.objects.filter(channel=channel, failed_at=failure).exclude(last_error="").first()
    return row.last_error if row is not None else ""


def _alert(row: AlertRow) -> Alert:
    return Alert(**{name: getattr(row, name) for name in Alert.__slots__})


def _delivery(row: OutboxRow) -> Delivery:
    own = {name: getattr(row, name) for name in Delivery.__slots__ if name not in ("monitor", "title")}
    told = row.payload.get("alert", {})
    return Delivery(**own, monitor=told.get("monitor", ""), title=told.get("title", ""))


def _with_iso(document: dict[str, Any], times: Iterable[str]) -> dict[str, Any]:
    return document | {name: None if document[name] is None else to_iso(document[name]) for name in times}
