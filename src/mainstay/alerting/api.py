"""Alerts over the API: list, read, acknowledge and give back, mute and unmute, note, close, send."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import AwareDatetime, Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.alerting import queries, together, verbs
from mainstay.frames import schemas
from mainstay.kernel.duration import Duration
from mainstay.kernel.errors import UserError
from mainstay.kernel.texts import Identifier, Text

router = Router()


@schemas.of(queries.Step)
class StepOut(Schema):
    pass


@schemas.of(queries.Way)
class WayOut(Schema):
    steps: list[StepOut]
    to: list[str] = []


@schemas.of(queries.Alert)
class AlertOut(Schema):
    way: WayOut | None


@schemas.of(queries.Delivery)
class NotificationOut(Schema):
    pass


@schemas.of(together.Together)
class GroupOut(Schema):
    pass


@schemas.of(together.Escalation)
class EscalationOut(Schema):
    pass


@schemas.of(queries.WholeAlert)
class AlertDetail(Schema):
    way: WayOut | None
    notifications: list[NotificationOut]
    groups: list[GroupOut]
    escalations: list[EscalationOut]


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


@router.get("", response=list[AlertOut], summary="Alerts: open ones first, most severe first")
@requires("alerts:read", limited=True)
def list_alerts(request: HttpRequest, wanted: Query[AlertFilter]) -> list[queries.Alert]:
    return queries.alerts(**wanted.model_dump(), limits=actor_of(request).limits)


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
def get_alert(request: HttpRequest, alert_id: Identifier) -> queries.WholeAlert:
    return queries.whole_alert(alert_id, actor_of(request).limits)


@router.post("/{alert_id}/acknowledge", response=AlertOut, summary="Acknowledge an alert; repeating it changes nothing")
@requires("alerts:write", limited=True)
def acknowledge(request: HttpRequest, alert_id: Identifier) -> queries.Alert:
    verbs.acknowledge_alert(actor_of(request), alert_id)
    return queries.alert(alert_id, actor_of(request).limits)


@router.post("/{alert_id}/mute", response=AlertOut, summary="Mute an alert: no firing notifications until a time")
@requires("alerts:write", limited=True)
def mute(request: HttpRequest, alert_id: Identifier, wanted: MuteIn) -> queries.Alert:
    if (wanted.duration is None) == (wanted.until is None):
        raise UserError("exactly one of `for` and `until` is needed", hint='such as {"for": "2h"}')
    until = wanted.until.timestamp() if wanted.until is not None else time.time() + (wanted.duration or 0)
    verbs.mute_alert(actor_of(request), alert_id, until)
    return queries.alert(alert_id, actor_of(request).limits)


@router.post("/{alert_id}/unmute", response=AlertOut, summary="Notifications again")
@requires("alerts:write", limited=True)
def unmute(request: HttpRequest, alert_id: Identifier) -> queries.Alert:
    verbs.unmute_alert(actor_of(request), alert_id)
    return queries.alert(alert_id, actor_of(request).limits)


@router.post(
    "/{alert_id}/unacknowledge", response=AlertOut, summary="Unacknowledge an alert; repeating it changes nothing"
)
@requires("alerts:write", limited=True)
def unacknowledge(request: HttpRequest, alert_id: Identifier) -> queries.Alert:
    verbs.unacknowledge_alert(actor_of(request), alert_id)
    return queries.alert(alert_id, actor_of(request).limits)


@router.post("/{alert_id}/note", response=AlertOut, summary="Write a note on it")
@requires("alerts:write", limited=True)
def note(request: HttpRequest, alert_id: Identifier, wanted: NoteIn) -> queries.Alert:
    verbs.note_alert(actor_of(request), alert_id, wanted.note)
    return queries.alert(alert_id, actor_of(request).limits)


@router.post(
    "/{alert_id}/resolve", response=AlertOut, summary="Close it manually; channels that were notified are told"
)
@requires("alerts:write", limited=True)
def resolve(request: HttpRequest, alert_id: Identifier, wanted: ReasonIn) -> queries.Alert:
    verbs.resolve_alert(actor_of(request), alert_id, wanted.reason)
    return queries.alert(alert_id, actor_of(request).limits)


@router.post("/{alert_id}/send", response=SentOut, summary="Notify channels that missed it; none twice")
@requires("alerts:write", limited=True)
def send(request: HttpRequest, alert_id: Identifier) -> dict[str, Any]:
    return {"channels": verbs.send_alert(actor_of(request), alert_id)}
