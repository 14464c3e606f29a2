"""Pages of alerts for people who are signed in: what is open, and one alert from its first failure to its end."""

from __future__ import annotations

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
from mainstay.alerting.background import said_of
from mainstay.alerting.card import MUTES
from mainstay.alerting.showing import comes_next, evidence_of, step_of, told_of, why_of
from mainstay.frames.web.shapes import Problem
from mainstay.kernel.duration import parse_duration
from mainstay.kernel.errors import UserError
from mainstay.kernel.wording import lasting

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert
    from mainstay.store.requests import PageRequest

_PAGE = 50
_SEVERITIES = ("P0", "P1", "P2", "P3")


@dataclass(frozen=True, slots=True)
class Row:
    """An alert with what a list shows of it."""

    alert: Alert
    state: str
    url: str

    @property
    def look(self) -> str:
        return self.alert.level if self.alert.is_open else "up"

    @property
    def is_muted(self) -> bool:
        return self.state == "muted"

    @property
    def shown(self) -> Problem:
        alert, quiet = self.alert, self.state in ("suppressed", "muted")
        return Problem(
            look="paused" if quiet else alert.level,
            title=alert.title,
            url=self.url,
            severity=alert.severity,
            since=alert.since,
            why=(alert.message or alert.reason).replace("_", " "),
            code="" if alert.schedule else alert.code,
            badge=self.state if self.state != "firing" else "",
            icon="mute" if quiet else "",
            key=alert.id,
            acknowledge="" if alert.acknowledged_at else f"{self.url}acknowledge",
        )

    @property
    def lasted(self) -> float:
        alert = self.alert
        return (time.time() if alert.resolved_at is None else alert.resolved_at) - alert.since


def row_of(alert: Alert, now: float) -> Row:
    return Row(alert, alert.state(now), f"/alerts/{alert.id}/")


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
    opened = [row for row in rows if row.alert.is_open]
    may_alert = request.actor.may_some("alerts:write")
    total = queries.open_count(request.actor.limits)
    context = {
        "open_rows": opened,
        "picking": may_alert and len(opened) > 1,
        "over_rows": [row for row in rows if not row.alert.is_open],
        "asked": asked,
        "filtered": bool(kept),
        "severities": _SEVERITIES,
        "previous": "?" + urlencode({**kept, "page": page - 1}) if page > 1 else "",
        "next": "?" + urlencode({**kept, "page": page + 1}) if len(found) > _PAGE else "",
        "open_total": total,
        "about": f"{total} open. Most severe first." if total else "Nothing is open.",
        "mutes": MUTES,
        "may_alert": may_alert,
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "alerting/list.html", context)


@require_GET
def alert_page(request: PageRequest, alert_id: str) -> HttpResponse:
    """One alert: what, since when, who was told, what happened."""
    request.actor.require_some("alerts:read")
    alert = queries.whole_alert(alert_id, request.actor.limits)
    now = time.time()
    evidence, phases = evidence_of(alert)
    context = {
        "evidence": evidence,
        "phases": phases,
        "row": row_of(alert, now),
        "alert": alert,
        "deliveries": [told_of(delivery, now) for delivery in alert.notifications],
        "why": why_of(alert),
        "next": comes_next(alert, now),
        "timeline": [step_of(entry) for entry in alert.journal],
        "said": said_of(alert),
    }
    return render(request, "alerting/one.html", context)


@require_POST
def alert_order(request: PageRequest, alert_id: str, order: str) -> HttpResponse:
    """Do one thing to one alert, then go back to where the visitor was."""
    if order not in _ORDERS:
        raise UserError(f"an alert cannot be asked to `{order[:20]}`", hint=", ".join(_ORDERS))
    messages.success(request, _ORDERS[order](request, alert_id))
    return go_back(request, f"/alerts/{quote(alert_id)}/")


@require_POST
def alert_orders(request: PageRequest) -> HttpResponse:
    """Do one thing to all alerts that were ticked."""
    order, ids = request.POST.get("order", ""), request.POST.getlist("ids")
    if order not in verbs.IN_BULK:
        raise UserError(f"alerts cannot be asked to `{order[:20]}`", hint=", ".join(verbs.IN_BULK))
    asked = verbs.Order(order, until=_until(request) if order == "mute" else 0.0, reason=request.POST.get("reason", ""))
    outcome = verbs.order_alerts(request.actor, ids, asked)
    if not ids:
        messages.warning(request, "Nothing was selected.")
    elif outcome.done:
        messages.success(request, f"{_DONE[order]}: {len(outcome.done)}.")
    for alert_id, why in outcome.refused.items():
        messages.warning(request, f"{alert_id}: {why}")
    return go_back(request, "/alerts/")


_DONE = {
    "acknowledge": "Acknowledged",
    "unacknowledge": "Unacknowledged",
    "mute": "Muted",
    "unmute": "Unmuted",
    "resolve": "Closed",
}


def _acknowledge(request: PageRequest, alert_id: str) -> str:
    return f"{verbs.acknowledge_alert(request.actor, alert_id).title}: acknowledged."


def _unacknowledge(request: PageRequest, alert_id: str) -> str:
    return f"{verbs.unacknowledge_alert(request.actor, alert_id).title}: no longer acknowledged."


def _mute(request: PageRequest, alert_id: str) -> str:
    until = _until(request)
    verbs.mute_alert(request.actor, alert_id, until)
    return f"Muted for {lasting(until - time.time())}. It is still monitored."


def _unmute(request: PageRequest, alert_id: str) -> str:
    verbs.unmute_alert(request.actor, alert_id)
    return "Unmuted. Channels that missed a message are notified now."


def _note(request: PageRequest, alert_id: str) -> str:
    noted = verbs.note_alert(request.actor, alert_id, request.POST.get("note", "").replace("\r\n", "\n"))
    return "The note is saved." if noted.note else "The note was removed."


def _resolve(request: PageRequest, alert_id: str) -> str:
    return f"{verbs.resolve_alert(request.actor, alert_id, request.POST.get('reason', '')).title}: closed."


def _send(request: PageRequest, alert_id: str) -> str:
    told = verbs.send_alert(request.actor, alert_id)
    return f"On its way to {', '.join(told)}." if told else "Every channel that it goes to has been notified already."


_ORDERS = {
    "acknowledge": _acknowledge,
    "unacknowledge": _unacknowledge,
    "mute": _mute,
    "unmute": _unmute,
    "note": _note,
    "resolve": _resolve,
    "send": _send,
}


def go_back(request: PageRequest, otherwise: str) -> HttpResponseRedirect:
    """To where the visitor came from, as the form says, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/")
    return HttpResponseRedirect(wanted if safe else otherwise)


def _until(request: PageRequest) -> float:
    return time.time() + _mute_length(request.POST.get("for", ""))


def _mute_length(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(str(error), hint="such as 2h") from None


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1
