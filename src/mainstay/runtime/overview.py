"""The overview: what is wrong first, with evidence and since when; then everything, grouped, with its history."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods
from pydantic import ValidationError

from mainstay.alerting.queries import Alert, channel_health, open_alerts_by_subject
from mainstay.heartbeats.queries import heartbeats
from mainstay.kernel.errors import InvalidInput, UserError
from mainstay.kernel.resource import KINDS
from mainstay.runtime.rows import Problem, Row, counts, groups, heartbeat_row, lines_for, monitor_row, problems
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import resources, revisions
from mainstay.watch.queries import MonitorFilter, monitors
from mainstay.watch.targets import free_name, monitor_from_address, same_form

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest

DAYS = 60
_PROBLEMS = 10  # told in full; the others are one click away
_UNFOLDED = 12  # monitors and heartbeats in all, up to which groups are open


@dataclass(frozen=True, slots=True)
class Notice:
    look: str
    title: str
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The first line of the page. What each trouble is stands in the list below it, once."""

    total: int
    down: int
    look: str
    sentence: str
    detail: str = ""


@require_GET
def overview(request: PageRequest) -> HttpResponse:
    request.actor.require_some("monitors:read")
    return _page(request)


@dataclass(frozen=True, slots=True)
class Adding:
    """What came of the form that adds an address, where it must be shown again."""

    address: str = ""
    problem: str = ""
    known: Sequence[str] = ()  # monitors that watch this address already


def _page(request: PageRequest, adding: Adding = Adding(), *, status: int = 200) -> HttpResponse:
    now = time.time()
    limits = request.actor.limits
    rows = [
        *map(monitor_row, monitors(MonitorFilter(limits=limits))),
        *map(heartbeat_row, heartbeats(limits=limits)),
    ]
    alerts = open_alerts_by_subject([f"{row.kind}/{row.name}" for row in rows] if limits else None)
    wrong = problems(rows, alerts, now)
    shown = groups(rows)
    context = {
        "summary": summarize(rows, wrong),
        "counts": counts(rows),
        "notices": _notices(alerts) if rows and not limits else [],
        "problems": wrong[:_PROBLEMS],
        "problems_more": max(0, len(wrong) - _PROBLEMS),
        "groups": shown,
        "unfolded": len(rows) <= _UNFOLDED,
        "lines": lines_for(shown, DAYS, now),
        "days": DAYS,
        "may_write": request.actor.may("resources:write"),
        "may_alert": request.actor.may_some("alerts:write"),
        "adding": adding,
    }
    return render(request, "runtime/overview.html", context, status=status)


def summarize(rows: Sequence[Row], wrong: Sequence[Problem]) -> Summary:
    states = [item.row.state for item in wrong]
    total = len(rows)
    if wrong:
        look = "down" if "down" in states else "degraded" if {"degraded", "late"} & set(states) else "unknown"
        sentence = "1 thing is wrong" if len(wrong) == 1 else f"{len(wrong)} things are wrong"
        return Summary(total, states.count("down"), look, sentence)
    if all(row.state == "paused" for row in rows):
        return Summary(total, 0, "paused", "Everything is paused", "Nothing is checked.")
    waiting = sum(1 for row in rows if row.waiting or row.state == "new")
    if not waiting:
        return Summary(total, 0, "up", "Everything that is watched is up", "Nothing needs you.")
    if waiting == sum(1 for row in rows if row.state != "paused"):
        return Summary(total, 0, "unknown", "Waiting for the first results", "They appear here as soon as they are in.")
    detail = f"{waiting} still waiting for a first result."
    return Summary(total, 0, "up", "What has reported so far is up", detail)


def _notices(alerts: Mapping[str, Alert]) -> list[Notice]:
    """What lies on our own side: the network, a rejected file, channels that do not get through."""
    found = []
    uplink = next((alert for subject, alert in alerts.items() if subject.startswith("uplink")), None)
    if uplink is not None:
        text = "Results are unknown until it is back. No downtime is counted."
        found.append(Notice("unknown", "This machine has no network", text, f"/alerts/{uplink.id}/"))
    silent = sorted(subject.partition("/")[2] for subject in alerts if subject.startswith("location/"))
    if silent:
        text = "Monitors that need their votes are unknown until they report again."
        found.append(Notice("unknown", f"No reports from {', '.join(silent[:5])}", text, "/locations/"))
    rejected = next(entries(Filter(kind="config.rejected"), limit=1), None)
    if rejected is not None and not _applied_since(rejected.at):
        text = f"{rejected.data.get('file', 'The file')} has mistakes, so nothing of it was applied."
        found.append(
            Notice("degraded", "A configuration file was rejected", text, f"/journal/?subject={rejected.subject}")
        )
    failing = [channel.name for channel in channel_health() if channel.problem]
    if failing:
        text = f"{', '.join(failing[:5])}: the newest message did not get through."
        found.append(Notice("degraded", "Notifications may be missed", text, "/channels/"))
    return found


def _applied_since(at: float) -> bool:
    newest = revisions(limit=1)
    return bool(newest) and newest[0].at > at


@require_http_methods(["GET", "POST"])
def add(request: PageRequest) -> HttpResponse:
    """Watch one more address, as typed into the form; one that is watched already only if `again` says so.

    The overview that tells of a mistake stands at this address, and is asked for anew here when something changes.
    """
    if request.method == "GET":
        return overview(request)
    request.actor.require("resources:write")
    address = request.POST.get("address", "").strip()[:2000]
    try:
        name, document = monitor_from_address(address)
        known = _watchers(document)
        if known and request.POST.get("again") != "1":
            return _page(request, Adding(address, known=known), status=409)
        name = free_name(name, {resource.name for resource in resources("monitor")})
        declare(request.actor, "monitor", name, document, manager="page", source=request.actor.name)
    except InvalidInput as error:
        first = next(iter(error.diagnostics), None)
        return _page(request, Adding(address, first.message if first else error.message), status=422)
    except UserError as error:
        return _page(request, Adding(address, f"{error.message}: {error.hint}"), status=422)
    messages.success(request, f"Watching {address} as {name}.")
    return HttpResponseRedirect(f"/monitors/{quote(name)}/")


def _watchers(document: dict[str, Any]) -> list[str]:
    """Monitors that check the same address in the same way; none if it is a mistake, of which `declare` tells."""
    kind = next(iter(document))
    try:
        spec: Any = KINDS["monitor"].validate(document)
    except ValidationError:
        return []
    place = same_form(spec.address)
    return [view.name for view in monitors(MonitorFilter(kind=kind)) if same_form(view.address) == place]
