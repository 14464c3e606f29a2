"""The page of the servers that share a database: who does what, and handing over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from mainstay.kernel.errors import MainstayError
from mainstay.nodes import queries, verbs
from mainstay.nodes.rules import SHARDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.store.requests import PageRequest


@require_GET
def node_list(request: PageRequest) -> HttpResponse:
    views = queries.nodes()
    alive = [view for view in views if view.state in ("working", "draining")]
    silent = [view.name for view in views if view.state == "silent"]
    free = queries.free_shards() if views else 0
    context = {
        "views": views,
        "silent": silent,
        "free": free,
        "look": "down" if silent or free else "up",
        "working": sum(view.state == "working" for view in views),
        "monitors": sum(view.monitors for view in alive),
        "versions": sorted({view.version for view in alive}),
        "shards": SHARDS,
        "here": queries.here(),
        "may_write": request.actor.may("nodes:write"),
    }
    return render(request, "nodes/list.html", context)


@require_POST
def node_order(request: PageRequest, name: str, order: str) -> HttpResponse:
    """drain, undrain or forget."""
    orders: dict[str, Callable[[], object]] = {
        "drain": lambda: verbs.drain_node(request.actor, name),
        "undrain": lambda: verbs.drain_node(request.actor, name, draining=False),
        "forget": lambda: verbs.forget_node(request.actor, name),
    }
    if order not in orders:
        raise Http404
    try:
        orders[order]()
    except MainstayError as error:
        messages.error(request, f"{error.message}{'; ' + error.hint if error.hint else ''}")
    else:
        messages.success(request, "Done." if order == "forget" else "This takes a second or two.")
    return HttpResponseRedirect(reverse("nodes"))
