"""Switching notifications on and off for a browser, and what the browser itself asks for: its service worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from mainstay.accounts.doors import public
from mainstay.alerting import devices
from mainstay.alerting.alert_pages import go_back
from mainstay.alerting.push_key import public_key
from mainstay.frames.web.assets import FOLDER
from mainstay.kernel.errors import TooLarge, UserError

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest

_LARGEST = 8 * 1024  # bytes of a subscription


@public
@require_GET
def service_worker(_request: HttpRequest) -> HttpResponse:
    """At the root, as it serves all pages; never kept, so that a new version is taken up."""
    answer = HttpResponse((FOLDER / "js" / "service-worker.js").read_bytes(), content_type="text/javascript")
    answer["Cache-Control"] = "no-cache"
    return answer


@require_POST
def device_add(request: PageRequest) -> HttpResponse:
    """The body is the browser's subscription, in JSON."""
    if len(request.body) > _LARGEST:
        raise TooLarge("a push subscription is not as long as this")
    try:
        subscription = json.loads(request.body)
    except ValueError:
        raise UserError("this is not JSON", hint="send what PushSubscription.toJSON() gives") from None
    return JsonResponse({"id": devices.add_device(request.actor, subscription, _label(request))})


@require_POST
def device_remove(request: PageRequest, device_id: str) -> HttpResponse:
    devices.remove_device(request.actor, device_id)
    messages.success(request, "The device is notified no more.")
    return go_back(request, "/account/")


def panel(request: PageRequest) -> str:
    """The visitor's devices, with the button for this one."""
    context = {"devices": devices.own_devices(request.actor), "key": public_key()}
    return render_to_string("alerting/devices.html", context, request)


_SYSTEMS = ("iPhone", "iPad", "Android", "Windows", "Mac OS", "CrOS", "Linux")
_BROWSERS = (("Firefox", "Firefox"), ("Edg", "Edge"), ("OPR", "Opera"), ("Chrom", "Chrome"), ("Safari", "Safari"))


def _label(request: PageRequest) -> str:
    """`Chrome on Android`, by what the browser says of itself."""
    said = request.headers.get("User-Agent", "")[:500]
    browser = next((name for sign, name in _BROWSERS if sign in said), "a browser")
    system = next((name for name in _SYSTEMS if name in said), "")
    return f"{browser} on {system}" if system else browser
