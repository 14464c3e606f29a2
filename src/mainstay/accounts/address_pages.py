"""Changing one's own e-mail address: allauth's flow, with the link going to the new address and word to the old one.

The link works only in a browser in which the person is signed in: a mistyped address hands the account to nobody.
"""

from __future__ import annotations

from typing import Any

from allauth.account.models import get_emailconfirmation_model
from allauth.account.views import EmailView
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.views.decorators.http import require_http_methods

from mainstay.accounts import queries
from mainstay.accounts.doors import page
from mainstay.accounts.models import User
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Conflict, NotFound
from mainstay.store.work import unit_of_work


class _AddressView(EmailView):
    """allauth's page can do more with several addresses; here there is one, and one that waits."""

    template_name = "accounts/change_address.html"
    success_url = reverse_lazy("change_address")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "action_add" not in request.POST:
            raise NotFound("there is no such change")
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


_view = _AddressView.as_view()


@page(fresh=True)
@require_http_methods(["GET", "POST"])
def change_address(request: HttpRequest) -> HttpResponseBase:
    """Name the new address; a link goes there."""
    if not _person(request).has_usable_password():
        raise Conflict("your address comes from your single sign-on provider", hint="change it there")
    return _view(request)


@page()
@require_http_methods(["GET", "POST"])
def confirm_address(request: HttpRequest, key: str) -> HttpResponse:
    """Use the new address, with a link that was sent there."""
    person = _person(request)
    confirmation = get_emailconfirmation_model().from_key(key) if len(key) < 300 else None
    if confirmation is None or confirmation.email_address.user_id != person.pk:
        return _kept(render(request, "accounts/address_link_over.html", status=404))
    new = confirmation.email_address.email
    if request.method == "POST":
        with unit_of_work(Actor("user", person.email)):
            taken = User.objects.filter(email=new).exclude(pk=person.pk).exists()
            done = not taken and confirmation.confirm(request) is not None
        if done:
            messages.success(request, f"From now on, you sign in as {new}.")
            return HttpResponseRedirect(reverse("account"))
        return _kept(render(request, "accounts/address_link_over.html", status=409))
    return _kept(render(request, "accounts/confirm_address.html", {"old": person.email, "new": new}))


def _person(request: HttpRequest) -> User:
    user = queries.signed_in_user(request.user)
    assert user is not None  # noqa: S101 # the door let nobody else in
    return user


def _kept(response: HttpResponse) -> HttpResponse:
    """The address of the page is a secret: no cache keeps it."""
    response["Cache-Control"] = "no-store"
    return response
