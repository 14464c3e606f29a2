"""Heartbeats over the API: list, one with its pings, pause and resume. Declaring goes through /resources."""

from __future__ import annotations

from typing import Annotated, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.heartbeats import queries, verbs
from mainstay.kernel.texts import MOST, WITHOUT_NUL, ResourceName

router = Router()


class HeartbeatOut(Schema):
    """Times are RFC 3339 in UTC, durations seconds."""

    uid: str
    name: str
    state: str = Field(description="new, up, down, unknown or paused")
    late: bool = Field(description="overdue, but within the grace period")
    started: bool = Field(description="a run is in progress")
    reason: str
    since: str
    schedule: str
    grace: float
    severity: str
    labels: dict[str, str]
    tags: list[str]
    description: str
    enabled: bool
    manager: str
    slug: str
    ping_url: str | None = Field(description="null without the scope monitors:check: whoever knows it can report in")
    last_ping: str | None
    last_kind: str
    last_start: str | None
    last_duration: float | None
    due_at: str | None
    deadline: str | None
    pings: int
    failures: int


class PingOut(Schema):
    n: int
    at: str
    kind: str = Field(description="success, start, fail, log, or ign: kept without effect")
    exit_status: int | None
    rid: str
    method: str
    scheme: str
    remote: str
    user_agent: str
    duration: float | None
    body_size: int = Field(description="bytes sent; fewer may be kept")


class PingPage(Schema):
    """Newest first. Ask again with `before` set to `next` for older ones; null: that was all."""

    pings: list[PingOut]
    next: int | None


class Changed(Schema):
    changed: bool = Field(description="false: it was in that state already")


def _shown(request: HttpRequest, view: queries.HeartbeatView) -> dict[str, Any]:
    document = view.as_dict(settings.MAINSTAY.base_url)
    if not actor_of(request).may_some("monitors:check"):
        document["ping_url"] = None
    return document


@router.get("", response=list[HeartbeatOut], summary="All heartbeats, those that need attention first")
@requires("monitors:read", limited=True)
def list_heartbeats(
    request: HttpRequest,
    state: Annotated[str, Query(max_length=10, pattern=WITHOUT_NUL, description="only those in this state")] = "",
) -> list[dict[str, Any]]:
    return [
        _shown(request, view)
        for view in queries.heartbeats(limits=actor_of(request).limits)
        if state in ("", view.shown, view.state)
    ]


@router.get("/{name}", response=HeartbeatOut, summary="One heartbeat")
@requires("monitors:read", limited=True)
def one_heartbeat(request: HttpRequest, name: ResourceName) -> dict[str, Any]:
    return _shown(request, queries.heartbeat(name, limits=actor_of(request).limits))


@router.get("/{name}/pings", response=PingPage, summary="Its pings")
@requires("monitors:read", limited=True)
def list_pings(
    request: HttpRequest,
    name: ResourceName,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=0, le=MOST)] = None,
) -> dict[str, Any]:
    found = queries.pings(queries.heartbeat(name, limits=actor_of(request).limits).uid, limit=limit + 1, before=before)
    page = [ping.as_dict() for ping in found[:limit]]
    return {"pings": page, "next": page[-1]["n"] if len(found) > limit else None}


@router.get("/{name}/pings/{int:n}/body", summary="The body of a ping as sent (the part that is kept)")
@requires("monitors:read", limited=True)
def ping_body(request: HttpRequest, name: ResourceName, n: Annotated[int, Path(ge=0, le=MOST)]) -> HttpResponse:
    found = queries.ping(queries.heartbeat(name, limits=actor_of(request).limits).uid, n)
    headers = {"Content-Disposition": f'attachment; filename="ping-{found.n}.txt"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(found.body or b"", content_type="application/octet-stream", headers=headers)


@router.post("/{name}/pause", response=Changed, summary="Pause it until it is resumed or reports success")
@requires("monitors:check", limited=True)
def pause(request: HttpRequest, name: ResourceName) -> dict[str, bool]:
    return {"changed": verbs.pause_heartbeat(actor_of(request), name)}


@router.post("/{name}/resume", response=Changed, summary="Resume it")
@requires("monitors:check", limited=True)
def resume(request: HttpRequest, name: ResourceName) -> dict[str, bool]:
    return {"changed": verbs.resume_heartbeat(actor_of(request), name)}
