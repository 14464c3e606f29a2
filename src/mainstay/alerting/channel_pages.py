"""The page of channels: does each of them get through, and a button that tries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.alerting import queries, verbs
from mainstay.alerting.showing import told_of
from mainstay.kernel.errors import MainstayError

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest

_RECENT = 25


@require_GET
def channel_list(request: PageRequest) -> HttpResponse:
    """Every channel with its newest errors, and what was sent lately."""
    request.actor.require("alerts:read")
    context = {
        "channels": queries.channel_health(),
        "recent": [told_of(delivery, time.time()) for delivery in queries.notifications(limit=_RECENT)],
        "may_test": request.actor.may("channels:test"),
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "alerting/channels.html", context)


@require_POST
def channel_test(request: PageRequest, name: str) -> HttpResponse:
    """Send a test message now; answers with a line that says how it went."""
    started = time.monotonic()
    try:
        receipt = verbs.test_channel(request.actor, name)
    except MainstayError as error:
        if error.blame == "user" and error.status in (403, 404):
            raise
        context = {"error": error, "seconds": time.monotonic() - started}
    else:
        context = {"receipt": receipt, "seconds": time.monotonic() - started}
    return render(request, "alerting/channel_tested.html", context)
