"""Changes over the API: what was deployed, switched or configured elsewhere."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.kernel.actor import Actor
from mainstay.kernel.labels import Label, LabelName
from mainstay.kernel.texts import WITHOUT_NUL, Text
from mainstay.sources import queries
from mainstay.sources.formats.reading import Change
from mainstay.sources.verbs import record_change

router = Router()


class ChangeOut(Schema):
    id: str
    at: str = Field(description="RFC 3339 in UTC")
    what: str
    summary: str
    labels: dict[str, str]
    links: list[list[str]] = Field(description="pairs of a text and an address")
    details: dict[str, Any]
    recorded_by: str


class ChangeIn(Schema):
    summary: Text = Field(min_length=1, max_length=1024)
    what: Literal["deploy", "flag", "configuration", "other"] = "deploy"
    labels: dict[LabelName, Annotated[Label, Field(pattern=WITHOUT_NUL)]] = Field({}, max_length=40)
    link: Text = Field("", max_length=2000)


class Made(Schema):
    id: str


@router.get("", response=list[ChangeOut], summary="Changes of the last 90 days, the newest first")
@requires("alerts:read")
def list_changes(
    request: HttpRequest,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    return [one.as_dict() for one in queries.changes(limit=limit)]


@router.post("", response={201: Made}, summary="Record a change")
@requires("alerts:send")
def add_change(request: HttpRequest, wanted: ChangeIn) -> Status[dict[str, str]]:
    actor: Actor = request.auth  # type: ignore[attr-defined]  # set by the API's authentication
    links = ((wanted.link, wanted.link),) if wanted.link else ()
    change = Change(wanted.summary, time.time(), wanted.what, dict(wanted.labels), links)
    return Status(201, {"id": record_change(actor, change)})
