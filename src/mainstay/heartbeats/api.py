"""Heartbeats over the API: list, one with its pings, pause and resume. Declaring goes through /resources."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.frames import schemas
from mainstay.heartbeats import queries, verbs
from mainstay.kernel.texts import MOST, WITHOUT_NUL, ResourceName

router = Router()


@schemas.of(queries.HeartbeatView)
class HeartbeatOut(Schema):
    """Times are RFC 3339 in UTC, durations seconds."""


@schemas.of(queries.PingView, without=("late",))
class PingOut(Schema):
    pass


class PingPage(Schema):
    """Newest first. Ask again with `before` set to `next` for older ones; null: that was all."""

    pings: list[PingOut]
    next: int | None


class Changed(Schema):
    changed: bool = Field(description="false: it was in that state already")


def _shown(request: HttpRequest, view: queries.HeartbeatView) -> queries.HeartbeatView:
    return view if actor_of(request).may_some("monitors:check") else replace(view, ping_url=None)


@router.get("", response=list[HeartbeatOut], summary="All heartbeats, those that need attention first")
@requires("monitors:read", limited=True)
def list_heartbeats(
    request: HttpRequest,
    state: Annotated[str, Query(max_length=10, pattern=WITHOUT_NUL, description="only those in this state")] = "",
) -> list[queries.HeartbeatView]:
    return [
        _shown(request, view)
        for view in queries.heartbeats(limits=actor_of(request).limits)
        if state in ("", view.shown, view.state)
    ]


@router.get("/{name}", response=HeartbeatOut, summary="One heartbeat")
@requires("monitors:read", limited=True)
def one_heartbeat(request: HttpRequest, name: ResourceName) -> queries.HeartbeatView:
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
    page = found[:limit]
    return {"pings": page, "next": page[-1].n if len(found) > limit else None}


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
