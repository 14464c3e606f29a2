"""One search over everything: the page, and the fragment of it that the command palette shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from mainstay.kernel.capability import CAPABILITIES, Find, load
from mainstay.kernel.finding import searched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.actor import Actor
    from mainstay.store.requests import PageRequest

_EACH = 8  # of a capability
_ALL = 40


@dataclass(frozen=True, slots=True)
class Group:
    """Finds under one heading."""

    heading: str
    finds: list[Find] = field(default_factory=list)

    def begins(self, text: str) -> bool:
        return any(find.title.lower().startswith(text) for find in self.finds)


@require_GET
def search(request: PageRequest) -> HttpResponse:
    """What is called like `q`, each find under the scope of its own page."""
    text = searched(request.GET.get("q", ""))
    groups = everything(request.actor, text) if text else []
    context = {"q": request.GET.get("q", "")[:100], "groups": groups, "found": sum(len(one.finds) for one in groups)}
    fragment = request.headers.get("HX-Request") == "true"
    response = render(request, f"runtime/{'finds' if fragment else 'search'}.html", {**context, "listbox": fragment})
    patch_vary_headers(response, ["HX-Request"])
    return response


def everything(actor: Actor, text: str) -> list[Group]:
    """All finds in groups, those first of which a name begins with the text."""
    groups: dict[str, Group] = {}
    for find in islice(_in_turn(actor, text), _ALL):
        groups.setdefault(find.kind, Group(find.kind)).finds.append(find)
    return sorted(groups.values(), key=lambda group: not group.begins(text))


def _in_turn(actor: Actor, text: str) -> Iterator[Find]:
    """The first find of each capability, then the second ones: so none is crowded out. A page is found once."""
    seen: set[str] = set()
    lists = []
    for one in CAPABILITIES:
        found = list(islice(load(one.search)(actor, text, _EACH), _EACH)) if one.search else []
        lists.append([find for find in found if find.address not in seen])
        seen.update(find.address for find in found)
    return (find for find in chain.from_iterable(zip_longest(*lists)) if find is not None)
