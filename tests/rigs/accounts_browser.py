"""What the tests of accounts share: people, browsers, and the codes of an authenticator app."""

from __future__ import annotations

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.test import Client

from mainstay.accounts import verbs
from mainstay.accounts.models import User
from mainstay.kernel.actor import system

PASSWORD = "correct horse battery"
TEST = system("test")


def browser(*, csrf: bool = False, host: str = "localhost") -> Client:
    return Client(enforce_csrf_checks=csrf, headers={"host": host})


def person(email: str = "first@example.com", role: str = "admin") -> User:
    """An account with a password and no second factor."""
    return verbs.accept_invitation(verbs.create_user(TEST, email, role), PASSWORD)


def sign_in(client: Client, email: str = "first@example.com", password: str = PASSWORD, **data: str) -> int:
    response = client.post("/accounts/login/", {"login": email, "password": password, **data})
    return response.status_code


def signed_in(email: str = "first@example.com", *, csrf: bool = False) -> Client:
    client = browser()
    assert sign_in(client, email) == 302
    client.handler.enforce_csrf_checks = csrf
    return client


def code(secret: str) -> str:
    """The six digits that an authenticator app shows now (RFC 6238, SHA-1, 30 s), good for some seconds yet."""
    if (left := 30 - time.time() % 30) < 5:
        time.sleep(left)
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def switch_factor_on(client: Client) -> str:
    """Set a second factor up as a person does; returns its secret."""
    if client.get("/accounts/2fa/totp/activate/").status_code == 302:
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.get("/accounts/2fa/totp/activate/")
    secret: str = client.session["mfa.totp.secret"]
    assert client.post("/accounts/2fa/totp/activate/", {"code": code(secret)}).status_code == 302
    return secret
