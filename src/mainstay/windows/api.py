"""Maintenance windows over the API: those in force and coming, and maintenance of one thing for a while.

Windows that recur or cover several things are declared through /resources.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.kernel.actor import Actor
from mainstay.kernel.duration import Duration
from mainstay.kernel.texts import ResourceName, Text
from mainstay.windows import queries, verbs

router = Router()
_AHEAD = 30 * 86_400.0


class WindowOut(Schema):
    """One period of a window; times are RFC 3339 in UTC."""

    window: str
    start: str
    end: str
    active: bool
    description: str
    covers: list[str] = Field(description="label matchers, all of which must match; none covers everything")


class MaintenanceIn(Schema):
    kind: verbs.Subject = "monitor"
    name: ResourceName = Field(max_length=100, description="of the monitor or heartbeat")
    seconds: Duration = Field(description="how long from now, such as `1h`: a minute to 30 days")
    reason: Text = Field("", max_length=2000, description="also shown on public status pages")


class Ended(Schema):
    changed: bool = Field(description="false: there was none")


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined]  # set by the API's authentication
    return actor


@router.get("", response=list[WindowOut], summary="Active windows, then those of the next 30 days")
@requires("monitors:read")
def list_windows(request: HttpRequest) -> list[dict[str, Any]]:
    now = time.time()
    return [one.as_dict(now) for one in [*queries.current(now), *queries.upcoming(now, now + _AHEAD)]]


@router.post("", response=WindowOut, summary="Start maintenance of one monitor or heartbeat now")
@requires("monitors:check", limited=True)
def begin(request: HttpRequest, wanted: MaintenanceIn) -> dict[str, Any]:
    made = verbs.begin_maintenance(_actor(request), wanted.name, float(wanted.seconds), wanted.reason, kind=wanted.kind)
    return made.as_dict(made.start)


@router.delete("", response={200: Ended}, summary="End the maintenance of one monitor or heartbeat now")
@requires("monitors:check", limited=True)
def end(
    request: HttpRequest, name: Annotated[ResourceName, Query(max_length=100)], kind: verbs.Subject = "monitor"
) -> Status[dict[str, bool]]:
    return Status(200, {"changed": verbs.end_maintenance(_actor(request), name, kind=kind)})
