"""The page of locations: where checks are made from, who is heard, and how well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from mainstay.watch import location_queries

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest

_NAMED = 12  # monitors that a row names


@require_GET
def location_list(request: PageRequest) -> HttpResponse:
    """Every location, those that are lost first."""
    request.actor.require("monitors:read")
    found = sorted(location_queries.locations(), key=lambda view: (view.state != "silent", view.name))
    here = settings.MAINSTAY.location
    context = {
        "views": found,
        "lost": [view.name for view in found if view.state == "silent"],
        "here": here,
        "own": location_queries.checked_at(here),
        "named": _NAMED,
        "url": settings.MAINSTAY.base_url,
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "watch/locations.html", context)
