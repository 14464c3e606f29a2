"""Notifications over the API: every message and what became of it."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router

from mainstay.accounts.doors import requires
from mainstay.alerting import queries
from mainstay.alerting.api import NotificationOut

router = Router()
State = Literal["", "pending", "delivering", "delivered", "refused", "expired", "suppressed", "cancelled"]


@router.get("", response=list[NotificationOut], summary="Notifications, the newest first")
@requires("alerts:read")
def list_notifications(
    request: HttpRequest, channel: str = "", state: State = "", limit: int = 100, offset: int = 0
) -> list[dict[str, Any]]:
    found = queries.notifications(
        channel=channel[:100],
        state=state,
        limit=max(1, min(limit, 500)),
        offset=max(0, min(offset, 1_000_000)),
    )
    return [one.as_dict() for one in found]
