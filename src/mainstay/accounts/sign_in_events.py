"""From the signals of Django and allauth to the journal: who came, who failed, who left, whose factor changed.

The only place that listens to signals; nothing is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.signals import email_changed, password_changed, password_reset, password_set
from allauth.mfa import signals as factor_signals
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from mainstay.accounts import session_verbs, verbs
from mainstay.accounts.allauth_internals import get_authentication_records
from mainstay.accounts.events import UserPasswordChanged, UserSignedIn, UserSignedOut, UserSignInFailed
from mainstay.accounts.models import User
from mainstay.kernel.actor import Actor, system

if TYPE_CHECKING:
    from django.http import HttpRequest


def _address(request: HttpRequest | None) -> str:
    return str(request.META.get("REMOTE_ADDR", "")) if request is not None else ""


def _user(user: User) -> Actor:
    return Actor("user", user.email)


def _how(records: list[dict[str, Any]]) -> str:
    """What the visitor began with: the first of what this session has shown."""
    first = records[0] if records else {}
    if first.get("passwordless"):
        return "passkey"
    return {"socialaccount": "single sign-on", "mfa": "second factor"}.get(first.get("method", ""), "password")


def signed_in(request: HttpRequest, user: User, **_: Any) -> None:
    records = get_authentication_records(request, user)
    second = any(record["method"] == "mfa" for record in records)
    details = {"second_factor": "yes" if second else "no", "how": _how(records), "address": _address(request)}
    verbs.note_sign_in(UserSignedIn, _user(user), user.email, details)
    if user.role == "admin" and details["how"] == "single sign-on":
        session_verbs.end_other_ways(system("sign-in"), shown=True)


def sign_in_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    details = {"step": "password", "address": _address(request)}
    verbs.note_sign_in(UserSignInFailed, Actor("public", "sign-in"), str(credentials.get("email", "")), details)


def factor_failed(request: HttpRequest, user: User, **_: Any) -> None:
    details = {"step": "second factor", "address": _address(request)}
    verbs.note_sign_in(UserSignInFailed, Actor("public", "sign-in"), user.email, details)


def signed_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        verbs.note_sign_in(UserSignedOut, _user(user), user.email, {"address": _address(request)})


def new_password(request: HttpRequest, user: User, **extra: Any) -> None:
    how = "reset by mail" if extra["signal"] is password_reset else "changed"
    verbs.note_sign_in(UserPasswordChanged, _user(user), user.email, {"how": how, "address": _address(request)})


def address_changed(user: User, from_email_address: Any, to_email_address: Any, **_: Any) -> None:
    old = from_email_address.email if from_email_address is not None else ""
    verbs.note_address(_user(user), old, to_email_address.email)


def factor_added(user: User, authenticator: Any, **_: Any) -> None:
    _note_factor(user, authenticator, "added")


def factor_removed(user: User, authenticator: Any, **_: Any) -> None:
    _note_factor(user, authenticator, "removed")


def factor_renewed(user: User, authenticator: Any, **_: Any) -> None:
    verbs.note_second_factor(_user(user), user.email, f"{authenticator.type} regenerated")


def _note_factor(user: User, authenticator: Any, what: str) -> None:
    """Recovery codes come with the first factor and go with the last, which tells of it: one change, one event."""
    if authenticator.type != "recovery_codes":
        verbs.note_second_factor(_user(user), user.email, f"{authenticator.type} {what}")


def connect() -> None:
    """Start listening; called once when the apps are ready."""
    user_logged_in.connect(signed_in)
    user_login_failed.connect(sign_in_failed)
    user_logged_out.connect(signed_out)
    for signal in (password_changed, password_set, password_reset):
        signal.connect(new_password)
    email_changed.connect(address_changed)
    factor_signals.authenticator_added.connect(factor_added)
    factor_signals.authenticator_removed.connect(factor_removed)
    factor_signals.authenticator_reset.connect(factor_renewed)
    factor_signals.authentication_failed.connect(factor_failed)
