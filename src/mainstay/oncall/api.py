"""On-call over the API: who is on duty, forecasts, overrides, swaps and temporary schedules."""

from __future__ import annotations

import time
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime, Field

from mainstay.accounts.api_doors import requires
from mainstay.kernel.actor import Actor
from mainstay.kernel.texts import Identifier, ResourceName, Text
from mainstay.oncall import verbs, view
from mainstay.oncall.queries import duty

router = Router()
_READ, _WRITE = "oncall:read", "oncall:write"


class OnDutyOut(Schema):
    person: str
    why: str


class SpanOut(Schema):
    start: str = Field(description="RFC 3339 in UTC")
    end: str


class ScheduleOut(Schema):
    """Who is on duty now, who is next, and the gaps of the next four weeks."""

    schedule: str
    timezone: str
    on_duty: list[OnDutyOut]
    next_handover: str | None
    next_on_duty: list[str]
    gaps: list[SpanOut]


class ShiftOut(Schema):
    start: str
    end: str
    person: str
    why: str


class BurdenOut(Schema):
    """What a schedule asks of a person."""

    person: str
    hours: float
    nights: int
    weekends: int
    holidays: int


class OutlookOut(Schema):
    """What a schedule comes to over a time."""

    schedule: str
    start: str
    end: str
    shifts: list[ShiftOut]
    gaps: list[SpanOut]
    overlaps: list[SpanOut]
    quality: int = Field(description="0 to 100: 60 for being covered, 40 for being shared fairly")
    burdens: list[BurdenOut]


class OverrideIn(Schema):
    schedule: ResourceName = Field(max_length=100)
    start: AwareDatetime
    end: AwareDatetime
    add: Text = Field("", max_length=100, description="who is on duty too")
    remove: Text = Field("", max_length=100, description="who is not; with `add`, one stands in for the other")
    note: Text = Field("", max_length=500)


class SwapIn(Schema):
    schedule: ResourceName = Field(max_length=100)
    start: AwareDatetime
    end: AwareDatetime
    giver: ResourceName = Field(max_length=100, description="whose shift it is")
    taker: ResourceName = Field(max_length=100, description="who is asked to take it")
    back_start: AwareDatetime | None = Field(None, description="of a shift in return")
    back_end: AwareDatetime | None = None
    note: Text = Field("", max_length=500)


class SwapOut(Schema):
    id: str
    schedule: str
    start: str
    end: str
    giver: str
    taker: str
    note: str


class AnswerIn(Schema):
    answer: verbs.Answer


class ShiftIn(Schema):
    start: AwareDatetime
    end: AwareDatetime
    person: ResourceName = Field(max_length=100)


class TemporaryIn(Schema):
    schedule: ResourceName = Field(max_length=100)
    start: AwareDatetime
    end: AwareDatetime
    shifts: list[ShiftIn] = Field(max_length=500)
    note: Text = Field("", max_length=500)


class Made(Schema):
    id: str


class Changed(Schema):
    changed: bool = Field(description="false: it was so already, or there is none")


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined]  # set by the API's authentication
    return actor


@router.get("", response=list[ScheduleOut], summary="Who is on duty now, by schedule")
@requires(_READ)
def list_schedules(request: HttpRequest) -> list[dict[str, Any]]:
    now = time.time()
    known = duty(now)
    return [view.schedule_view(known, name, now).as_dict() for name in sorted(known.schedules)]


@router.get("/schedules/{name}", response=OutlookOut, summary="Shifts, gaps, overlaps and fairness of a schedule")
@requires(_READ)
def show_schedule(
    request: HttpRequest,
    name: ResourceName,
    start: Annotated[AwareDatetime | None, Query(description="default: now")] = None,
    weeks: Annotated[float, Query(gt=0, le=104)] = 4.0,
) -> dict[str, Any]:
    begin = time.time() if start is None else start.timestamp()
    return view.outlook(duty(), name, begin, weeks).as_dict()


@router.post("/overrides", response={201: Made}, summary="Change who is on duty for a while")
@requires(_READ)
def make_override(request: HttpRequest, wanted: OverrideIn) -> Status[dict[str, str]]:
    span = (wanted.start.timestamp(), wanted.end.timestamp())
    made = verbs.override(
        _actor(request), wanted.schedule, span, add=wanted.add, remove=wanted.remove, note=wanted.note
    )
    return Status(201, {"id": made})


@router.delete("/overrides/{identifier}", response={200: Changed}, summary="Remove an override, or end it now")
@requires(_READ)
def delete_override(request: HttpRequest, identifier: Identifier) -> Status[dict[str, bool]]:
    return Status(200, {"changed": verbs.remove_override(_actor(request), identifier)})


@router.get("/swaps", response=list[SwapOut], summary="Swaps that wait for their answer")
@requires(_READ)
def list_swaps(request: HttpRequest) -> list[dict[str, Any]]:
    return [one.as_dict() for one in view.swaps(time.time())]


@router.post("/swaps", response={201: Made}, summary="Ask somebody to take a shift")
@requires(_READ)
def ask_swap(request: HttpRequest, wanted: SwapIn) -> Status[dict[str, str]]:
    span = (wanted.start.timestamp(), wanted.end.timestamp())
    back = (
        (wanted.back_start.timestamp(), wanted.back_end.timestamp()) if wanted.back_start and wanted.back_end else None
    )
    people = (wanted.giver, wanted.taker)
    made = verbs.ask_swap(_actor(request), wanted.schedule, span, people, back=back, note=wanted.note)
    return Status(201, {"id": made})


@router.post("/swaps/{identifier}", response={200: Changed}, summary="Accept, decline or withdraw a swap")
@requires(_READ)
def answer_swap(request: HttpRequest, identifier: Identifier, wanted: AnswerIn) -> Status[dict[str, bool]]:
    return Status(200, {"changed": verbs.answer_swap(_actor(request), identifier, wanted.answer)})


@router.post("/temporary", response={201: Made}, summary="Let shifts stand for rotations and overrides for a while")
@requires(_WRITE)
def make_temporary(request: HttpRequest, wanted: TemporaryIn) -> Status[dict[str, str]]:
    span = (wanted.start.timestamp(), wanted.end.timestamp())
    shifts = [(one.start.timestamp(), one.end.timestamp(), one.person) for one in wanted.shifts]
    made = verbs.make_temporary(_actor(request), wanted.schedule, span, shifts, note=wanted.note)
    return Status(201, {"id": made})


@router.delete("/temporary/{identifier}", response={200: Changed}, summary="Remove a temporary schedule, or end it now")
@requires(_WRITE)
def delete_temporary(request: HttpRequest, identifier: Identifier) -> Status[dict[str, bool]]:
    return Status(200, {"changed": verbs.remove_temporary(_actor(request), identifier)})
