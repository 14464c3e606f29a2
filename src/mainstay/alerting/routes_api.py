"""Routes over the API: which channels labels would take. They are declared through the resources."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.alerting import queries
from mainstay.kernel.labels import Label, LabelName

router = Router()


class LabelsIn(Schema):
    labels: Annotated[dict[LabelName, Label], Field(max_length=60, description="that an alert would have")]


class RoutingOut(Schema):
    channels: dict[str, str] = Field(description="names of channels, each with the reason")
    untold: str = Field(description="why no channel matches, if none does")


@router.post("/test", response=RoutingOut, summary="Which channels an alert with these labels would go to")
@requires("alerts:read")
def would_take(request: HttpRequest, wanted: LabelsIn) -> dict[str, Any]:
    found = queries.routing_of(wanted.labels)
    return {"channels": dict(found.channels), "untold": found.untold}
