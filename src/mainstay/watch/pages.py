"""Pages of monitors: the list with search, filters and orders for many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.frames.days import Line
from mainstay.frames.web.paging import turn
from mainstay.frames.web.templatetags.mainstay import latency
from mainstay.kernel.errors import InvalidInput, TooLarge, UserError
from mainstay.store.resources.apply import remove_all
from mainstay.store.resources.queries import by_uids
from mainstay.watch import queries, verbs
from mainstay.watch.queries import MonitorFilter
from mainstay.watch.results.history import HISTORY

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.store.requests import PageRequest
    from mainstay.watch.queries import MonitorView

PAGE = 50
DAYS = 60
_MANY = 10_000  # names that one order takes


@dataclass(frozen=True, slots=True)
class Row:
    """A monitor as the component `row` shows it."""

    name: str
    key: str
    url: str
    state: str
    since: float
    about: str
    latest: str
    badge: str
    tags: Sequence[str]
    line: Line | None
    in_file: bool  # a file manages it, and declares it again if it is deleted here
    picked: bool


def _row(view: MonitorView, line: Line | None, *, in_file: bool, picked: bool) -> Row:
    return Row(
        name=view.name,
        key=view.uid,
        url=f"/monitors/{quote(view.name)}/",
        state=view.state,
        since=view.since,
        about=(view.message if view.wrong else "") or view.address,
        latest=latency(view.last.duration) if view.last else "",
        badge="flapping" if view.flapping else "",
        tags=view.tags,
        line=line,
        in_file=in_file,
        picked=picked,
    )


@require_GET
def monitor_list(request: PageRequest) -> HttpResponse:
    """Every monitor that fits the search, the worst first unless asked otherwise; ticked are those in `picked`."""
    actor = request.actor
    actor.require_some("monitors:read")
    asked = _asked(request)
    wanted = replace(filter_of(asked), limits=actor.limits)
    first = queries.page(wanted, limit=PAGE)
    pages = turn(request, first.total, PAGE, asked)
    views = _slice(wanted, asked["sort"], pages.start) if pages.start or asked["sort"] else first.monitors
    lines = HISTORY.lines([view.uid for view in views], DAYS, time.time())
    in_file = {one.uid for one in by_uids(view.uid for view in views) if one.manager == "file"}
    stateless = urlencode({name: value for name, value in asked.items() if value and name != "state"})
    picked = frozenset(request.GET.getlist("picked"))
    filtered = any(asked[name] for name in ("q", "state", "tag"))
    context = {
        "rows": [
            _row(view, lines.get(view.uid), in_file=view.uid in in_file, picked=view.name in picked) for view in views
        ],
        "found": first.total,
        "total": sum(first.counts.values()),
        "counts": [(state, count, f"?{stateless}&state={state}") for state, count in first.counts.items() if count],
        "stateless": f"?{stateless}",
        "tags": list(queries.tags(actor.limits))[:200],
        "asked": asked,
        "filtered": filtered,
        "cleared": "/monitors/" if filtered else "",
        "sorts": SORTS,
        "days": DAYS,
        "pages": pages,
        "may_check": actor.may_some("monitors:check"),
        "may_write": actor.may("resources:write"),
    }
    return render(request, "watch/list.html", context)


def _asked(request: PageRequest) -> dict[str, str]:
    given = request.GET if request.method == "GET" else request.POST
    return {name: given.get(name, "").strip()[:200] for name in ("q", "state", "tag", "sort")}


def filter_of(asked: dict[str, str]) -> MonitorFilter:
    """`tag` holds a tag or, with an equals sign, a label and its value."""
    label, separator, value = asked["tag"].partition("=")
    return MonitorFilter(
        text=asked["q"],
        states=(asked["state"],) if asked["state"] in queries.STATES else (),
        tag="" if separator else asked["tag"],
        labels={label: value} if separator else {},
    )


def _slice(wanted: MonitorFilter, sort: str, start: int) -> list[MonitorView]:
    """One page of monitors. Only the usual order is the database's."""
    if sort not in _KEYS:
        return queries.page(wanted, limit=PAGE, offset=start).monitors
    return sorted(queries.monitors(wanted), key=_KEYS[sort])[start : start + PAGE]


SORTS = {"": "Worst first", "name": "By name", "latency": "Slowest first", "changed": "Changed last"}
_KEYS: dict[str, Callable[[MonitorView], Any]] = {
    "name": lambda view: view.name,
    "latency": lambda view: (-view.last.duration if view.last else 0.0, view.name),
    "changed": lambda view: (-view.since, view.name),
}


@require_POST
def monitor_orders(request: PageRequest) -> HttpResponse:
    """Pause, resume, check or delete what was ticked, or everything that fits the search."""
    order = request.POST.get("order", "")
    if order not in _ORDERS:
        raise UserError(f"monitors cannot be asked to `{order[:20]}`", hint="check, pause, resume or delete them")
    asked = _asked(request)
    if request.POST.get("everything") == "1":
        names = [view.name for view in queries.monitors(replace(filter_of(asked), limits=request.actor.limits))]
    else:
        names = request.POST.getlist("names")
    if len(names) > _MANY:
        raise TooLarge(f"at most {_MANY} monitors at once", hint="narrow the search")
    back = [(name, value) for name, value in asked.items() if value]
    if not names:
        messages.warning(request, "Nothing was selected.")
    elif not _carry_out(request, order, names):
        back += [("page", request.POST.get("page", "")[:6]), *(("picked", name) for name in names[:PAGE])]
    kept = urlencode(back)
    return HttpResponseRedirect(f"/monitors/?{kept}" if kept else "/monitors/")


def _carry_out(request: PageRequest, order: str, names: Sequence[str]) -> bool:
    """Whether it was done; a message tells what came of it."""
    try:
        told = _ORDERS[order](request.actor, names)
    except InvalidInput as error:
        told_wrong = "; ".join(item.message for item in list(error.diagnostics)[:3])
        messages.error(request, f"Nothing was deleted: {told_wrong}")
        return False
    messages.success(request, told)
    return True


def _many(count: int) -> str:
    return f"{count} {'monitor' if count == 1 else 'monitors'}"


def _pause(actor: Actor, names: Sequence[str]) -> str:
    return f"Paused {_many(verbs.pause_monitors(actor, names))}."


def _resume(actor: Actor, names: Sequence[str]) -> str:
    return f"Resumed {_many(verbs.resume_monitors(actor, names))}."


def _check(actor: Actor, names: Sequence[str]) -> str:
    return f"Requested a check of {_many(verbs.check_now(actor, names))}."


def _delete(actor: Actor, names: Sequence[str]) -> str:
    """All or none, in one revision."""
    keys = [("monitor", name) for name in dict.fromkeys(names)]
    number = remove_all(actor, keys, manager="page", source=actor.name, takeover=True)
    return f"Deleted {_many(len(keys))} in revision {number}. Roll back from there to restore them."


_ORDERS: dict[str, Callable[[Actor, Sequence[str]], str]] = {
    "pause": _pause,
    "resume": _resume,
    "check": _check,
    "delete": _delete,
}
