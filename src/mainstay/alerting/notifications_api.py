"""Notifications over the API: every message and what became of it."""

from __future__ import annotations

from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.alerting import queries
from mainstay.alerting.api import NotificationOut
from mainstay.kernel.texts import Text

router = Router()


class NotificationFilter(Schema):
    """Empty fields fit everything."""

    channel: Text = Field("", max_length=100)
    state: Literal["", "pending", "delivering", "delivered", "refused", "expired", "suppressed", "cancelled"] = ""
    limit: int = Field(100, ge=1, le=500)
    offset: int = Field(0, ge=0, le=1_000_000)


@router.get("", response=list[NotificationOut], summary="Notifications, the newest first")
@requires("alerts:read")
def list_notifications(request: HttpRequest, wanted: Annotated[NotificationFilter, Query()]) -> list[queries.Delivery]:
    return queries.notifications(**wanted.model_dump())
