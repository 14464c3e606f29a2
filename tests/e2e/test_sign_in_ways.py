"""Ways in beside the password, in a real browser: a provider of single sign-on, and the way back in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from test_accounts_pages import PASSWORD, Visitor
from tests.rigs.sso_provider import Provider, running_provider, sign_in_document

from mainstay.accounts import queries, verbs
from mainstay.kernel.actor import command, system
from mainstay.store.resources.apply import declare

TEST = system("test")
EMAIL = "first@example.com"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def visitor(site: Any, browser: Any) -> Iterator[Visitor]:
    cache.clear()
    visitor = Visitor(browser, site.address)
    yield visitor
    visitor.page.close()
    connections.close_all()


def _declare(provider: Provider, **more: object) -> None:
    (settings.MAINSTAY.data / "secrets" / "oidc").write_text("not so secret")
    roles = [{"group": "leads", "role": "admin"}]
    document = sign_in_document(provider, roles=roles, second_factor="provider", **more)
    declare(TEST, "sign_in", "company", document, manager="page")
    connections.close_all()


def test_single_sign_on_there_and_back(visitor: Visitor, provider: Provider) -> None:
    page = visitor.page
    verbs.accept_invitation(verbs.create_user(TEST, "second@example.com", "operations"), PASSWORD)
    _declare(provider)
    provider.describe("subject-1", email=EMAIL, email_verified=True, groups=["leads"])
    provider.describe("subject-2", email="third@example.com", email_verified=True, groups=[])
    page.goto("/users/")
    visitor.picture("login-sso")
    page.get_by_role("link", name="Sign in with Example Login").click()
    page.get_by_placeholder("sub").fill("subject-2")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_text("None of your groups").wait_for()
    visitor.picture("sso-refused")
    page.get_by_role("link", name="Back to sign-in").click()

    page.goto("/users/")
    page.get_by_role("link", name="Sign in with Example Login").click()
    page.get_by_placeholder("sub").fill("subject-1")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_role("heading", name="People").wait_for()
    visitor.complaints.clear()  # what the provider's own page loads, and from where, is its matter
    assert f"{EMAIL}\n" in page.inner_text("main")
    assert "signs in with company" in page.inner_text("main")
    _role()
    declare(TEST, "service_account", "deploy", {"scopes": ["resources:write"]}, manager="page")
    connections.close_all()
    page.goto("/users/")
    visitor.picture("people")
    page.goto("/account/")
    visitor.picture("account-sso")
    page.goto("/account/tokens/new/")
    visitor.fill(name="pipeline")
    page.select_option("[name=service]", "deploy")
    visitor.picture("token-new-service")
    visitor.press("Create token")
    page.goto("/account/tokens/")
    assert "service account deploy" in page.inner_text("main")
    visitor.picture("tokens-service")
    page.get_by_role("button", name="Rotate").click()
    page.get_by_role("button", name="Go ahead").click()
    page.locator("#token").wait_for()
    page.goto("/resources/role/core-on-call/")
    visitor.picture("role")
    page.goto("/resources/new?kind=sign_in&as=yaml")
    visitor.picture("sign-in-editor")

    _declare(provider, only=True)
    page.goto("/account/")
    visitor.press("Sign out")
    page.get_by_text("Passwords are switched off").wait_for()
    assert page.locator("[name=password]").count() == 0
    visitor.picture("login-only-sso")
    assert visitor.complaints == []


def _role() -> None:
    document = {
        "description": "Watches and silences what the core team runs",
        "scopes": ["monitors:read", "alerts:read", "alerts:write"],
        "limit": ['team="core"'],
        "from": ["10.0.0.0/8"],
    }
    declare(TEST, "role", "core-on-call", document, manager="page")


def test_back_in_with_a_recovery_link(visitor: Visitor, provider: Provider) -> None:
    page = visitor.page
    verbs.accept_invitation(verbs.create_user(TEST, EMAIL, "admin"), PASSWORD)
    declare(TEST, "role", "admin", {"like": "admin", "from": ["192.0.2.0/24"]}, manager="page")
    page.goto("/accounts/login/")
    visitor.fill(login=EMAIL, password=PASSWORD)
    visitor.press("Sign in")
    page.get_by_text("may not be used from 127.0.0.1").wait_for()
    visitor.picture("not-let-in")
    secret = verbs.make_recovery_link(command("root"), EMAIL).secret
    connections.close_all()
    page.goto(f"/recover/{secret}")
    visitor.picture("recover")
    visitor.fill(password1=PASSWORD + " anew", password2=PASSWORD + " anew")
    visitor.press("Set password and sign in")
    page.get_by_role("heading", name="Set up your second factor").wait_for()
    page.goto("/account/")
    assert EMAIL in page.inner_text("main")
    page.goto("/accounts/sessions/")
    visitor.picture("sessions-one")
    page.goto(f"/recover/{secret}")
    assert "This link has expired" in page.inner_text("main")
    assert queries.has_admin()
    assert [text for text in visitor.complaints if "403" not in text and "404" not in text] == []
