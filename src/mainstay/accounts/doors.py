"""Doors: what a page needs of its visitor is declared where the page is defined, and checked here.

A view without `@page` or `@public` does not pass the house test, so nothing is open by accident.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from importlib import import_module
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from urllib.parse import quote

from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.cache import patch_cache_control

from mainstay.accounts import queries, rules
from mainstay.accounts.allauth_internals import get_authentication_records
from mainstay.kernel.actor import Actor, all_scopes, limitable
from mainstay.kernel.clock import Steps, to_iso

View = TypeVar("View", bound=Callable[..., Any])
_LONGEST_HEADER = 512


@dataclass(frozen=True, slots=True)
class Door:
    """What a view asks of its visitor; `scope` empty: anybody who is signed in.

    limited: it shows and changes what is within the actor's limits only; any other door refuses an actor with limits.
    """

    scope: str = ""
    public: bool = False
    limited: bool = False

    def require(self, actor: Actor) -> None:
        """Forbidden if this actor may not pass."""
        if self.scope and self.limited:
            actor.require_some(self.scope)
        elif self.scope:
            actor.require(self.scope)


def public(view: View) -> View:
    """Mark a Django view as open to everybody."""
    view.door = Door(public=True)  # type: ignore[attr-defined] # a mark on a function
    return view


def page(
    scope: str = "", *, fresh: bool = False, limited: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A Django view for signed-in people who hold `scope`; sets `request.actor` and `request.standing`.

    fresh: they must have shown who they are within ACCOUNT_REAUTHENTICATION_TIMEOUT, else they are asked again.
    limited: see Door.
    """
    door = door_of(scope, limited=limited)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = _admit(request, door)
            if refusal is not None:
                return refusal
            if fresh:
                require_fresh(request)
            response = view(request, *args, **kwargs)
            if not response.has_header("Cache-Control"):
                patch_cache_control(response, private=True, no_cache=True)
            return response

        guarded.door = door  # type: ignore[attr-defined] # a mark on a function
        return guarded

    return decorate


def door_of(scope: str, *, limited: bool) -> Door:
    """AssertionError for a scope that nobody declares, or that labels cannot narrow: found when it is imported."""
    if scope and scope not in all_scopes():
        raise AssertionError(f"undeclared scope {scope}")
    if limited and scope not in limitable():
        raise AssertionError(f"{scope} cannot be limited by labels")
    return Door(scope, limited=limited)


def _admit(request: HttpRequest, door: Door) -> HttpResponse | None:
    user = queries.signed_in_user(request.user)
    if user is None:
        return _elsewhere(request, _sign_in_address(request))
    actor, standing = queries.who(user, visit(request))
    request.actor, request.standing = actor, standing  # type: ignore[attr-defined] # how views learn of them
    if standing.factor == "overdue" or door.scope in standing.withheld:
        messages.warning(request, "Set up your second factor first: your role asks for one.")
        return _elsewhere(request, reverse("mfa_activate_totp"))
    door.require(actor)
    return None


def address_of(request: HttpRequest) -> str:
    """The visitor's address; empty if it came through a proxy that nobody declared, which hides whose it is."""
    return str(request.META.get("mainstay.address", request.META.get("REMOTE_ADDR", "")))


def visit(request: HttpRequest) -> queries.Visit:
    """How and from where the visitor of this request came."""
    return queries.visit_of(request.session, address_of(request))


def person_actor(request: HttpRequest) -> Actor | None:
    """The signed-in person of a Django request that no `page` has let in.

    Who has not shown lately who they are cannot hand out access: a program cannot be sent to do so in between.
    """
    user = queries.signed_in_user(request.user)
    if user is None:
        return None
    actor = queries.actor_of_user(user, visit(request))
    return actor if is_fresh(request) else replace(actor, scopes=actor.scopes - rules.granting())


def _sign_in_address(request: HttpRequest) -> str:
    """The sign-in page, which leads back here; after a form there is nothing to come back to."""
    login = reverse("account_login")
    return f"{login}?next={quote(request.get_full_path())}" if request.method in ("GET", "HEAD") else login


def _elsewhere(request: HttpRequest, address: str) -> HttpResponse:
    if request.headers.get("HX-Request") == "true":  # htmx would put the sign-in page into a corner of this one
        return HttpResponse(status=401, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def require_fresh(request: HttpRequest) -> None:
    """Send a visitor who has not shown who they are lately to do so; allauth brings them back here."""
    if not is_fresh(request):
        raise ReauthenticationRequired


def is_fresh(request: HttpRequest) -> bool:
    """Whether the visitor has shown within ACCOUNT_REAUTHENTICATION_TIMEOUT who they are."""
    records = get_authentication_records(request, queries.signed_in_user(request.user))
    return bool(records) and time.time() - records[-1]["at"] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def doubt_the_future(request: HttpRequest) -> None:
    """Who showed later than now (by a clock that was ahead) who they are must do so again, on allauth's pages too."""
    records = get_authentication_records(request, queries.signed_in_user(request.user))
    for record in records:
        if record["at"] > time.time() + Steps.SMALL:
            record["at"] = 0.0
            request.session.modified = True


def factor_notice(request: HttpRequest) -> dict[str, Any]:
    """For every template: `factor_due`, the ISO time by which the visitor must have a second factor, or empty."""
    standing = getattr(request, "standing", None)
    return {"factor_due": to_iso(standing.due_at) if standing is not None and standing.factor == "due" else ""}


# For doors that do not go through Django: call these on a thread, they read the database -------------------


def session_actor(cookies: Mapping[str, str], address: str = "") -> Actor | None:
    """The person whose session cookie this is; None if there is none, it is over, or nothing is allowed yet.

    Without an address, people whose role is bound to some may do nothing.
    """
    key = cookies.get(settings.SESSION_COOKIE_NAME, "")
    if not key or len(key) > 64:
        return None
    close_old_connections()
    engine = import_module(settings.SESSION_ENGINE)
    session = engine.SessionStore(key)
    # Django's own check: it compares the session with the user's present password, too.
    user = queries.signed_in_user(get_user(cast("HttpRequest", SimpleNamespace(session=session))))
    actor = queries.actor_of_user(user, queries.visit_of(session, address)) if user is not None else None
    return actor if actor is not None and actor.scopes else None


def token_actor(authorization: str, address: str = "") -> Actor | None:
    """The actor of an Authorization header: `Bearer <token>`, or `Basic` with the token as password (or user).

    Without an address, tokens that are bound to some do not work.
    """
    scheme, _, credentials = authorization.strip().partition(" ")
    if len(authorization) > _LONGEST_HEADER:
        return None
    if scheme.lower() == "bearer":
        return queries.actor_of_token(credentials.strip(), address)
    if scheme.lower() == "basic":
        found = (queries.actor_of_token(text, address) for text in _basic(credentials))
        return next((actor for actor in found if actor is not None), None)
    return None


def _basic(credentials: str) -> list[str]:
    try:
        name, _, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError:  # not base64, or not UTF-8
        return []
    return [password, name]
