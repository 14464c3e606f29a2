"""allauth's pages that show recovery codes: behind a door of ours, and told to the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.mfa.recovery_codes import views
from django.views.decorators.http import require_safe

from mainstay.accounts import queries, verbs
from mainstay.accounts.doors import page
from mainstay.kernel.actor import Actor

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase


@page(fresh=True)
@require_safe
def recovery_codes(request: HttpRequest) -> HttpResponseBase:
    return _told(request, views.view_recovery_codes(request), "page")


@page(fresh=True)
@require_safe
def recovery_codes_file(request: HttpRequest) -> HttpResponseBase:
    return _told(request, views.download_recovery_codes(request), "file")


def _told(request: HttpRequest, response: HttpResponseBase, how: str) -> HttpResponseBase:
    user = queries.signed_in_user(request.user)
    if user is not None and response.status_code == 200:
        verbs.note_codes_shown(Actor("user", user.email), user.email, how)
        response["Cache-Control"] = "no-store"
    return response
