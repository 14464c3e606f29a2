"""Pages of accounts: the one-time links, one's own account, tokens, and the people."""

from __future__ import annotations

import time
from collections.abc import Callable

from allauth.account.models import Login
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from mainstay.accounts import policies, queries, rules, token_verbs, verbs
from mainstay.accounts.allauth_internals import end_sessions, perform_login, record_authentication
from mainstay.accounts.doors import page, public
from mainstay.accounts.forms import NewPasswordForm, NewTokenForm, NewUserForm, SetUpForm
from mainstay.accounts.models import User
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import NotFound, UserError


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined] # set by the door
    return actor


def _secret_page(response: HttpResponse) -> HttpResponse:
    """A page whose address or content is a secret: no cache keeps it.

    Its Referrer-Policy stays same-origin: with no-referrer, browsers send `Origin: null` and the form is refused.
    """
    response["Cache-Control"] = "no-store"
    return response


# One-time links --------------------------------------------------------------------------------------------


@public
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator."""
    if not queries.setup_is_open(token):
        return _secret_page(render(request, "accounts/link_over.html", {"setup": True}, status=404))
    form = SetUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = verbs.create_first_admin(token, form.cleaned_data["email"], form.cleaned_data["password1"])
        except UserError as error:
            form.add_error(None, str(error))
        else:
            _lift_limits(request)
            return _sign_in(request, user)
    return _secret_page(render(request, "accounts/set_up.html", {"form": form}))


@public
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """Set the password of an account with a link from an administrator."""
    email = queries.invited_email(secret)
    if email is None:
        return _secret_page(render(request, "accounts/link_over.html", {"setup": False}, status=404))
    form = NewPasswordForm(request.POST or None, email=email)
    if request.method == "POST" and form.is_valid():
        try:
            user = verbs.accept_invitation(secret, form.cleaned_data["password1"])
        except UserError as error:
            form.add_error(None, str(error))
        else:
            return _sign_in(request, user)
    return _secret_page(render(request, "accounts/join.html", {"form": form, "email": email}))


@public
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def recover(request: HttpRequest, secret: str) -> HttpResponse:
    """Regain access with a link of `mainstay access recover`: a new password, and no limits for an hour."""
    email = queries.invited_email(secret, purpose="recover")
    if email is None:
        return _secret_page(render(request, "accounts/link_over.html", {"recovery": True}, status=404))
    form = NewPasswordForm(request.POST or None, email=email)
    if request.method == "POST" and form.is_valid():
        try:
            user = verbs.recover(secret, form.cleaned_data["password1"])
        except UserError as error:
            form.add_error(None, str(error))
        else:
            _lift_limits(request)
            return _sign_in(request, user)
    return _secret_page(render(request, "accounts/recover.html", {"form": form, "email": email}))


def _lift_limits(request: HttpRequest) -> None:
    """Let this browser in for an hour, whatever is declared of addresses and ways in."""
    logout(request)  # as somebody else, perhaps, whose session would not be kept
    request.session[queries.RECOVERED_UNTIL] = time.time() + rules.LINK_SECONDS["recover"]


def _sign_in(request: HttpRequest, user: User) -> HttpResponse:
    """Sign in after the password was set; a second factor that exists is asked for, a missing one is offered."""
    has_factor = bool(queries.users_with_factor([user.pk]))
    target = settings.LOGIN_REDIRECT_URL if has_factor else reverse("mfa_activate_totp")
    record_authentication(request, user, method="password", email=user.email, reauthenticated=True)
    response: HttpResponse = perform_login(request, Login(user=user, redirect_url=target))
    return response


# One's own account -----------------------------------------------------------------------------------------


@page()
@require_http_methods(["GET"])
def account(request: HttpRequest) -> HttpResponse:
    user = queries.signed_in_user(request.user)
    assert user is not None  # noqa: S101 # the door let nobody else in
    context = {"person": user, "role": policies.role(user.role), "factor": request.standing.factor}  # type: ignore[attr-defined]
    return render(request, "accounts/account.html", context)


@page(fresh=True)
@require_http_methods(["GET"])
def confirm(request: HttpRequest) -> HttpResponse:
    """For work in another tab that must not be lost: asks who one is, then says to go on there."""
    return render(request, "accounts/confirmed.html")


@page("tokens:write")
@require_http_methods(["GET"])
def tokens(request: HttpRequest) -> HttpResponse:
    now = time.time()
    listed = [(token, token.state(now)) for token in queries.tokens(_actor(request))]
    return render(request, "accounts/tokens.html", {"tokens": listed})


_NEW_TOKEN = {"title": "New token", "submit": "Create token", "above": "tokens", "above_words": "API tokens"}
_NEW_USER = {
    "title": "New account",
    "about": "You get a link for the person, who sets a password with it.",
    "submit": "Create account",
    "above": "users",
    "above_words": "People",
}


@page("tokens:write", fresh=True)
@require_http_methods(["GET", "POST"])
def new_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show it, once."""
    actor = _actor(request)
    services = policies.service_accounts() if actor.may("users:write") else []
    form = NewTokenForm(request.POST or None, scopes=actor.scopes, services=services)
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        limits = [wanted["limit"]] if wanted["limit"] else []
        service = wanted.get("service", "")
        try:
            text = token_verbs.create_token(
                actor, wanted["name"], wanted["scopes"], wanted["days"], service=service, limits=limits
            )
        except UserError as error:
            form.add_error(None, str(error))
        else:
            return _token_page(request, wanted["name"], text)
    return render(request, "accounts/new.html", {"form": form, **_NEW_TOKEN})


def _token_page(request: HttpRequest, name: str, text: str) -> HttpResponse:
    return _secret_page(render(request, "accounts/token_made.html", {"name": name, "token": text}))


@page("tokens:write", fresh=True)
@require_POST
def rotate_token(request: HttpRequest, token_id: str) -> HttpResponse:
    """Put a new token in the place of an old one, which works for another day."""
    text = token_verbs.rotate_token(_actor(request), token_id)
    name = next(token.name for token in queries.tokens(_actor(request)) if token.id == token_id)
    return _token_page(request, name, text)


@page("tokens:write")
@require_POST
def revoke_token(request: HttpRequest, token_id: str) -> HttpResponse:
    token_verbs.revoke_token(_actor(request), token_id)
    messages.success(request, "The token is revoked. It stopped working at once.")
    return HttpResponseRedirect(reverse("tokens"))


@page()
@require_POST
def end_session(request: HttpRequest, number: int) -> HttpResponse:
    """Sign out one of one's own other browsers."""
    chosen = UserSession.objects.filter(pk=number, user_id=request.user.pk)
    if not chosen:
        raise NotFound("there is no such session, or it has ended")
    end_sessions(request, list(chosen))
    messages.success(request, "That browser is signed out.")
    return HttpResponseRedirect(reverse("usersessions_list"))


# People ----------------------------------------------------------------------------------------------------


@page("users:write")
@require_http_methods(["GET"])
def users(request: HttpRequest) -> HttpResponse:
    context = {"people": queries.people(_actor(request)), "roles": policies.roles().values()}
    return render(request, "accounts/users.html", context)


@page("users:write", fresh=True)
@require_http_methods(["GET", "POST"])
def new_user(request: HttpRequest) -> HttpResponse:
    """Make an account and show the link with which its person sets a password."""
    mine = _actor(request).scopes
    form = NewUserForm(request.POST or None, roles=[role for role in policies.roles().values() if role.scopes <= mine])
    if request.method == "POST" and form.is_valid():
        try:
            secret = verbs.create_user(_actor(request), form.cleaned_data["email"], form.cleaned_data["role"])
        except UserError as error:
            form.add_error(None, str(error))
        else:
            return _link_page(request, form.cleaned_data["email"], secret)
    return render(request, "accounts/new.html", {"form": form, **_NEW_USER})


def _link_page(request: HttpRequest, email: str, secret: str) -> HttpResponse:
    link = f"{settings.MAINSTAY.base_url}{reverse('join', args=[secret])}"
    return _secret_page(render(request, "accounts/link_made.html", {"email": email, "link": link}))


def _change_role(request: HttpRequest, actor: Actor, email: str) -> str:
    role = request.POST.get("role", "")
    verbs.change_role(actor, email, role)
    return f"{email} has the role {role} now."


def _deactivate(_request: HttpRequest, actor: Actor, email: str) -> str:
    verbs.deactivate(actor, email)
    return f"The account {email} is switched off. Its sessions and tokens have ended."


def _reactivate(_request: HttpRequest, actor: Actor, email: str) -> str:
    verbs.reactivate(actor, email)
    return f"The account {email} is switched on again."


def _reset_factor(_request: HttpRequest, actor: Actor, email: str) -> str:
    verbs.reset_second_factor(actor, email)
    return f"The second factor of {email} was removed; they are asked to set up a new one."


_CHANGES: dict[str, Callable[[HttpRequest, Actor, str], str]] = {
    "role": _change_role,
    "deactivate": _deactivate,
    "reactivate": _reactivate,
    "reset-factor": _reset_factor,
}


@page("users:write", fresh=True)
@require_POST
def change_user(request: HttpRequest) -> HttpResponse:
    """One change to one account; the form says which (`change`) and whose (`email`)."""
    actor, email = _actor(request), request.POST.get("email", "")
    change = request.POST.get("change", "")
    if change == "link":
        return _link_page(request, email, verbs.make_link(actor, email))
    if change not in _CHANGES:
        raise NotFound("there is no such change")
    try:
        messages.success(request, _CHANGES[change](request, actor, email))
    except UserError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("users"))
