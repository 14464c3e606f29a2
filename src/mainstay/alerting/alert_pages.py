"""Pages of alerts for people who are signed in: what is open, and one alert from its first failure to its end."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from mainstay.alerting import queries, verbs
from mainstay.kernel.duration import parse_duration
from mainstay.kernel.errors import UserError
from mainstay.kernel.event_words import SHOWN
from mainstay.kernel.wording import lasting, votes_in_words

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert, Delivery
    from mainstay.store.journal import Entry
    from mainstay.store.requests import PageRequest

_PAGE = 50
_SEVERITIES = ("P0", "P1", "P2", "P3")
MUTES = (("30m", "30 minutes"), ("2h", "2 hours"), ("8h", "8 hours"), ("1d", "a day"), ("7d", "a week"))


@dataclass(frozen=True, slots=True)
class Row:
    """An alert with what a list shows of it."""

    alert: Alert
    state: str
    url: str
    subject_url: str

    @property
    def lasted(self) -> float:
        alert = self.alert
        return (time.time() if alert.resolved_at is None else alert.resolved_at) - alert.since


_PLACES = {"monitor": "/monitors/{}/", "heartbeat": "/heartbeats/{}/", "location": "/locations/#{}"}


def row_of(alert: Alert, now: float) -> Row:
    kind, _, name = alert.subject.partition("/")
    return Row(alert, alert.state(now), f"/alerts/{alert.id}/", _PLACES.get(kind, "/health/").format(quote(name)))


@require_GET
def alert_list(request: PageRequest) -> HttpResponse:
    """Open ones first, then what is over."""
    request.actor.require_some("alerts:read")
    asked = {name: request.GET.get(name, "").strip()[:100] for name in ("q", "status", "severity", "subject")}
    page = _number(request.GET.get("page", "1"))
    status = asked["status"] if asked["status"] in ("firing", "resolved") else ""
    found = queries.alerts(
        status=status,  # type: ignore[arg-type]  # checked above
        severity=asked["severity"] if asked["severity"] in _SEVERITIES else "",
        subject=asked["subject"],
        text=asked["q"],
        limit=_PAGE + 1,
        offset=(page - 1) * _PAGE,
        limits=request.actor.limits,
    )
    now = time.time()
    rows = [row_of(alert, now) for alert in found[:_PAGE]]
    kept = {name: value for name, value in asked.items() if value}
    context = {
        "open_rows": [row for row in rows if row.alert.is_open],
        "over_rows": [row for row in rows if not row.alert.is_open],
        "asked": asked,
        "filtered": bool(kept),
        "severities": _SEVERITIES,
        "previous": "?" + urlencode({**kept, "page": page - 1}) if page > 1 else "",
        "next": "?" + urlencode({**kept, "page": page + 1}) if len(found) > _PAGE else "",
        "open_total": queries.open_count(request.actor.limits),
        "may_alert": request.actor.may_some("alerts:write"),
    }
    return render(request, "alerting/list.html", context)


@require_GET
def alert_page(request: PageRequest, alert_id: str) -> HttpResponse:
    """One alert: what, since when, who was told, what happened."""
    request.actor.require_some("alerts:read")
    alert = queries.alert(alert_id, request.actor.limits)
    now = time.time()
    evidence, phases = evidence_of(alert)
    context = {
        "evidence": evidence,
        "phases": phases,
        "row": row_of(alert, now),
        "alert": alert,
        "labels": {name: value for name, value in alert.labels.items() if name not in ("monitor", "heartbeat")},
        "muted": alert.muted_until is not None and alert.muted_until > now,
        "deliveries": [told_of(delivery) for delivery in queries.notifications_of_alert(alert.id)],
        "timeline": [step_of(entry) for entry in queries.journal_of(alert)],
        "mutes": MUTES,
        "may_alert": request.actor.may_some("alerts:write"),
    }
    return render(request, "alerting/one.html", context)


@dataclass(frozen=True, slots=True)
class Told:
    """A notification in words."""

    delivery: Delivery
    words: str


def told_of(delivery: Delivery) -> Told:
    kinds = {"firing": "that it began", "resolved": "that it is over", "test": "a test", "report": "a report"}
    words = kinds[delivery.kind]
    return Told(delivery, words)


def evidence_of(alert: Alert) -> tuple[list[tuple[str, str]], dict[str, float]]:
    """(question, answer) pairs of the evidence, and the phases of its check in seconds."""
    phases, answers = {}, []
    for key, value in alert.evidence.items():
        if key == "phases" and isinstance(value, dict):
            phases = {name: float(length) for name, length in value.items() if isinstance(length, int | float)}
        elif key == "duration" and isinstance(value, int | float):
            answers.append(("Took", f"{value * 1000:.0f} ms"))
        elif key == "locations" and isinstance(value, dict):
            answers.append(("Locations", votes_in_words(value)))
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            answers.append((key.replace("_", " ").capitalize(), text[:2000]))
    return answers, phases


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a timeline."""

    at: float
    look: str
    title: str
    text: str
    actor: str


def step_of(entry: Entry) -> Step:
    """A journal entry as a line of a timeline."""
    look, title = SHOWN.get(entry.kind, ("clock", entry.kind))
    data = entry.data
    lasted = data.get("seconds_open", data.get("seconds"))  # older entries call it so
    if entry.kind.startswith("notification."):
        title = f"{title}: {data.get('channel', '')}"
        text = str(data.get("error") or data.get("reason") or "")
    elif entry.kind == "alert.resolved" and isinstance(lasted, int | float):
        text = f"{data.get('reason', '')}, after {lasting(lasted)}".removeprefix(", ")
    else:
        text = str(data.get("message") or data.get("note") or data.get("until") or data.get("reason") or "")
    return Step(entry.at, look, title, text.replace("_", " ")[:300], entry.actor)


@require_POST
def alert_order(request: PageRequest, alert_id: str, order: str) -> HttpResponse:
    """Acknowledge, mute or unmute one alert, then go back to where the visitor was."""
    if order == "acknowledge":
        alert = verbs.acknowledge_alert(request.actor, alert_id)
        told = f"{alert.title}: it is yours now."
    elif order == "mute":
        seconds = _mute_length(request.POST.get("for", ""))
        verbs.mute_alert(request.actor, alert_id, time.time() + seconds)
        told = f"Muted for {lasting(seconds)}. It is still watched."
    elif order == "unmute":
        verbs.unmute_alert(request.actor, alert_id)
        told = "Unmuted."
    else:
        raise UserError(f"an alert cannot be asked to `{order[:20]}`", hint="acknowledge, mute or unmute it")
    messages.success(request, told)
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/")
    return HttpResponseRedirect(wanted if safe else f"/alerts/{quote(alert_id)}/")


def _mute_length(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(str(error), hint="such as 2h") from None


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1
