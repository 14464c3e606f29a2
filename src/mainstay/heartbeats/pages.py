"""Pages of heartbeats: all of them, and one with its address, its schedule and its pings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.frames.web.paging import turn
from mainstay.frames.web.table import Sorting
from mainstay.heartbeats import queries, verbs
from mainstay.kernel.errors import UserError
from mainstay.store.disclosures import note_address_shown
from mainstay.store.resources.queries import history
from mainstay.store.resources.queries import resource as find_resource
from mainstay.watch.results.history import HISTORY, periods
from mainstay.windows.queries import own_window

if TYPE_CHECKING:
    from mainstay.heartbeats.queries import HeartbeatView
    from mainstay.store.requests import PageRequest

_PAGE = 100
_PINGS = 30
_DAYS = 90
_COLUMNS: dict[str, Callable[[HeartbeatView], Any] | None] = {
    "State": lambda view: queries.STATE_ORDER.index(view.shown),
    "Name": lambda view: view.name,
    "Schedule": None,
    "Last ping": lambda view: view.last_ping or 0.0,
    "Next due": lambda view: view.due_at or math.inf,
    "#Took": lambda view: view.last_duration or 0.0,
}
_VERBS = {"pause": verbs.pause_heartbeat, "resume": verbs.resume_heartbeat}


@require_GET
def heartbeat_list(request: PageRequest) -> HttpResponse:
    """Every heartbeat, what needs attention first."""
    request.actor.require_some("monitors:read")
    every = queries.heartbeats(limits=request.actor.limits)
    text, state = request.GET.get("q", "").strip()[:100], request.GET.get("state", "")
    found = [view for view in every if _fits(view, text) and (not state or view.shown == state)]
    order = Sorting(_COLUMNS, request.GET.get("sort", ""))
    asked = {"q": text, "state": state, "sort": order.asked}
    pages = turn(request, len(found), _PAGE, asked)
    tally = {name: sum(1 for view in every if view.shown == name) for name in queries.STATE_ORDER}
    context = {
        "views": order.sorted(found)[pages.start : pages.start + _PAGE],
        "columns": order.columns(asked),
        "found": len(found),
        "total": len(every),
        "tally": [(name, count) for name, count in tally.items() if count],
        "asked": asked,
        "pages": pages,
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "heartbeats/list.html", context)


def _fits(view: HeartbeatView, text: str) -> bool:
    if not text:
        return True
    words = " ".join((view.name, view.schedule, view.description, *view.tags, *view.labels.values())).lower()
    return all(part in words for part in text.lower().split())


@require_GET
def heartbeat_page(request: PageRequest, name: str) -> HttpResponse:
    """One heartbeat: is it well, when is it due, how does a job report to it."""
    request.actor.require_some("monitors:read")
    view = queries.heartbeat(name, limits=request.actor.limits)
    base = settings.MAINSTAY.base_url
    resource = find_resource("heartbeat", name)
    may_report = request.actor.may_some("monitors:check")  # who has the address can report in
    before = request.GET.get("before", "")
    below = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None
    pings = queries.pings(view.uid, limit=_PINGS + 1, before=below)
    now = time.time()
    context = {
        "view": view,
        "uptimes": periods(view.uid, now),
        "line": HISTORY.lines([view.uid], _DAYS, now)[view.uid],
        "days": _DAYS,
        "url": view.ping_url if may_report else "",
        "slug_url": queries.slug_url(base, view.slug) if may_report and queries.has_ping_key() else "",
        "pings": pings[:_PINGS],
        "older": pings[_PINGS - 1].n if len(pings) > _PINGS else None,
        "paging_back": below is not None,
        "own_window": own_window(resource, now),
        "resource": resource,
        "revisions": history("heartbeat", name, limit=5),
        "may_check": may_report,
        "may_write": request.actor.may("resources:write"),
    }
    if may_report:
        note_address_shown(request.actor, view.name, view.uid, now)
    return render(request, "heartbeats/one.html", context)


@require_GET
def ping_body(request: PageRequest, name: str, n: int) -> HttpResponse:
    """One ping's body, as a fragment."""
    request.actor.require_some("monitors:read")
    view = queries.heartbeat(name, limits=request.actor.limits)
    return render(request, "heartbeats/ping.html", {"ping": queries.ping(view.uid, n)})


@require_POST
def heartbeat_order(request: PageRequest, name: str, order: str) -> HttpResponse:
    """Pause or resume one heartbeat."""
    if order not in _VERBS:
        raise UserError(f"a heartbeat cannot be asked to `{order[:20]}`", hint="pause or resume it")
    changed = _VERBS[order](request.actor, name)
    word = {"pause": "paused", "resume": "watched again"}[order]
    messages.success(request, f"{name} is {word}." if changed else f"{name} was in that state already.")
    return HttpResponseRedirect(f"/heartbeats/{quote(name)}/")
