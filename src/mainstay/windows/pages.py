"""Maintenance: the page of windows (now, next, past), and maintenance of one monitor or heartbeat for a while."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.kernel.clock import to_iso
from mainstay.kernel.duration import parse_duration
from mainstay.kernel.errors import UserError
from mainstay.kernel.windows import rule_words
from mainstay.windows import queries, verbs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.store.requests import PageRequest
    from mainstay.windows.queries import Window

_BACK = 30 * 86_400.0
_PAST = 20  # that are shown


@dataclass(frozen=True, slots=True)
class Row:
    """One period of a window, or a window without one to come."""

    window: Window
    period: tuple[float, float] | None

    @property
    def calendar(self) -> str:
        """When it recurs, in words; empty for one that does not."""
        if not self.window.rule:
            return ""
        begins, ends = self.window.bounds
        since = f", from {to_iso(begins)[:10]}" if begins else ""
        until = f", until {to_iso(ends)[:10]}" if ends != math.inf else ""
        return f"{rule_words(self.window.rule)} {self.window.zone.key}{since}{until}"


@require_GET
def window_list(request: PageRequest) -> HttpResponse:
    request.actor.require("monitors:read")
    now = time.time()
    windows = queries.declared()
    context = {
        "current": [Row(one, one.active(now)) for one in queries.active(windows, now)],
        "coming": _coming(windows, now),
        "past": _past(windows, now),
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "windows/list.html", context)


def _coming(windows: Sequence[Window], now: float) -> list[Row]:
    """The next period of each, soonest first; one that recurs and never comes again is shown last."""
    rows = [Row(one, one.next_after(now)) for one in windows]
    kept = [row for row in rows if row.period or row.window.rule]
    return sorted(kept, key=lambda row: row.period or (float("inf"), 0.0))


def _past(windows: Sequence[Window], now: float) -> list[Row]:
    """Periods that are over, newest first: of the last 30 days, and what did not recur whenever it was."""
    rows = [Row(one, one.period) for one in windows if one.period and one.period[1] <= now]
    for one in windows:
        if one.rule:
            since = queries.in_force_since(one.name)  # before, it covered nothing
            found = queries.upcoming(now - _BACK, now, [one])
            rows += [Row(one, (period.start, period.end)) for period in found if since < period.end <= now]
    return sorted(rows, key=lambda row: row.period or (0.0, 0.0), reverse=True)[:_PAST]


@require_POST
def window_end(request: PageRequest, name: str) -> HttpResponse:
    """End a window that does not recur before its time."""
    ended = verbs.end_window(request.actor, name)
    messages.success(request, f"{name} is over." if ended else f"{name} was over already.")
    return HttpResponseRedirect("/windows/")


@require_POST
def maintenance(request: PageRequest) -> HttpResponse:
    """Begin or end maintenance of one monitor or heartbeat."""
    asked = request.POST
    kind: verbs.Subject = "heartbeat" if asked.get("kind") == "heartbeat" else "monitor"
    name = asked.get("name", "")
    if asked.get("order") == "end":
        ended = verbs.end_maintenance(request.actor, name, kind=kind)
        messages.success(request, f"Maintenance of {name} is over." if ended else f"{name} was not in maintenance.")
    else:
        made = verbs.begin_maintenance(request.actor, name, _seconds(asked), asked.get("reason", ""), kind=kind)
        messages.success(request, f"{name} is in maintenance until {to_iso(made.end)[:16].replace('T', ' ')} UTC.")
    return HttpResponseRedirect(f"/{kind}s/{quote(name)}/")


def _seconds(asked: dict[str, str]) -> float:
    """What was typed counts before the button that was pressed."""
    text = asked.get("custom", "").strip() or asked.get("for", "")
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(str(error), hint="say how long it takes, such as 90m, 3h or 2d") from None
