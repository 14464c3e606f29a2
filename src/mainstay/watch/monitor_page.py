"""The page of one monitor: how it is, how fast, since when, what was found, who was told, what is declared."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.frames.web.forms.words import label_of
from mainstay.frames.web.shapes import Step
from mainstay.kernel.capability import shown
from mainstay.kernel.errors import UserError
from mainstay.kernel.wording import lasting, votes_in_words
from mainstay.store.resources.export import export_yaml
from mainstay.store.resources.queries import history
from mainstay.store.resources.queries import resource as find_resource
from mainstay.watch import queries, verbs
from mainstay.watch.charts import FIGURES, RANGES, UNTIMED, USUAL, figures_chart, response_chart, window_of
from mainstay.watch.erasing import erase_history
from mainstay.watch.places import places_of
from mainstay.watch.results import current
from mainstay.watch.results.history import HISTORY, periods
from mainstay.watch.results.pictures import INLINE, NAME
from mainstay.watch.traces import TRACE, picture_address
from mainstay.windows.queries import own_window

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest
    from mainstay.watch.queries import Happening
    from mainstay.watch.results.values import Sample

DAYS = 90
_RESULTS = 25


@dataclass(frozen=True, slots=True)
class Found:
    """One result with its evidence as a list shows it."""

    sample: Sample
    facts: list[tuple[str, str]]
    excerpt: str
    picture: str = ""  # a page as the check saw it: an address, relative to the monitor's page
    trace: str = ""  # name of the file that holds what the browser did


@require_GET
def monitor_page(request: PageRequest, name: str) -> HttpResponse:
    """One monitor, with the chart of the range that was asked for."""
    request.actor.require_some("monitors:read")
    view = queries.monitor(name, request.actor.limits)
    now = time.time()
    chosen = request.GET.get("range", USUAL)
    chosen = chosen if chosen in RANGES else USUAL
    telemetry = current()
    window = window_of(view.uid, view.interval, chosen, now)
    latest = telemetry.latest(view.uid, _RESULTS)
    resource = find_resource("monitor", name)
    context = {
        "view": view,
        "waiting": view.state == "unknown" and view.last is None and not latest,
        "spec": resource.spec,
        "url": f"/monitors/{quote(view.name)}/",
        "ranges": list(RANGES),
        "range": chosen,
        "chart": None if view.kind in UNTIMED else response_chart(telemetry, view.uid, window),
        "figures": figures_chart(telemetry, view.kind, view.uid, window),
        "has_figures": view.kind in FIGURES,
        "uptimes": periods(view.uid, now),
        "line": HISTORY.lines([view.uid], DAYS, now)[view.uid],
        "days": DAYS,
        "results": [found(sample) for sample in latest],
        # Another server may have checked it since, and keep the result to itself.
        "newest": latest[0] if latest and (view.last is None or latest[0].at >= view.last.at) else None,
        "happenings": [happened(one) for one in queries.transitions(name, limit=15)],
        "places": places_of(view, resource.spec, window),
        "own_window": own_window(resource, now),
        "resource": resource,
        "text": export_yaml([resource]),
        "revisions": history("monitor", name, limit=5),
        "may_check": request.actor.may_some("monitors:check"),
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "watch/one.html", context)


def found(sample: Sample) -> Found:
    """Evidence as question and answer; a long excerpt is kept apart."""
    facts: list[tuple[str, str]] = []
    excerpt = picture = trace = ""
    for key, value in sample.evidence.items():
        if key == "phases":
            continue
        if isinstance(value, str) and (value.startswith(INLINE) or NAME.fullmatch(value)):
            picture = picture_address(value)
            continue
        if key == "trace" and isinstance(value, str) and TRACE.fullmatch(value):
            trace = value
            continue
        if key == "locations" and isinstance(value, dict):
            facts.append((key, votes_in_words(value)))
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if "\n" in text or len(text) > 200:
            excerpt = text[:4000]
        else:
            facts.append((label_of(key, ""), text))
    return Found(sample, facts, excerpt, picture, trace)


def happened(one: Happening) -> Step:
    look, words = shown(f"monitor.{one.kind}")
    note = f"was down for {lasting(one.downtime)}" if one.downtime else ""
    return Step(one.at, look, words, one.message or one.reason.replace("_", " "), note)


@require_POST
def monitor_order(request: PageRequest, name: str, order: str) -> HttpResponse:
    """Check now, pause or resume one monitor, or erase its history."""
    if order == "check":
        verbs.check_now(request.actor, [name])
        told = "Checking now. The result shows up here."
    elif order == "pause":
        verbs.pause_monitors(request.actor, [name])
        told = f"{name} is paused. It is not checked and notifies nobody."
    elif order == "resume":
        verbs.resume_monitors(request.actor, [name])
        told = f"{name} is checked again."
    elif order == "erase":
        erase_history(request.actor, name)
        told = f"All results of {name} up to now are being deleted. This takes about a minute."
    else:
        raise UserError(f"a monitor cannot be asked to `{order[:20]}`", hint="check, pause, resume or erase")
    messages.success(request, told)
    return HttpResponseRedirect(f"/monitors/{quote(name)}/")
