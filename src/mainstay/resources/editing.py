"""Adding and changing a resource: a form and the YAML of it as two tabs of one draft."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.accounts.spec import BUILT_IN
from mainstay.frames.web.forms.rows import add_row, remove_row
from mainstay.frames.web.forms.settling import named_twice
from mainstay.frames.web.forms.shape import Variant, variants
from mainstay.frames.web.forms.state import State, Unshowable, fill, nest, read, without_secrets
from mainstay.frames.web.forms.view import LIMIT, count, mark_fresh, view, wrong
from mainstay.kernel.errors import Conflict, InvalidInput, StalePlan
from mainstay.kernel.resource import KINDS, Kind, check_name
from mainstay.kernel.zones import zone_names
from mainstay.resources.changes import change_views
from mainstay.resources.drafts import NAMELESS, Draft, NotOne, opened, sort_named
from mainstay.resources.pages import applied, own_page, plan_text, text_of_request
from mainstay.store.resources import queries
from mainstay.store.resources.export import export_yaml, to_yaml, written
from mainstay.store.resources.matching import labels_of
from mainstay.store.resources.showing import shown, text_of
from mainstay.store.vault import secrets

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.store.requests import PageRequest
    from mainstay.store.resources.plan import Plan

_OFFERED = 30  # stored secrets whose names the editor shows
_LABELS = 300  # label names, and values, that are offered while one types


@dataclass(frozen=True, slots=True)
class Asked:
    """What came with a draft. known: the name under which it is stored; empty for a new one. seen: see `_seen`."""

    draft: Draft
    known: str = ""
    seen: int = 0
    takeover: bool = False


@dataclass(slots=True)
class Wrong:
    """Mistakes: by their place in the document, of the name, and of the whole."""

    at: dict[str, list[str]] = field(default_factory=dict)
    name: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)


# What is opened


@require_GET
def resource_new(request: PageRequest) -> HttpResponse:
    """A new resource of the kind that was asked for: the form, or with `as=yaml` an example to change."""
    request.actor.require("resources:write")
    kind = _kind(request.GET.get("kind", ""))
    if kind.alone and queries.find(kind.name, kind.name) is not None:
        return HttpResponseRedirect(f"/resources/{kind.name}/{kind.name}/edit?{request.GET.urlencode()}")
    others = _list_text(request.actor, kind) if kind.listed else ""
    if request.GET.get("as") == "yaml":
        known = queries.resources(kind.name) if kind.listed else []
        text = export_yaml(known) + kind.example.split("\n", 1)[1] if known else kind.example
        return _yaml(request, Asked(Draft(kind, text=text, at=len(known)), seen=_seen(kind, "")))
    try:
        draft = opened(others, kind, len(queries.resources(kind.name)) if kind.listed else 0)
        if like := request.GET.get("like", ""):
            draft = replace(draft, document=_copied(request.actor, kind, like))
        variant = sort_named(kind, request.GET["sort"]) if "sort" in request.GET else draft.variant
        return _form(request, Asked(draft, seen=_seen(kind, "")), variant, draft.filled(variant))
    except (NotOne, Unshowable) as error:
        return _yaml(request, Asked(Draft(kind, text=kind.example)), why=str(error))


@require_GET
def resource_edit(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """One resource to change, or the whole list where the order matters."""
    request.actor.require("resources:write")
    resource, known = queries.resource(kind, name), KINDS[kind]
    text = _list_text(request.actor, known) if known.listed else text_of(request.actor, [resource])
    places = [one.name for one in queries.resources(kind)] if known.listed else [name]
    asked = Asked(Draft(known, name, text=text, at=places.index(name)), name, _seen(known, name))
    if request.GET.get("as") == "yaml":
        return _yaml(request, asked)
    return _opened(request, asked)


def _opened(request: PageRequest, asked: Asked) -> HttpResponse:
    """The form of a draft's text; the text itself where the form has no place for all of it."""
    try:
        draft = opened(asked.draft.text, asked.draft.kind, asked.draft.at)
        if asked.known and (draft.kind, draft.name) != (asked.draft.kind, asked.known):
            raise NotOne(f"it no longer declares the {asked.draft.kind.name} `{asked.known}`")
        return _form(request, replace(asked, draft=draft), draft.variant, draft.filled(draft.variant))
    except (NotOne, Unshowable) as error:
        return _yaml(request, asked, why=str(error))


def _kind(name: str) -> Kind:
    return KINDS[name] if name in KINDS else KINDS["monitor"]


def _list_text(actor: Actor, kind: Kind) -> str:
    """All of a kind whose order matters, each with its name: another place does not make it another one."""
    found = shown(actor, queries.resources(kind.name))
    return to_yaml({kind.plural: [{"name": one.name, **written(one.spec)} for one in found]}) if found else ""


def _copied(actor: Actor, kind: Kind, name: str) -> dict[str, Any]:
    """What another resource declares, without what is its alone, such as the address that a job pings."""
    (found,) = shown(actor, [queries.resource(kind.name, name)])
    return {key: value for key, value in found.document.items() if key not in (*kind.guarded, "slug", "title")}


def _seen(kind: Kind, name: str) -> int:
    """The newest revision of what a draft may change; whoever applies it later is told if there is a newer one."""
    found = queries.resources(kind.name) if kind.listed else [one] if (one := queries.find(kind.name, name)) else []
    return max((resource.revision for resource in found), default=0)


# What is submitted


@require_POST
def resource_draft(request: PageRequest) -> HttpResponse:
    """The draft on the other tab, with another sort's fields, or with a row more or less. Nothing is written."""
    request.actor.require("resources:write")
    asked, order = _asked(request), request.POST.get("do", "")
    if order == "form":
        return _opened(request, asked)
    asked, variant, state = _submitted(request, asked)
    state = without_secrets(variant.group, state)
    what, _, where = order.partition(":")
    steps = where.split(".")[1:]
    if what == "add":
        add_row(variant.group, state, steps)
    elif what == "remove":
        remove_row(variant.group, state, steps)
    elif what == "yaml" and (twice := _twice(variant, state)):
        return _form(request, asked, variant, state, mistakes=Wrong(twice))
    elif what == "yaml":
        name, at = _name(request, asked), _number(request, "order", asked.draft.at)
        return _yaml(request, replace(asked, draft=asked.draft.changed(name, variant, state, at)))
    return _form(request, asked, variant, state, added=where if what == "add" else "")


@require_POST
def resource_check(request: PageRequest) -> HttpResponse:
    """Every mistake in what stands in the form so far; a fragment."""
    request.actor.require("resources:write")
    asked, variant, state = _submitted(request, _asked(request))
    found = _planned(request, asked, variant, state)
    mistakes = found if isinstance(found, Wrong) else Wrong()
    node = view(variant.group, state, "spec", mistakes.at, lambda _kind: [])
    context = {"wrong": list(wrong(node)), "mistakes": mistakes, "told": _told(mistakes)}
    return render(request, "resources/form/said.html", context)


@require_POST
def resource_save(request: PageRequest) -> HttpResponse:
    """Plan and apply what stands in the form; on to the thing's page, or back with every mistake at its field."""
    request.actor.require("resources:write")
    asked, variant, state = _submitted(request, _asked(request))
    found = _planned(request, asked, variant, state)
    if not isinstance(found, Wrong) and request.POST.get("do") == "plan":
        changes = change_views(request.actor, found.differences)
        return _form(request, asked, variant, state, shown={"plan": found, "changes": changes})
    if not isinstance(found, Wrong):
        try:
            revision = applied(request, found)
        except Conflict as error:
            found = Wrong(whole=[f"{error.message}: {error.hint}" if error.hint else error.message])
        else:
            return _saved(request, found, revision, _name(request, asked))
    return _form(request, asked, variant, without_secrets(variant.group, state), mistakes=found)


def _saved(request: PageRequest, plan: Plan, revision: int, name: str) -> HttpResponse:
    for warning in plan.warnings:
        messages.warning(request, f"{warning.message}. {warning.hint}".strip())
    kind = plan.differences[0].kind if plan.differences else request.POST.get("kind", "")
    resource = queries.find(kind, name)
    if resource is None or plan.is_empty:
        messages.success(request, "It is already declared exactly like this.")
        return HttpResponseRedirect(f"/resources/{quote(kind)}/{quote(name)}/" if resource else "/resources/")
    words = KINDS[kind].afterwards(resource.spec)
    new = any(change.action == "create" for change in plan.differences)
    messages.success(request, f"Saved as revision {revision}. {words if new else ''}".strip())
    return HttpResponseRedirect(own_page(kind, name))


def _asked(request: PageRequest) -> Asked:
    kind, known = _kind(request.POST.get("kind", "")), request.POST.get("known", "")
    draft = Draft(kind, known, text=text_of_request(request), at=_number(request, "at", 0))
    return Asked(draft, known, _number(request, "seen", 0), request.POST.get("takeover") == "1")


def _number(request: PageRequest, name: str, default: int) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _name(request: PageRequest, asked: Asked) -> str:
    kind = asked.draft.kind
    return asked.known or (kind.name if kind.alone else request.POST.get("name", "").strip())


def _submitted(request: PageRequest, asked: Asked) -> tuple[Asked, Variant, State]:
    """What stands in the form, upon the text that it was opened with."""
    try:
        base = opened(asked.draft.text, asked.draft.kind, asked.draft.at)
    except NotOne:
        base = Draft(asked.draft.kind)
    variant = sort_named(base.kind, request.POST.get("sort", ""))
    tree = nest(request.POST.lists()).get("spec", {})
    was = sort_named(base.kind, request.POST.get("was", variant.key))
    return replace(asked, draft=base), variant, _carried(was, variant, tree)


def _carried(was: Variant, variant: Variant, tree: Any) -> State:
    """What another sort shares comes along, but for what stood as by default there."""
    state = read(variant.group, tree)
    if was is not variant:
        before = read(was.group, tree)
        for one in was.group.fields:
            if (one.key in state and before[one.key] == fill(one)) or one.key == "expect":
                state[one.key] = fill(variant.group.field(one.key))
    return state


def _planned(request: PageRequest, asked: Asked, variant: Variant, state: State) -> Plan | Wrong:
    """The plan of what stands in the form, or every mistake in it: the same plan that its YAML would make."""
    found, name = Wrong(_twice(variant, state)), _name(request, asked)
    try:
        check_name(name)
    except ValueError as error:
        found.name.append(str(error) if name else "This is needed")
    if not asked.known and name and queries.find(asked.draft.kind.name, name):
        found.name.append(f"there is a {asked.draft.kind.name.replace('_', ' ')} of this name already")
    order = _number(request, "order", asked.draft.at)
    draft = asked.draft.changed(NAMELESS if found.name else name, variant, state, order)
    try:
        plan = plan_text(request.actor, draft.text, takeover=asked.takeover)
        if _seen(draft.kind, asked.known) != asked.seen:
            raise StalePlan("it was changed in the meantime", hint="reopen it and make the change there")
    except InvalidInput as error:
        _sort_mistakes(error, draft, found)
        return found
    except Conflict as error:
        found.whole.append(f"{error.message}: {error.hint}" if error.hint else error.message)
        return found
    return found if found.name or found.at else plan


def _twice(variant: Variant, state: State) -> dict[str, list[str]]:
    """Names that stand twice in the form: the document would lose one of them without a word."""
    return {path: ["this name is there twice"] for path in named_twice(variant.group, state)}


def _sort_mistakes(error: InvalidInput, draft: Draft, found: Wrong) -> None:
    for item in error.diagnostics:
        text = f"{item.message}; {item.hint}" if item.hint else item.message
        inside = item.path.removeprefix(draft.prefix)
        if item.path.startswith(draft.prefix) and inside[:1] in ("", "."):
            found.at.setdefault(inside.lstrip("."), []).append(text)
        else:
            found.whole.append(text)


# What is shown


def _form(
    request: PageRequest,
    asked: Asked,
    variant: Variant,
    state: State,
    *,
    mistakes: Wrong | None = None,
    added: str = "",
    shown: Mapping[str, Any] | None = None,
) -> HttpResponse:
    mistakes, draft = mistakes or Wrong(), asked.draft
    root = view(variant.group, state, "spec", mistakes.at, _names())
    mark_fresh(root, added)
    if count(root) > LIMIT:
        if request.method == "POST":
            name, at = _name(request, asked), _number(request, "order", draft.at)
            asked = replace(asked, draft=draft.changed(name, variant, state, at))
        return _yaml(request, asked, why=f"it takes more than {LIMIT} fields")
    context = {
        **_context(request, asked),
        "root": root,
        "variant": variant,
        "variants": variants(draft.kind.name),
        "name": request.POST.get("name", draft.name),
        "mistakes": mistakes,
        "told": _told(mistakes),
        "wrong": list(wrong(root)),
        "added": added,
        "order": _order(request, draft),
        "choosing": request.method == "GET" and not asked.known and "kind" not in request.GET,
        "zones": zone_names(),
        "shown": shown,
        **_labels(),
    }
    return render(request, "resources/form/page.html", context)


def _told(mistakes: Wrong) -> list[str]:
    """What no field could show."""
    return [*mistakes.whole, *(text for texts in mistakes.at.values() for text in texts)]


def _yaml(request: PageRequest, asked: Asked, *, why: str = "") -> HttpResponse:
    context = {**_context(request, asked), "text": asked.draft.text, "why": why}
    return render(request, "resources/editor.html", context)


def _context(request: PageRequest, asked: Asked) -> dict[str, Any]:
    kind, may_keep = asked.draft.kind, request.actor.may("secrets:write")
    words = kind.name.replace("_", " ")
    resource = queries.find(kind.name, asked.known) if asked.known else None
    return {
        "asked": asked,
        "kind": kind,
        "kinds": list(KINDS),
        "title": words.capitalize() if kind.alone else f"Edit {words} {asked.known}" if asked.known else f"New {words}",
        "chosen": "" if asked.known else kind.name,
        "resource": resource,
        "kept_by_file": resource is not None and resource.manager == "file",
        "may_keep": may_keep,
        "secrets": [one.name for one in secrets(request.actor)[:_OFFERED]] if may_keep else [],
    }


def _order(request: PageRequest, draft: Draft) -> list[tuple[int, str, bool]]:
    """Where among the others it may stand, for a kind whose order matters."""
    others = [entry for at, entry in enumerate(draft.entries) if at != draft.at]
    chosen = _number(request, "order", draft.at)
    places = [(0, "before all others")] + [
        (at + 1, f"after {other.get('name', at + 1) if isinstance(other, dict) else at + 1}")
        for at, other in enumerate(others)
    ]
    return [(at, words, at == chosen) for at, words in places] if draft.kind.listed and others else []


def _names() -> Callable[[str], list[tuple[str, str]]]:
    """Names of what is declared, read once for each kind that the form refers to."""
    known: dict[str, list[tuple[str, str]]] = {}

    def names(kind: str) -> list[tuple[str, str]]:
        if " " in kind:
            return [(f"{one}/{name}", about) for one in kind.split() for name, about in names(one)]
        if kind not in known:
            known[kind] = _undeclared(kind) + [
                (one.name, KINDS[kind].in_words(one.document)) for one in queries.resources(kind)
            ]
        return known[kind]

    return names


def _undeclared(kind: str) -> list[tuple[str, str]]:
    """Names that may be given although nobody declares them."""
    if kind == "location":
        return [(settings.MAINSTAY.location, "this server itself")]
    return [(name, "built in") for name in BUILT_IN] if kind == "role" else []


def _labels() -> dict[str, list[str]]:
    """Names and values of labels that are in use."""
    values: dict[str, set[str]] = defaultdict(set)
    for one in (resource for kind in KINDS if kind.labelled for resource in queries.resources(kind.name)):
        for name, value in labels_of(one).items():
            values[name].add(value)
    names = sorted({"severity", *values})
    return {
        "label_names": names[:_LABELS],
        "label_values": sorted({value for found in values.values() for value in found})[:_LABELS],
    }
