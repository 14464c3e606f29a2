"""Pages of revisions: what each apply changed, and going back to one after a look at the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from mainstay.accounts.doors import require_fresh
from mainstay.kernel.errors import StalePlan, UserError
from mainstay.resources.changes import change_views
from mainstay.store.resources import queries
from mainstay.store.resources.apply import apply_rollback, changes_access
from mainstay.store.resources.planning import Terms, plan_rollback

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest
    from mainstay.store.resources.plan import Plan

_PAGE = 50


@require_GET
def revision_list(request: PageRequest) -> HttpResponse:
    """Every apply, newest first."""
    request.actor.require("resources:read")
    asked = request.GET.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 18 else None
    found = queries.revisions(limit=_PAGE + 1, before=before)
    context = {
        "revisions": found[:_PAGE],
        "older": found[_PAGE - 1].number if len(found) > _PAGE else None,
        "newest": queries.latest_revision(),
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "resources/revisions.html", context)


@require_GET
def revision_page(request: PageRequest, number: int) -> HttpResponse:
    """What one apply changed."""
    request.actor.require("resources:read")
    revision = queries.revision(number)
    context = {
        "revision": revision,
        "changes": change_views(request.actor, revision.changes),
        "newest": queries.latest_revision(),
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "resources/revision.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def rollback(request: PageRequest, number: int) -> HttpResponse:
    """GET shows what would change if everything became as it was right after this revision; POST does it."""
    plan = _plan(request, number)
    if request.method == "POST":
        return _go_back(request, number, plan)
    title = f"Back to revision {number}"
    context = {"title": title, "number": number, "plan": plan, "changes": change_views(request.actor, plan.differences)}
    return render(request, "resources/rollback.html", context)


def _go_back(request: PageRequest, number: int, plan: Plan) -> HttpResponse:
    """Apply the plan, if nothing has changed since it was shown."""
    if str(plan.base) != request.POST.get("base", ""):
        raise StalePlan("something else was applied in the meantime", hint="look at the plan again")
    if changes_access(plan):
        require_fresh(request)
    revision = apply_rollback(request.actor, number, plan)
    messages.success(request, f"Everything is as it was after revision {number}. This is revision {revision}.")
    return HttpResponseRedirect(f"/revisions/{revision}/")


def _plan(request: PageRequest, number: int) -> Plan:
    if number < 1:
        raise UserError("there is nothing before the first revision", hint="delete what should not be there")
    return plan_rollback(request.actor, number, Terms("page", request.actor.name, takeover=True))
