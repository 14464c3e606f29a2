"""On-call for people: who is on duty, the calendar, a schedule, a policy as a ladder, and what anybody may change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.accounts.doors import public
from mainstay.frames.boot import current_settings
from mainstay.kernel.errors import NotFound, UserError
from mainstay.oncall import feeds, verbs, view
from mainstay.oncall.moments import instant
from mainstay.oncall.queries import Duty, duty, named_by

if TYPE_CHECKING:
    from django.http import HttpRequest

    from mainstay.oncall.rules.duty import Schedule
    from mainstay.store.requests import PageRequest

_ANSWERS: dict[str, verbs.Answer] = {"accept": "accepted", "decline": "declined", "withdraw": "withdrawn"}
_DONE = {"accepted": "The shift has changed hands.", "declined": "Declined.", "withdrawn": "Withdrawn."}


@dataclass(frozen=True, slots=True)
class Span:
    """What a calendar shows: a week or a month, and the links to those beside it."""

    sort: str
    first: date
    count: int
    month: int
    title: str
    before: str
    after: str


@require_GET
def overview(request: PageRequest) -> HttpResponse:
    request.actor.require("oncall:read")
    now = time.time()
    known = duty(now)
    context = {
        "views": [view.schedule_view(known, name, now) for name in sorted(known.schedules)],
        "policies": sorted(known.policies),
        **_calendar(request, known, [known.schedules[name] for name in sorted(known.schedules)], now),
        **_mine(request, now),
    }
    return render(request, "oncall/overview.html", context)


@require_GET
def schedule_page(request: PageRequest, name: str) -> HttpResponse:
    request.actor.require("oncall:read")
    return _schedule_page(request, name)


def _schedule_page(request: PageRequest, name: str, feed_url: str = "") -> HttpResponse:
    now = time.time()
    known = duty(now)
    shown = view.schedule_view(known, name, now)
    schedule = known.schedules[name]
    context = {
        "view": shown,
        "about": f"Times are those of {shown.timezone}.",
        "feed_url": feed_url,
        "outlook": view.outlook(known, name, now, view.YEAR),
        "changes": view.changes(now, name),
        "asked": _asked(request, schedule, now),
        **_calendar(request, known, [schedule], now),
        **_mine(request, now),
    }
    return render(request, "oncall/schedule.html", context)


@require_GET
def policy_page(request: PageRequest, name: str) -> HttpResponse:
    request.actor.require("oncall:read")
    now = time.time()
    known = duty(now)
    policy = known.policy(name)
    if policy is None:
        raise NotFound(f"there is no escalation policy `{name[:100]}`")
    rungs, passed = [], 0.0
    for step in policy.steps:
        passed += step.after
        rungs.append({"step": step, "passed": passed, "targets": [_target(known, text, now) for text in step.to]})
    may_write = request.actor.may("resources:write")
    about = policy.description or "Who is paged, one step after the other, until somebody acknowledges."
    return render(
        request,
        "oncall/policy.html",
        {"name": name, "about": about, "policy": policy, "rungs": rungs, "may_write": may_write},
    )


def _target(known: Duty, text: str, now: float) -> dict[str, Any]:
    """A target of a step, and who that is now."""
    kind, _, name = text.partition("/")
    people: tuple[str, ...] = ()
    if kind == "schedule":
        people = tuple(one.person for one in known.on_duty(name, now))
    if kind == "team":
        people = known.members(name)
    address = f"/oncall/schedules/{quote(name)}/" if kind == "schedule" else f"/resources/{kind}/{quote(name)}/"
    return {
        "kind": kind,
        "name": name,
        "people": people,
        "address": address,
        "empty": kind == "schedule" and not people,
    }


@require_POST
def override(request: PageRequest) -> HttpResponse:
    """Change who is on duty for a while; of `add` and `remove` one may be empty."""
    asked = request.POST
    schedule = asked.get("schedule", "")
    verbs.override(
        request.actor,
        schedule,
        _span(asked, schedule),
        add=asked.get("add", ""),
        remove=asked.get("remove", ""),
        note=asked.get("note", ""),
    )
    messages.success(request, "Overridden.")
    return _to(schedule)


@require_POST
def change_remove(request: PageRequest, sort: str, identifier: str) -> HttpResponse:
    """Remove an override or a temporary schedule, or end it now."""
    remove = verbs.remove_temporary if sort == "temporary" else verbs.remove_override
    removed = remove(request.actor, identifier)
    messages.success(request, "Removed." if removed else "It was over already.")
    return _to(request.POST.get("schedule", ""))


@require_POST
def swap(request: PageRequest) -> HttpResponse:
    """Ask somebody to take a shift."""
    asked = request.POST
    schedule = asked.get("schedule", "")
    people = (asked.get("remove", ""), asked.get("add", ""))
    verbs.ask_swap(request.actor, schedule, _span(asked, schedule), people, note=asked.get("note", ""))
    messages.success(request, f"{people[1]} was asked.")
    return _to(schedule)


@require_POST
def swap_answer(request: PageRequest, identifier: str) -> HttpResponse:
    """Accept, decline or withdraw."""
    answer = _ANSWERS.get(request.POST.get("answer", ""))
    if answer is None:
        raise UserError("an answer is accept, decline or withdraw", hint="use the buttons")
    verbs.answer_swap(request.actor, identifier, answer)
    messages.success(request, _DONE[answer])
    return HttpResponseRedirect("/oncall/")


@require_POST
def schedule_feed(request: PageRequest, name: str) -> HttpResponse:
    """A new calendar address, shown this once."""
    from mainstay.oncall.contact_verbs import make_feed

    return _schedule_page(request, name, feed_address(make_feed(request.actor, "schedule", name)))


def feed_address(secret: str) -> str:
    return f"{current_settings().base_url}/oncall/feed/{secret}.ics"


@public
@require_GET
def feed(_request: HttpRequest, secret: str) -> HttpResponse:
    """The calendar at a secret address."""
    text = feeds.feed(secret, time.time())
    if text is None:
        raise NotFound("there is no calendar at this address", hint="make a new address on the page of on-call")
    answer = HttpResponse(text, content_type="text/calendar; charset=utf-8")
    answer["Cache-Control"] = "private, max-age=300"
    return answer


def _mine(request: PageRequest, now: float) -> dict[str, Any]:
    """What the visitor is asked, and may do."""
    me = named_by(request.actor)
    may_write = request.actor.may("oncall:write")
    waiting = [one for one in view.swaps(now) if may_write or me in (one.giver, one.taker)]
    return {"me": me, "may_plan": may_write, "may_take": may_write or bool(me), "swaps": waiting}


def _calendar(request: PageRequest, known: Duty, schedules: list[Schedule], now: float) -> dict[str, Any]:
    span = _shown(request, schedules, now)
    days = view.calendar(schedules, span.first, span.count, now, span.month)
    weeks = [days[start : start + 7] for start in range(0, len(days), 7)]
    return {"span": span, "weeks": weeks, "several": len(schedules) > 1, "people": sorted(known.people)}


def _shown(request: PageRequest, schedules: list[Schedule], now: float) -> Span:
    """The week or month of `?view=` and `?date=`; by default this week."""
    zone = schedules[0].clock.zone if schedules else None
    today = datetime.fromtimestamp(now, zone).date()
    try:
        asked = date.fromisoformat(request.GET.get("date", ""))
        asked = asked if 2000 <= asked.year <= 2100 else today
    except ValueError:
        asked = today
    if request.GET.get("view") == "month":
        first = asked.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
        begin = first - timedelta(days=first.weekday())
        count = ((after - begin).days + 6) // 7 * 7
        before = (first - timedelta(days=1)).replace(day=1)
        return Span("month", begin, count, first.month, f"{first:%B %Y}", before.isoformat(), after.isoformat())
    begin = asked - timedelta(days=asked.weekday())
    week = timedelta(days=7)
    title = f"{begin:%-d %B} to {begin + timedelta(days=6):%-d %B %Y}"
    return Span("week", begin, 7, 0, title, (begin - week).isoformat(), (begin + week).isoformat())


def _asked(request: PageRequest, schedule: Schedule, now: float) -> dict[str, str]:
    """What the form of an override begins with: a line of the calendar that was chosen, or the next eight hours."""
    hour = int(now // 3600 + 1) * 3600
    found = {"start": str(hour), "end": str(hour + 8 * 3600)} | {key: request.GET[key] for key in request.GET}
    times = {}
    for key in ("start", "end"):
        text = found[key] if found[key].isdecimal() and len(found[key]) < 12 else str(hour)
        times[key] = datetime.fromtimestamp(int(text), schedule.clock.zone).strftime("%Y-%m-%dT%H:%M")
    return times | {"add": found.get("add", ""), "remove": found.get("remove", "")}


def _span(asked: Any, schedule: str) -> tuple[float, float]:
    zone = view.zone_of(schedule)
    try:
        return instant(asked.get("start", ""), zone), instant(asked.get("end", ""), zone, last=True)
    except ValueError as error:
        raise UserError(str(error), hint="such as 2026-12-07T09:00") from None


def _to(schedule: str) -> HttpResponse:
    return HttpResponseRedirect(f"/oncall/schedules/{quote(schedule)}/" if schedule else "/oncall/")
