"""Reads of alerts and notifications. Callers check `alerts:read` at their door."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from django.db.models import Case, Count, IntegerField, Max, Min, Q, Value, When
from pydantic import PlainSerializer

from mainstay.alerting import declared, together
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.routing import NO_CHANNEL
from mainstay.alerting.rules import UNDER_WAY
from mainstay.alerting.together import Escalation, Together
from mainstay.kernel.errors import NotFound
from mainstay.kernel.matchers import all_match
from mainstay.kernel.resource import KINDS
from mainstay.kernel.views import At, View
from mainstay.kernel.wording import plain_labels, schedule_of
from mainstay.store.journal import Entry, Filter
from mainstay.store.seals.reading import history

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mainstay.alerting.route_spec import RouteSpec
    from mainstay.alerting.routing import Routing

_Documents = PlainSerializer(lambda found: [one.as_dict() for one in found], return_type=list[dict[str, Any]])
AlertState = Literal["firing", "acknowledged", "muted", "suppressed", "resolved"]
_LIMIT, _ENTRIES = 500, 100


@dataclass(frozen=True, slots=True)
class Step(View):
    """What one stage said."""

    stage: Annotated[str, "suppress, silence, inhibit, route, group, dedup, repeat, rate or escalate"]
    verdict: Annotated[str, "pass or hold"]
    reason: str
    rule: Annotated[str, "the name of what was declared that decided it"] = ""


@dataclass(frozen=True, slots=True)
class Way(View):
    """The way of an alert through the stages."""

    at: At
    steps: Annotated[list[Step], "stages that decided, in order; none after one that holds"]
    to: Annotated[list[str], "channels that were notified then"]


@dataclass(frozen=True, slots=True)
class Alert(View):
    """An alert as readers see it."""

    id: str
    subject: Annotated[str, "`monitor/api`, `heartbeat/backup` or `uplink/network`"]
    uid: str
    name: str
    severity: str
    level: Annotated[str, "down, degraded or unknown"]
    labels: dict[str, str]
    status: Annotated[str, "firing or resolved"]
    title: str
    address: str
    reason: str
    code: str
    message: str
    evidence: dict[str, Any]
    opened_at: At
    since: Annotated[At, "start of the first failed check"]
    resolved_at: At | None
    resolved_reason: str
    acknowledged_at: At | None
    acknowledged_by: str
    muted_until: At | None
    note: Annotated[str, "the newest note of a person"]
    noted_by: str
    noted_at: At | None
    suppressed_by: Annotated[str, "the failing parent that explains it"]
    untold: Annotated[str, "why no channel was selected, if none was"]
    news: Annotated[str, "why people are to be notified; empty once they were"]
    aside: Annotated[str, "why notifications about its subject are held back, such as a maintenance window"]
    next_at: Annotated[At | None, "when it is next evaluated"]
    way: Annotated[Way | None, "why somebody was notified, or nobody: the last pass through the stages"]

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


@dataclass(frozen=True, slots=True)
class Delivery(View):
    """A notification and what became of it."""

    id: Annotated[str, "also serves as the idempotency key"]
    alert_id: str | None
    channel: str
    kind: Annotated[str, "firing, resolved or test"]
    state: Annotated[str, "pending, delivering, delivered, refused, expired, suppressed or cancelled"]
    reason: Annotated[str, "why it was sent, held back or cancelled"]
    attempts: int
    next_at: At | None
    last_error: str
    failed_at: At | None
    receipt: dict[str, Any]
    created_at: At
    delivered_at: At | None
    expires_at: At
    monitor: Annotated[str, "or heartbeat, or whatever it concerns; empty for a test"]
    title: str

    def next_try(self, now: float) -> float | None:
        """When it is tried next, never in the past; None if it waits for the message before it, or is final."""
        if self.state == "delivering":
            return now
        return None if self.state != "pending" or self.next_at is None else max(now, self.next_at)


@dataclass(frozen=True, slots=True)
class WholeAlert(Alert):
    """With its notifications in the order in which they were written, and what happened to its subject meanwhile."""

    notifications: Annotated[list[Delivery], "those about its groups included"]
    groups: Annotated[list[Together], "the groups that it is notified with"]
    escalations: Annotated[list[Escalation], "who is paged about it step by step"]
    journal: Annotated[list[Entry], _Documents]  # oldest first


@dataclass(frozen=True, slots=True)
class ChannelHealth(View):
    """How one declared channel does. `problem` is set while its newest attempt failed."""

    name: str
    kind: str
    resolved: Annotated[bool, "whether it is also notified when an alert is resolved"]
    description: str
    state: Annotated[str, "up, down (its newest attempt failed) or unknown (never tried)"]
    last_success: At | None
    last_failure: At | None
    problem: Annotated[str, "why its newest attempt failed"]
    pending: int
    delivered: int
    refused: int
    expired: int


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


def whole_alert(alert_id: str, limits: Sequence[str] = ()) -> WholeAlert:
    """NotFound if there is none within the limits of whoever asks."""
    found = alert(alert_id, limits)
    end = None if found.resolved_at is None else found.resolved_at + 60  # deliveries of the end belong to it
    meanwhile = Filter(subject=found.subject, since=min(found.since, found.opened_at), until=end)
    entries = list(history(meanwhile, limit=_ENTRIES, newest_first=False))
    groups = together.groups_of(found.id)
    for group in groups:
        meanwhile = Filter(subject=f"group/{group.id}", since=found.opened_at, until=end)
        entries += history(meanwhile, limit=_ENTRIES, newest_first=False)
    return WholeAlert(
        **{name: getattr(found, name) for name in Alert.__slots__},
        notifications=[_delivery(row) for row in together.messages_about(found.id)],
        groups=groups,
        escalations=together.escalations_of(found.id),
        journal=sorted(entries, key=lambda entry: entry.seq)[:_ENTRIES],
    )


def ids_beginning(start: str, *, limit: int = 2) -> list[str]:
    """For people who type part of an id; too short a start fits nothing."""
    if len(start) < 4:
        return []
    rows = AlertRow.objects.filter(id__startswith=start.lower()[:26]).values_list("id", flat=True)
    return list(rows[:limit])


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


def routes() -> list[tuple[str, RouteSpec]]:
    """(name, spec) in the order in which they are asked."""
    return declared.Known().routes


def routing_of(labels: Mapping[str, str]) -> Routing:
    """Which channels an alert with these labels would go to now, each with its reason."""
    return declared.Known().routing(labels)


def routings_of(many: Iterable[Mapping[str, str]]) -> list[Routing]:
    """The same for many alerts, in their order."""
    known = declared.Known()
    return [known.routing(labels) for labels in many]


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
    empty: dict[str, Any] = dict.fromkeys(("pending", "delivered", "refused", "expired"), 0)
    empty |= {"last_success": None, "last_failure": None}
    specs, found = declared.channels(), []
    for name in declared.channel_names():
        numbers = {column: known.get(name, empty)[column] for column in empty}
        spec = specs.get(name)
        unreadable = "" if spec else "this version of Mainstay cannot read its declaration"
        problem = unreadable or _problem(name, numbers["last_success"], numbers["last_failure"])
        health = ChannelHealth(
            name=name,
            kind=spec.channel.name if spec else "",
            resolved=spec.resolved if spec else True,
            description=spec.description if spec else "",
            state="down" if problem else "unknown" if numbers["last_success"] is None else "up",
            problem=problem,
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
    way = row.way and Way(row.way["at"], [Step(**step) for step in row.way["steps"]], row.way.get("to", []))
    return Alert(**{name: getattr(row, name) for name in Alert.__slots__ if name != "way"}, way=way)


def _delivery(row: OutboxRow) -> Delivery:
    own = {name: getattr(row, name) for name in Delivery.__slots__ if name not in ("monitor", "title")}
    told = row.payload.get("alert", {})
    return Delivery(**own, monitor=told.get("monitor", ""), title=told.get("title", ""))
