"""Deleting many resources: what would be deleted is shown first; then all of it is, in one revision, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

from mainstay.accounts.doors import require_fresh
from mainstay.kernel.errors import Conflict, InvalidInput, StalePlan, TooLarge
from mainstay.resources.changes import change_views
from mainstay.resources.pages import asked_of, fitting
from mainstay.store.resources.apply import apply, changes_access
from mainstay.store.resources.planning import Terms, plan_removal

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest
    from mainstay.store.resources.plan import Plan

_MOST = 10_000  # resources of one plan
_SHOWN = 100  # whose specifications are shown


@require_POST
def resource_removal(request: PageRequest) -> HttpResponse:
    """Shows the plan of what was ticked, or of everything that fits the search; with its `base`, carries it out."""
    asked = asked_of(request.POST)
    back = f"/resources/?{urlencode({name: value for name, value in asked.items() if value})}"
    chosen = request.POST.getlist("chosen")
    try:
        plan = plan_removal(request.actor, _keys(request, asked, chosen), Terms("page", request.actor.name))
    except (Conflict, InvalidInput) as error:
        mistakes = [item.message for item in error.diagnostics] if isinstance(error, InvalidInput) else [error.message]
        more = f"; and {len(mistakes) - 3} more" if len(mistakes) > 3 else ""
        messages.error(request, f"Nothing was deleted: {'; '.join(mistakes[:3])}{more}")
        return HttpResponseRedirect(back)
    if plan.is_empty:
        messages.warning(request, "Nothing was selected.")
        return HttpResponseRedirect(back)
    if "base" in request.POST:
        return _carry_out(request, plan)
    count = plan.counts["delete"]
    context = {
        "title": f"Delete {count} {'resource' if count == 1 else 'resources'}",
        "plan": plan,
        "changes": change_views(request.actor, plan.differences[:_SHOWN]),
        "names": [f"{change.kind} {change.name}" for change in plan.differences[_SHOWN:]],
        "asked": asked,
        "everything": request.POST.get("everything") == "1",
        "chosen": chosen,
        "back": back,
    }
    return render(request, "resources/removal.html", context)


def _keys(request: PageRequest, asked: dict[str, str], chosen: list[str]) -> list[tuple[str, str]]:
    if request.POST.get("everything") == "1":
        keys = [(one.kind, one.name) for one, _summary in fitting(asked)]
    else:
        keys = [(kind, name) for kind, _, name in (one.partition("/") for one in dict.fromkeys(chosen))]
    if len(keys) > _MOST:
        raise TooLarge(f"at most {_MOST} resources at once", hint="narrow the search")
    return keys


def _carry_out(request: PageRequest, plan: Plan) -> HttpResponse:
    if str(plan.base) != request.POST["base"]:
        raise StalePlan("something else was applied in the meantime", hint="look at the plan again")
    if changes_access(plan):
        require_fresh(request)
    number, count = apply(request.actor, plan), len(plan.differences)
    what = "1 resource" if count == 1 else f"{count} resources"
    messages.success(request, f"Deleted {what} in revision {number}. Roll back from there to restore them.")
    return HttpResponseRedirect(f"/revisions/{number}/")
