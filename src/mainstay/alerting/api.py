"""Alerts over the API: list, read, acknowledge and give back, mute and unmute, note, close, send."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import AwareDatetime, Field

from mainstay.accounts.api_doors import requires
from mainstay.alerting import queries, verbs
from mainstay.kernel.actor import Actor
from mainstay.kernel.duration import Duration
from mainstay.kernel.errors import UserError
from mainstay.kernel.texts import Identifier, Text

router = Router()


class StepOut(Schema):
    stage: str = Field(description="suppress, silence, inhibit, group, route, dedup, repeat, rate or escalate")
    verdict: str = Field(description="pass or hold")
    reason: str


class WayOut(Schema):
    at: str
    steps: list[StepOut] = Field(description="stages that decided, in order; none after one that holds")
    to: list[str] = Field([], description="channels that were notified then")


class AlertOut(Schema):
    id: str
    subject: str = Field(description="`monitor/api`, `heartbeat/backup` or `uplink/network`")
    uid: str
    name: str
    severity: str
    level: str = Field(description="down, degraded or unknown")
    labels: dict[str, str]
    status: str = Field(description="firing or resolved")
    title: str
    address: str
    reason: str
    code: str
    message: str
    evidence: dict[str, Any]
    opened_at: str
    since: str = Field(description="start of the first failed check")
    resolved_at: str | None
    resolved_reason: str
    acknowledged_at: str | None
    acknowledged_by: str
    muted_until: str | None
    note: str = Field(description="the newest note of a person")
    noted_by: str
    noted_at: str | None
    suppressed_by: str = Field(description="the failing parent that explains it")
    untold: str = Field(description="why no channel was selected, if none was")
    news: str = Field(description="why people are to be notified; empty once they were")
    aside: str = Field(description="why notifications about its subject are held back, such as a maintenance window")
    next_at: str | None = Field(description="when it is next evaluated")
    way: WayOut | None = Field(description="why somebody was notified, or nobody: the last pass through the stages")


class NotificationOut(Schema):
    id: str = Field(description="also serves as the idempotency key")
    alert_id: str | None
    channel: str
    kind: str = Field(description="firing, resolved or test")
    state: str = Field(description="pending, delivering, delivered, refused, expired, suppressed or cancelled")
    reason: str = Field(description="why it was sent, held back or cancelled")
    attempts: int
    next_at: str | None
    last_error: str
    failed_at: str | None
    receipt: dict[str, Any]
    created_at: str
    delivered_at: str | None
    expires_at: str
    monitor: str = Field(description="or heartbeat, or whatever it concerns; empty for a test")
    title: str


class AlertDetail(AlertOut):
    notifications: list[NotificationOut]
    journal: list[dict[str, Any]]


class AlertFilter(Schema):
    """Empty fields fit everything."""

    status: Literal["", "firing", "resolved"] = ""
    severity: Literal["", "P0", "P1", "P2", "P3"] = ""
    subject: Text = Field("", max_length=200, description="such as `monitor/api`")
    text: Text = Field("", max_length=200, description="part of the title or the error")
    limit: int = Field(100, ge=1, le=500)
    offset: int = Field(0, ge=0, le=1_000_000)


class MuteIn(Schema):
    """Exactly one of the two."""

    duration: Duration | None = Field(None, alias="for", description="such as 2h")
    until: AwareDatetime | None = None


class NoteIn(Schema):
    note: Text = Field(max_length=1000, description="replaces an earlier one; empty: none")


class ReasonIn(Schema):
    reason: Text = Field(min_length=1, max_length=250, description="why it is resolved; others read it")


class BulkIn(Schema):
    order: Literal["acknowledge", "unacknowledge", "mute", "unmute", "resolve"]
    ids: list[Annotated[Identifier, Field(max_length=26)]] = Field(max_length=500)
    duration: Duration | None = Field(None, alias="for", description="of a mute, such as 2h")
    reason: Text = Field("", max_length=250, description="of a resolve")


class BulkOut(Schema):
    done: list[str] = Field(description="ids of alerts that are now in the requested state")
    refused: dict[str, str] = Field(description="ids of the others, with the reason")


class SentOut(Schema):
    channels: list[str] = Field(description="that had missed it and are notified now")


def actor_of(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined] # set by the API's authentication
    return actor


@router.get("", response=list[AlertOut], summary="Alerts: open ones first, most severe first")
@requires("alerts:read", limited=True)
def list_alerts(request: HttpRequest, wanted: Query[AlertFilter]) -> list[dict[str, Any]]:
    return [alert.as_dict() for alert in queries.alerts(**wanted.model_dump(), limits=actor_of(request).limits)]


@router.post("/bulk", response=BulkOut, summary="The same action for many alerts, in one transaction")
@requires("alerts:write", limited=True)
def bulk(request: HttpRequest, wanted: BulkIn) -> dict[str, Any]:
    if (wanted.order == "mute") != (wanted.duration is not None):
        raise UserError("`for` belongs to the order mute, and to no other", hint='such as {"for": "2h"}')
    order = verbs.Order(wanted.order, time.time() + (wanted.duration or 0), wanted.reason)
    outcome = verbs.order_alerts(actor_of(request), wanted.ids, order)
    return {"done": outcome.done, "refused": outcome.refused}


@router.get("/{alert_id}", response=AlertDetail, summary="One alert with its notifications and journal entries")
@requires("alerts:read", limited=True)
def get_alert(request: HttpRequest, alert_id: Identifier) -> dict[str, Any]:
    alert = queries.alert(alert_id, actor_of(request).limits)
    return alert.as_dict() | {
        "notifications": [one.as_dict() for one in queries.notifications_of_alert(alert.id)],
        "journal": [entry.as_dict() for entry in queries.journal_of(alert)],
    }


@router.post("/{alert_id}/acknowledge", response=AlertOut, summary="Acknowledge an alert; repeating it changes nothing")
@requires("alerts:write", limited=True)
def acknowledge(request: HttpRequest, alert_id: Identifier) -> dict[str, Any]:
    verbs.acknowledge_alert(actor_of(request), alert_id)
    return queries.alert(alert_id, actor_of(request).limits).as_dict()


@router.post("/{alert_id}/mute", response=AlertOut, summary="Mute an alert: no firing notifications until a time")
@requires("alerts:write", limited=True)
def mute(request: HttpRequest, alert_id: Identifier, wanted: MuteIn) -> dict[str, Any]:
    if (wanted.duration is None) == (wanted.until is None):
        raise UserError("exactly one of `for` and `until` is needed", hint='such as {"for": "2h"}')
    until = wanted.until.timestamp() if wanted.until is not None else time.time() + (wanted.duration or 0)
    verbs.mute_alert(actor_of(request), alert_id, until)
    return queries.alert(alert_id, actor_of(request).limits).as_dict()


@router.post("/{alert_id}/unmute", response=AlertOut, summary="Notifications again")
@requires("alerts:write", limited=True)
def unmute(request: HttpRequest, alert_id: Identifier) -> dict[str, Any]:
    verbs.unmute_alert(actor_of(request), alert_id)
    return queries.alert(alert_id, actor_of(request).limits).as_dict()


@router.post(
    "/{alert_id}/unacknowledge", response=AlertOut, summary="Unacknowledge an alert; repeating it changes nothing"
)
@requires("alerts:write", limited=True)
def unacknowledge(request: HttpRequest, alert_id: Identifier) -> dict[str, Any]:
    verbs.unacknowledge_alert(actor_of(request), alert_id)
    return queries.alert(alert_id, actor_of(request).limits).as_dict()


@router.post("/{alert_id}/note", response=AlertOut, summary="Write a note on it")
@requires("alerts:write", limited=True)
def note(request: HttpRequest, alert_id: Identifier, wanted: NoteIn) -> dict[str, Any]:
    verbs.note_alert(actor_of(request), alert_id, wanted.note)
    return queries.alert(alert_id, actor_of(request).limits).as_dict()


@router.post(
    "/{alert_id}/resolve", response=AlertOut, summary="Close it manually; channels that were notified are told"
)
@requires("alerts:write", limited=True)
def resolve(request: HttpRequest, alert_id: Identifier, wanted: ReasonIn) -> dict[str, Any]:
    verbs.resolve_alert(actor_of(request), alert_id, wanted.reason)
    return queries.alert(alert_id, actor_of(request).limits).as_dict()


@router.post("/{alert_id}/send", response=SentOut, summary="Notify channels that missed it; none twice")
@requires("alerts:write", limited=True)
def send(request: HttpRequest, alert_id: Identifier) -> dict[str, Any]:
    return {"channels": verbs.send_alert(actor_of(request), alert_id)}
