"""The page of the vault: names of secrets and what uses them. Values go in, and never come out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from mainstay.kernel.errors import UserError
from mainstay.kernel.secret import references
from mainstay.store import vault
from mainstay.store.resources.queries import resources
from mainstay.store.vault_keys import is_managed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.kernel.actor import Actor
    from mainstay.kernel.resource import Resource
    from mainstay.store.requests import PageRequest

_NAMED = 5  # users of a secret that are named


@dataclass(frozen=True, slots=True)
class Row:
    secret: vault.Stored
    users: list[Resource]
    further: int  # users that are not named


@require_GET
def vault_page(request: PageRequest) -> HttpResponse:
    """Every secret with what refers to it, and what is referred to and not there."""
    stored = vault.secrets(request.actor)
    users = _users(request.actor)
    names = {secret.name for secret in stored}
    rows = [Row(one, users[one.name][:_NAMED], max(0, len(users[one.name]) - _NAMED)) for one in stored]
    context = {
        "rows": rows,
        "missing": sorted(name for name in users if name not in names),
        "trouble": vault.trouble(settings.MAINSTAY, limit=50),
        "managed": is_managed(settings.MAINSTAY),
        "name": request.GET.get("name", "")[:100],
    }
    return render(request, "vault/list.html", context)


def _users(actor: Actor) -> defaultdict[str, list[Resource]]:
    """What refers to each secret; nothing for those who may not see resources."""
    found: defaultdict[str, list[Resource]] = defaultdict(list)
    for resource in resources() if actor.may("resources:read") else ():
        for name in {name for source, name in references(resource.document) if source == "vault"}:
            found[name].append(resource)
    return found


@sensitive_post_parameters("value")
@require_POST
def vault_set(request: PageRequest) -> HttpResponse:
    """Store or replace a secret. The value is not shown again, in an answer to a mistake either."""
    name = request.POST.get("name", "").strip()
    value = request.POST.get("value", "").replace("\r\n", "\n").removesuffix("\n")
    return _told(request, lambda: vault.set_secret(request.actor, settings.MAINSTAY, name, value), f"{name} is stored.")


@require_POST
def vault_remove(request: PageRequest) -> HttpResponse:
    name = request.POST.get("name", "")
    return _told(request, lambda: vault.remove_secret(request.actor, name), f"{name} is removed.")


@require_POST
def vault_rotate(request: PageRequest) -> HttpResponse:
    return _told(
        request,
        lambda: vault.rotate(request.actor, settings.MAINSTAY),
        "Every secret is encrypted with the newest key.",
    )


def _told(request: PageRequest, change: Callable[[], object], text: str) -> HttpResponse:
    try:
        change()
    except UserError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, text)
    return HttpResponseRedirect(reverse("vault"))
