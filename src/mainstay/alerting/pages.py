"""The one page of alerting that needs no sign-in: taking an alert from a link in a message."""

from __future__ import annotations

import contextlib

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mainstay.accounts.doors import public
from mainstay.alerting import queries, verbs
from mainstay.alerting.background import description_of
from mainstay.alerting.links import alert_of
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import SystemClock
from mainstay.kernel.errors import Conflict, NotFound


@csrf_exempt  # the signed link itself is the permission; a mail reader has no cookie of ours
@public
@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows one button, because mail scanners follow links; only its POST acknowledges."""
    now = SystemClock().now()
    try:
        alert = queries.alert(alert_of(token, now))
    except NotFound as error:
        return _page(request, {"over": error.message}, status=404)
    if request.method == "POST":
        actor = Actor("link", "message", frozenset({"alerts:write"}))
        with contextlib.suppress(Conflict):  # it ended meanwhile; the page says so
            verbs.acknowledge_alert(actor, alert.id)
        alert = queries.alert(alert.id)
    context = {
        "alert": alert,
        "now": now,
        "description": description_of(alert.uid),
        "url": f"{settings.MAINSTAY.base_url}/alerts/{alert.id}/",
    }
    return _page(request, context)


def _page(request: HttpRequest, context: dict[str, object], status: int = 200) -> HttpResponse:
    response = render(request, "alerting/acknowledge.html", context, status=status)
    # The address is the permission: it must not be kept, sent on or indexed.
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
