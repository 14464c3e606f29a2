"""What holds for a signed-in person on every page, allauth's own among them; and what every page may show of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from mainstay.accounts import policies, queries, session_verbs
from mainstay.accounts.doors import doubt_the_future, visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase


class PlaceMiddleware:
    """A session counts only where the role of its person may be used, also if somebody carried it elsewhere."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = queries.signed_in_user(request.user)
        if user is None or request.path == reverse("account_logout"):
            return self._next(request)
        now = visit(request)
        if queries.place_fits(user, now):
            doubt_the_future(request)
            session_verbs.note_use(request.session.session_key or "", now.address)
            return self._next(request)
        text = "Your role does not permit access from this address."
        hint = "Ask an administrator, or connect from a network that they have declared."
        if request.path.startswith("/api/"):
            body = {"error": {"code": "forbidden", "message": text, "hint": hint, "diagnostics": []}}
            return JsonResponse(body, status=403)
        context = {"title": "Not allowed from this address", "text": text, "hint": hint, "status": 403}
        return HttpResponse(render_to_string("accounts/error.html", context), status=403)


def ways_in(_request: HttpRequest) -> dict[str, Any]:
    """For the sign-in page: `sso_providers`, `only_sso` where that is the only way, `unclaimed` where there is none."""
    return {
        "sso_providers": SimpleLazyObject(policies.providers),
        "only_sso": SimpleLazyObject(policies.only_sso),
        "unclaimed": SimpleLazyObject(lambda: queries.is_unclaimed() and not policies.providers()),
    }
