"""The addresses of the management API."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, re_path

from mainstay.foreign.compat.healthchecks import checks, integrations
from mainstay.foreign.compat.healthchecks.keys import Call, Refusal, keyed, methods, public
from mainstay.foreign.compat.healthchecks.metrics import metrics
from mainstay.foreign.compat.healthchecks.wishes import read_wish
from mainstay.heartbeats import queries
from mainstay.heartbeats.badges import tag_badges
from mainstay.heartbeats.queries import HeartbeatView, PingView
from mainstay.heartbeats.settings import PINGS_KEPT
from mainstay.heartbeats.verbs import pause_heartbeat, resume_heartbeat
from mainstay.kernel.errors import NotFound
from mainstay.store.journal import Filter, entries
from mainstay.store.journal import head as journal_head
from mainstay.store.resources.queries import resources

_FLIPS = 10_000
_LATEST = 10_000_000_000  # epoch seconds of the year 2286; numbers above it are mistakes
# Below this, a version is one of ours or none at all.
VERSIONS = (1, 2, 3)


def _found(call: Call, view: HeartbeatView) -> JsonResponse:
    channels = "" if call.readonly else integrations.Assignments().of(view)
    return JsonResponse(checks.shown(view, call, channels))


def _by_uuid(code: Any) -> HeartbeatView:
    try:
        return queries.by_uuid(str(code))
    except NotFound:
        raise Refusal("not found", 404) from None


def _by_unique_key(unique_key: str) -> HeartbeatView:
    try:
        return queries.by_unique_key(unique_key)
    except NotFound:
        raise Refusal("not found", 404) from None


@keyed("monitors:read")
def list_checks(call: Call) -> HttpResponse:
    tags = set(call.request.GET.getlist("tag"))
    slug = call.request.GET.get("slug")
    found = [view for view in checks.everything() if tags <= set(view.tags) and (not slug or view.slug == slug)]
    assigned = None if call.readonly else integrations.Assignments()
    return JsonResponse({"checks": [checks.shown(view, call, assigned.of(view) if assigned else "") for view in found]})


@keyed("resources:write", write=True)
def create_check(call: Call) -> HttpResponse:
    view, fresh = checks.create(call, read_wish(call.json))
    response = _found(call, view)
    response.status_code = 201 if fresh else 200
    return response


@keyed("monitors:read")
def get_check(call: Call, code: Any) -> HttpResponse:
    return _found(call, _by_uuid(code))


@keyed("monitors:read")
def get_by_unique_key(call: Call, unique_key: str) -> HttpResponse:
    return _found(call, _by_unique_key(unique_key))


@keyed("resources:write", write=True)
def update_check(call: Call, code: Any) -> HttpResponse:
    return _found(call, checks.change(call, _by_uuid(code), read_wish(call.json)))


@keyed("resources:write", write=True)
def delete_check(call: Call, code: Any) -> HttpResponse:
    view = _by_uuid(code)
    response = _found(call, view)
    checks.delete(call, view)
    return response


@keyed("monitors:check", write=True)
def pause_check(call: Call, code: Any) -> HttpResponse:
    view = _by_uuid(code)
    pause_heartbeat(call.actor, view.name)
    return _found(call, _by_uuid(code))


@keyed("monitors:check", write=True)
def resume_check(call: Call, code: Any) -> HttpResponse:
    view = _by_uuid(code)
    if view.state != "paused":
        return HttpResponse("check is not paused", status=409)
    resume_heartbeat(call.actor, view.name)
    return _found(call, _by_uuid(code))


@keyed("monitors:read", write=True)
def list_pings(call: Call, code: Any) -> HttpResponse:
    view = _by_uuid(code)
    found = queries.pings(view.uid, limit=max(1, settings.MAINSTAY[PINGS_KEPT]))
    return JsonResponse({"pings": [_ping(call, view, ping) for ping in found]})


def _ping(call: Call, view: HeartbeatView, ping: PingView) -> dict[str, Any]:
    own = f"{settings.MAINSTAY.base_url}/api/v{call.version}/checks/{view.uuid}/pings/{ping.n}/body"
    document: dict[str, Any] = {
        "type": ping.kind,
        "date": datetime.fromtimestamp(ping.at, UTC).isoformat(timespec="microseconds"),
        "n": ping.n,
        "scheme": ping.scheme,
        "remote_addr": ping.remote,
        "method": ping.method,
        "ua": ping.user_agent,
        "rid": ping.rid or None,
        "body_url": own if ping.body_size else None,
    }
    if ping.duration is not None:
        document["duration"] = round(ping.duration, 6)
    return document


@keyed("monitors:read", write=True)
def ping_body(call: Call, code: Any, n: int) -> HttpResponse:
    view = _by_uuid(code)
    try:
        body = queries.ping(view.uid, min(n, 2**63 - 1)).body
    except NotFound:
        body = None
    if not body:
        raise Refusal("not found", 404)
    return HttpResponse(body, content_type="text/plain")


@keyed("monitors:read")
def flips_by_uuid(call: Call, code: Any) -> HttpResponse:
    return _flips(call, _by_uuid(code))


@keyed("monitors:read")
def flips_by_unique_key(call: Call, unique_key: str) -> HttpResponse:
    return _flips(call, _by_unique_key(unique_key))


def _flips(call: Call, view: HeartbeatView) -> HttpResponse:
    """Changes between up and down, newest first, from the journal; what was neither is left out."""
    start, end, seconds = (_whole(call.request, name) for name in ("start", "end", "seconds"))
    since = max([float(one) for one in (start, time.time() - seconds if seconds else None) if one] or [0.0])
    wanted = Filter(kind="heartbeat.went_*", subject=f"heartbeat/{view.name}", since=since or None, until=end)
    found = [
        {"timestamp": checks.isostring(entry.at), "up": int(entry.kind == "heartbeat.went_up")}
        for entry in entries(wanted, limit=_FLIPS)
        if entry.kind in ("heartbeat.went_up", "heartbeat.went_down") and entry.data.get("uid") == view.uid
    ]
    return JsonResponse(found, safe=False)


def _whole(request: HttpRequest, name: str) -> int | None:
    """A number of seconds in the query; Refusal if it is anything else."""
    text = request.GET.get(name, "")
    if not text:
        return None
    highest = 31_536_000 if name == "seconds" else _LATEST
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) > highest:
        raise Refusal(f"{name} is not valid")
    return int(text)


@keyed("monitors:read", write=True)
def list_channels(_call: Call) -> HttpResponse:
    return JsonResponse({"channels": [integrations.shown(channel) for channel in resources("channel")]})


@keyed("monitors:read")
def list_badges(_call: Call) -> HttpResponse:
    tags = {tag for view in queries.heartbeats() for tag in view.tags}
    base = settings.MAINSTAY.base_url
    return JsonResponse({"badges": {tag: tag_badges(base, tag) for tag in [*sorted(tags), "*"]}})


@public
def status(_request: HttpRequest, version: int) -> HttpResponse:
    """Whether the database answers."""
    journal_head()
    return HttpResponse("OK", content_type="text/plain")


def _patterns(version: int) -> list[URLPattern]:
    root, keep = f"api/v{version}", {"version": version}
    one, key = f"{root}/checks/<uuid:code>", rf"^{root}/checks/(?P<unique_key>[A-Za-z0-9]{{40}})"
    return [
        path(f"{root}/checks/", methods(GET=list_checks, POST=create_check), keep),
        path(one, methods(GET=get_check, POST=update_check, DELETE=delete_check), keep),
        re_path(f"{key}$", methods(GET=get_by_unique_key), keep),
        path(f"{one}/pause", methods(POST=pause_check), keep),
        path(f"{one}/resume", methods(POST=resume_check), keep),
        path(f"{one}/pings/", methods(GET=list_pings), keep),
        path(f"{one}/pings/<int:n>/body", methods(GET=ping_body), keep),
        path(f"{one}/flips/", methods(GET=flips_by_uuid), keep),
        re_path(f"{key}/flips/$", methods(GET=flips_by_unique_key), keep),
        path(f"{root}/channels/", methods(GET=list_channels), keep),
        path(f"{root}/badges/", methods(GET=list_badges), keep),
        path(f"{root}/status/", methods(GET=status), keep),
    ]


urlpatterns: list[URLPattern] = [
    *(pattern for version in VERSIONS for pattern in _patterns(version)),
    path("projects/<uuid:project>/metrics/<str:key>", methods(GET=metrics)),
    path("projects/<uuid:project>/metrics/", methods(GET=metrics), {"key": ""}),
]
