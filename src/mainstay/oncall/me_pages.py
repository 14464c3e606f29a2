"""My page: am I on call, when next, how am I reached, and does it work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.kernel.errors import NotFound, UserError
from mainstay.oncall import contact_verbs, view
from mainstay.oncall.pages import feed_address
from mainstay.oncall.people_spec import NO_MEANS
from mainstay.oncall.queries import Duty, duty, named_by
from mainstay.oncall.rules.forecast import Shift, forecast
from mainstay.oncall.rules.reach import WORDS

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest

_AHEAD = 13.0  # weeks
_SEVERITIES = ("P0", "P1", "P2", "P3")
_SHOWN = 12  # shifts
WAYS = {
    "push": "Push notification",
    "email": "E-mail",
    "sms": "Text message",
    "call": "Phone call",
    "msteams": "Microsoft Teams",
}


@require_GET
def me(request: PageRequest) -> HttpResponse:
    request.actor.require("oncall:read")
    return _me(request)


def _me(request: PageRequest, feed_url: str = "") -> HttpResponse:
    now = time.time()
    name = named_by(request.actor)
    context: dict[str, Any] = {"name": name, "feed_url": feed_url, "may_declare": request.actor.may("resources:write")}
    if name:
        known = duty(now)
        mine = _shifts(known, name, now)
        context |= {
            "now": [one for one in mine if one[1].start <= now],
            "next": next((one for one in mine if one[1].start > now), None),
            "shifts": mine[:_SHOWN],
            "methods": [_method(known, one) for one in known.methods(name)],
            "reached": [_reached(known, name, severity, now) for severity in _SEVERITIES],
            "swaps": [one for one in view.swaps(now) if name in (one.giver, one.taker)],
            "me": name,
        }
    return render(request, "oncall/me.html", context)


def _shifts(known: Duty, name: str, now: float) -> list[tuple[str, Shift]]:
    """(schedule, shift), soonest first."""
    found = [
        (schedule.name, shift)
        for schedule in known.schedules.values()
        for shift in forecast(schedule, now, _AHEAD).shifts
        if shift.person == name
    ]
    return sorted(found, key=lambda one: (one[1].start, one[0]))


def _method(known: Duty, one: Any) -> dict[str, Any]:
    shown = next(
        (str(one.target[key]) for key in ("address", "number", "name", "topic", "user", "chat") if key in one.target),
        "",
    )
    return {
        "index": one.index,
        "words": WAYS.get(one.kind, one.kind.capitalize()),
        "shown": shown,
        "delay": one.delay,
        "severities": one.severities,
        "verified": known.is_verified(one.kind, one.target),
        "possible": one.kind not in NO_MEANS,
        "by_device": one.kind == "push",
    }


def _reached(known: Duty, name: str, severity: str, now: float) -> dict[str, Any]:
    found = known.reach(name, severity, now)
    ways = [(WAYS.get(one.kind, one.kind.capitalize()), one.delay) for one in found.methods]
    return {"severity": severity, "ways": ways, "why": WORDS[found.reason], "until": found.until}


@require_POST
def code(request: PageRequest) -> HttpResponse:
    """Have a code sent, or confirm one that came."""
    name, index = _own(request), _index(request)
    typed = request.POST.get("code", "")
    if typed:
        contact_verbs.confirm_code(request.actor, name, index, typed)
        messages.success(request, "Verified.")
    elif contact_verbs.ask_code(request.actor, name, index):
        messages.success(request, "A code is on its way. Type it in here within ten minutes.")
    else:
        messages.success(request, "It is verified already, or a code is on its way.")
    return HttpResponseRedirect("/oncall/me/")


@require_POST
def test(request: PageRequest) -> HttpResponse:
    """Have a test message sent by every way that may be used."""
    contact_verbs.ask_test(request.actor, _own(request))
    messages.success(request, "A test is on its way by every verified contact.")
    return HttpResponseRedirect("/oncall/me/")


@require_POST
def me_feed(request: PageRequest) -> HttpResponse:
    """A new calendar address, shown this once."""
    secret = contact_verbs.make_feed(request.actor, "person", _own(request))
    return _me(request, feed_address(secret))


def _own(request: PageRequest) -> str:
    name = named_by(request.actor)
    if not name:
        raise NotFound("no person has your e-mail address", hint="declare one with it")
    return name


def _index(request: PageRequest) -> int:
    text = request.POST.get("index", "")
    if not (text.isdecimal() and len(text) < 4):
        raise UserError("say which contact", hint="use the buttons")
    return int(text)
