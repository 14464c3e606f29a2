"""Maintenance windows over the API: those in force and coming, and maintenance of one thing for a while.

Windows that recur or cover several things are declared through /resources.
"""

from __future__ import annotations

import time
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.frames import schemas
from mainstay.kernel.duration import Duration
from mainstay.kernel.texts import ResourceName, Text
from mainstay.windows import queries, verbs

router = Router()
_AHEAD = 30 * 86_400.0


@schemas.of(queries.Occurrence)
class WindowOut(Schema):
    """One period of a window; times are RFC 3339 in UTC."""

    covers: list[str]


class MaintenanceIn(Schema):
    kind: verbs.Subject = "monitor"
    name: ResourceName = Field(max_length=100, description="of the monitor or heartbeat")
    seconds: Duration = Field(description="how long from now, such as `1h`: a minute to 30 days")
    reason: Text = Field("", max_length=2000, description="also shown on public status pages")


class Ended(Schema):
    changed: bool = Field(description="false: there was none")


@router.get("", response=list[WindowOut], summary="Active windows, then those of the next 30 days")
@requires("monitors:read")
def list_windows(request: HttpRequest) -> list[queries.Occurrence]:
    now = time.time()
    return [*queries.current(now), *queries.upcoming(now, now + _AHEAD)]


@router.post("", response=WindowOut, summary="Start maintenance of one monitor or heartbeat now")
@requires("monitors:check", limited=True)
def begin(request: HttpRequest, wanted: MaintenanceIn) -> queries.Occurrence:
    actor, seconds = actor_of(request), float(wanted.seconds)
    return verbs.begin_maintenance(actor, wanted.name, seconds, wanted.reason, kind=wanted.kind)


@router.delete("", response={200: Ended}, summary="End the maintenance of one monitor or heartbeat now")
@requires("monitors:check", limited=True)
def end(
    request: HttpRequest, name: Annotated[ResourceName, Query(max_length=100)], kind: verbs.Subject = "monitor"
) -> Status[dict[str, bool]]:
    return Status(200, {"changed": verbs.end_maintenance(actor_of(request), name, kind=kind)})
