"""Pages of alert sources and of changes: which there are, what came, and what a mapping makes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from mainstay.sources import queries
from mainstay.sources.preview import LIMIT, Preview, preview
from mainstay.sources.senders import lines_for
from mainstay.store.resources.export import export_yaml
from mainstay.store.resources.queries import resource as find_resource
from mainstay.store.secrets import SecretSource

if TYPE_CHECKING:
    from django.http import HttpResponse

    from mainstay.store.requests import PageRequest

_CHANGES = 100
_OFFERED = ("alertmanager", "grafana", "pagerduty", "opsgenie")


@require_GET
def source_list(request: PageRequest) -> HttpResponse:
    """Every source and when it was heard last; who has none reads what to put where."""
    request.actor.require("alerts:read")
    base = settings.MAINSTAY.base_url
    context = {
        "sources": queries.sources(),
        "offered": [(kind, lines_for(kind, "NAME", base)) for kind in _OFFERED],
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "sources/list.html", context)


@require_http_methods(["GET", "POST"])
def source_page(request: PageRequest, name: str) -> HttpResponse:
    """One source: what its sender needs, what came last, and what a mapping would make of it."""
    request.actor.require("alerts:read")
    resource = find_resource("alert_source", name)
    view = next(one for one in queries.sources() if one.uid == resource.uid)
    bodies = queries.bodies(resource.uid)
    mapping = request.POST.get("mapping", "")[:LIMIT] or export_yaml([resource])
    body = request.POST.get("body", "")[:LIMIT] or (bodies[0].body if bodies else "")
    tried: Preview | None = preview(mapping, body, time.time()) if request.method == "POST" else None
    context = {
        "view": view,
        "lines": lines_for(view.kind, name, settings.MAINSTAY.base_url),
        "missing": SecretSource(settings.MAINSTAY).missing(resource.document),
        "bodies": bodies,
        "mapping": mapping,
        "body": body,
        "tried": tried,
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "sources/one.html", context)


@require_GET
def change_list(request: PageRequest) -> HttpResponse:
    """What was changed elsewhere, the newest first."""
    request.actor.require("alerts:read")
    text = request.GET.get("q", "").strip()[:100]
    before = _seconds(request.GET.get("before", ""))
    found = queries.changes(limit=_CHANGES + 1, before=before, text=text)
    context = {
        "changes": found[:_CHANGES],
        "older": found[_CHANGES - 1].at if len(found) > _CHANGES else None,
        "asked": text,
        "base": settings.MAINSTAY.base_url,
    }
    return render(request, "sources/changes.html", context)


def _seconds(text: str) -> float | None:
    try:
        found = float(text[:20])
    except ValueError:
        return None
    return found if abs(found) < 1e11 else None
