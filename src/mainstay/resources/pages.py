"""Pages of resources: everything declared, one with its history, and the editor that plans before it applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from mainstay.accounts.doors import is_fresh, require_fresh
from mainstay.frames.web.paging import turn
from mainstay.kernel.errors import Conflict, InvalidInput, StalePlan, TooLarge
from mainstay.kernel.resource import KINDS, Resource
from mainstay.resources.changes import change_views
from mainstay.resources.facts import NAMED_BY, facts
from mainstay.store.resources import queries
from mainstay.store.resources.apply import apply, changes_access, remove
from mainstay.store.resources.files import read_body
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.store.resources.showing import export_file, text_of
from mainstay.store.secrets import SecretSource

if TYPE_CHECKING:
    from django.http import QueryDict

    from mainstay.kernel.actor import Actor
    from mainstay.store.requests import PageRequest
    from mainstay.store.resources.plan import Plan

_PAGE = 100
_TEXT_LIMIT = 2_000_000  # characters that the editor takes; larger files are for the command line
_NAME = "editor"
_OFFERED = 30  # stored secrets whose names the editor shows


@dataclass(frozen=True, slots=True)
class Row:
    resource: Resource
    summary: str
    url: str


def address(resource: Resource) -> str:
    return f"/resources/{resource.kind}/{quote(resource.name)}/"


_ABOUT = {
    "": ("Resources", "Everything that is declared, whether managed by a file, this page, or the API."),
    "route": (
        "Routes",
        "Which channels are notified of what, from top to bottom. Without a route, every channel is notified of all.",
    ),
}


@require_GET
def resource_list(request: PageRequest, kind: str = "") -> HttpResponse:
    """All resources, with who keeps them: of every kind, or of the one that the page is about."""
    request.actor.require("resources:read")
    every = queries.resources()
    asked = asked_of(request.GET)
    asked["kind"] = kind or asked["kind"]
    rows = [Row(one, summary, address(one)) for one, summary in fitting(asked, every)]
    pages = turn(request, len(rows), _PAGE, asked)
    heading, about = _ABOUT[kind]
    context = {
        "heading": heading,
        "about": about,
        "rows": rows[pages.start : pages.start + _PAGE],
        "found": len(rows),
        "total": len(every),
        "kinds": [(kind, sum(1 for one in every if one.kind == kind.name)) for kind in KINDS],
        "managers": sorted({one.manager for one in every}),
        "asked": asked,
        "alone": kind,
        "pages": pages,
        "revision": queries.latest_revision(),
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "resources/list.html", context)


def asked_of(form: QueryDict) -> dict[str, str]:
    """What the list of resources was narrowed to."""
    return {name: form.get(name, "").strip()[:100] for name in ("q", "kind", "manager")}


def fitting(asked: dict[str, str], every: list[Resource] | None = None) -> list[tuple[Resource, str]]:
    """What fits the search, each with its summary, in the order of the list."""
    known = queries.resources() if every is None else every
    found = [(one, KINDS[one.kind].in_words(one.document)) for one in known if _chosen(one, asked)]
    words = asked["q"].lower().split()
    return [(one, told) for one, told in found if all(word in f"{one.name} {told}".lower() for word in words)]


def _chosen(resource: Resource, asked: dict[str, str]) -> bool:
    return asked["kind"] in ("", resource.kind) and asked["manager"] in ("", resource.manager)


@require_GET
def resource_page(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """One resource: its specification, what it touches, its history."""
    request.actor.require("resources:read")
    resource = queries.resource(kind, name)
    told = facts(resource)
    revisions = [(one, change_views(request.actor, one.changes)) for one in queries.history(kind, name, limit=20)]
    context = {
        "resource": resource,
        "kind": KINDS[kind],
        "text": text_of(request.actor, [resource]),
        "facts": told,
        "users": [title for fact in told if fact.question == NAMED_BY for title, _ in fact.links],
        "revisions": revisions,
        "may_test": kind == "channel" and request.actor.may("channels:test"),
        "may_write": request.actor.may("resources:write"),
    }
    return render(request, "resources/one.html", context)


@require_POST
def resource_plan(request: PageRequest) -> HttpResponse:
    """What applying the editor's text would change, or every mistake in it; a fragment."""
    text, takeover = text_of_request(request), request.POST.get("takeover") == "1"
    try:
        plan = plan_text(request.actor, text, takeover=takeover)
    except InvalidInput as error:
        mistakes = list(error.diagnostics)
        lines = " ".join(sorted({str(item.place.line) for item in mistakes if item.place.line}))
        return render(request, "resources/mistakes.html", {"mistakes": mistakes, "lines": lines})
    except Conflict as error:
        return render(request, "resources/mistakes.html", {"conflict": error, "lines": ""})
    context = {"plan": plan, "changes": change_views(request.actor, plan.differences), "takeover": takeover}
    return render(request, "resources/plan.html", context)


@require_POST
def resource_apply(request: PageRequest) -> HttpResponse:
    """Apply the editor's text if nothing has changed since its plan was shown; a fragment or a redirect."""
    text, takeover = text_of_request(request), request.POST.get("takeover") == "1"
    base = request.POST.get("base", "")
    try:
        plan = plan_text(request.actor, text, takeover=takeover)
        if str(plan.base) != base:
            raise StalePlan("something else was applied in the meantime", hint="look at the plan again")
        revision = applied(request, plan)
    except InvalidInput as error:
        return render(request, "resources/mistakes.html", {"mistakes": list(error.diagnostics), "lines": ""})
    except Conflict as error:
        return render(request, "resources/mistakes.html", {"conflict": error, "lines": ""})
    messages.success(request, f"Applied as revision {revision}. The server picks it up within a second.")
    response = HttpResponse(status=204)
    response["HX-Redirect"] = _after(plan)
    return response


def applied(request: PageRequest, plan: Plan) -> int:
    """Apply a plan and return its revision. Conflict where a person has to show first that it is still them."""
    if changes_access(plan) and not is_fresh(request):
        raise Conflict(
            "this changes who may do what, or what runs here, so confirm your identity first",
            hint=f"open {reverse('confirm')} in another tab, then apply again",
        )
    return apply(request.actor, plan)


def _after(plan: Plan) -> str:
    """Where to look next: at the one thing that was changed, else at everything."""
    changed = [change for change in plan.differences if change.action != "delete"]
    return own_page(changed[0].kind, changed[0].name) if len(changed) == 1 else "/resources/"


def own_page(kind: str, name: str) -> str:
    """Where a resource is looked at: with its state if it has one, else as it is declared."""
    return KINDS.page_of(f"{kind}/{name}") if KINDS[kind].labelled else f"/resources/{kind}/{quote(name)}/"


def plan_text(actor: Actor, text: str, *, takeover: bool) -> Plan:
    """What applying a text of the editor would change; InvalidInput with every mistake in it."""
    actor.require("resources:write")
    terms = Terms("page", actor.name, takeover=takeover, secrets=SecretSource(settings.MAINSTAY))
    return plan_reading(actor, read_body(text.encode("utf-8", "surrogatepass"), _NAME), terms)


def text_of_request(request: PageRequest) -> str:
    text = request.POST.get("text", "").replace("\r\n", "\n")
    if len(text) > _TEXT_LIMIT:
        raise TooLarge("the text is too large for the editor", hint="apply it as a file: mainstay apply FILE")
    return text


@require_POST
def resource_delete(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """Delete one resource; the message says how to bring it back."""
    if kind in KINDS and KINDS[kind].grants is not None:
        require_fresh(request)
    try:
        number = remove(
            request.actor,
            kind,
            name,
            manager="page",
            source=request.actor.name,
            takeover=request.POST.get("takeover") == "1",
        )
    except InvalidInput as error:
        messages.error(request, "; ".join(item.message for item in error.diagnostics))
        return HttpResponseRedirect(f"/resources/{kind}/{quote(name)}/")
    messages.success(request, f"Deleted {name} in revision {number}. Roll back from there to restore it.")
    return HttpResponseRedirect(f"/revisions/{number}/")


@require_GET
def resource_export(request: PageRequest) -> HttpResponse:
    """Everything, or one kind, as a file that applies to an empty install."""
    request.actor.require("resources:read")
    kind = request.GET.get("kind", "")
    found = queries.resources(queries.kind_named(kind).name if kind else None)
    response = HttpResponse(export_file(request.actor, found), content_type="application/yaml; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="mainstay.yaml"'
    return response
