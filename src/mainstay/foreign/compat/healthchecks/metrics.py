"""The Prometheus endpoint of a Healthchecks project: `/projects/<uuid>/metrics/<read-only API key>`.

There is one project here, so any uuid is taken. The key may stand in the address, as the original wants it, or
in the header `Authorization: Bearer`, which keeps it out of the logs of proxies.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from mainstay.accounts.doors import Door, address_of
from mainstay.accounts.queries import actor_of_token
from mainstay.foreign.compat.healthchecks.checks import everything, status
from mainstay.foreign.compat.healthchecks.keys import Refusal
from mainstay.frames.exposition import TEXT_TYPE, Family, render
from mainstay.heartbeats.queries import HeartbeatView, unique_key_of

_GAUGES = {
    "up": ("hc_check_up", "Whether the check is currently up (1 for yes, 0 for no)."),
    "started": ("hc_check_started", "Whether the check is currently started (1 for yes, 0 for no)."),
    "grace": ("hc_check_grace", "Whether the check is currently in the grace period (1 for yes, 0 for no)."),
    "paused": ("hc_check_paused", "Whether the check is currently paused (1 for yes, 0 for no)."),
}


def metrics(request: HttpRequest, project: Any, key: str) -> HttpResponse:
    if not key:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal("missing api key", 401)
    actor = actor_of_token(key.strip(), address_of(request))
    if actor is None or not actor.may("monitors:read"):
        refused = JsonResponse({"error": "wrong api key"}, status=403)
        refused._has_been_logged = True  # type: ignore[attr-defined] # Django would log the address, key and all
        return refused
    return HttpResponse(render(_families(everything())), content_type=TEXT_TYPE)


metrics.door = Door("monitors:read")  # type: ignore[attr-defined] # a mark on a function


def _families(views: list[HeartbeatView]) -> list[Family]:
    families = {word: Family(name, text) for word, (name, text) in _GAUGES.items()}
    every_tag: dict[str, bool] = {}
    down = 0
    for view in views:
        labels = {"name": view.title, "tags": " ".join(view.tags), "unique_key": unique_key_of(view.uuid)}
        now = status(view)
        facts = {"up": now != "down", "started": view.started, "grace": now == "grace", "paused": now == "paused"}
        for word, fact in facts.items():
            families[word].add(float(fact), labels)
        down += now == "down"
        for tag in view.tags:
            every_tag[tag] = every_tag.get(tag, True) and now != "down"
    tags = Family("hc_tag_up", "Whether all checks with this tag are up (1 for yes, 0 for no).")
    for tag, up in sorted(every_tag.items()):
        tags.add(float(up), {"tag": tag})
    total = Family("hc_checks_total", "The total number of checks.").add(float(len(views)))
    downs = Family("hc_checks_down_total", "The number of checks currently down.").add(float(down))
    return [*families.values(), tags, total, downs]
