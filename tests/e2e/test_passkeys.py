"""Passkeys in a real browser, with an authenticator that the browser pretends to have (WebDriver's virtual one)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from test_accounts_pages import PASSWORD, Visitor

from mainstay.accounts import verbs
from mainstay.kernel.actor import system
from mainstay.store.journal import Filter, entries

EMAIL = "first@example.com"
# What a phone or laptop of today has: it keeps keys itself and knows its owner by finger or face.
PLATFORM = {"transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
# A plain security key: no memory of its own, a touch only.
KEY = {"transport": "usb", "hasResidentKey": False, "hasUserVerification": False}


class KeyHolder(Visitor):
    """A visitor whose browser has an authenticator."""

    def __init__(self, browser: Any, address: str, kind: dict[str, Any] = PLATFORM) -> None:
        # Passkeys belong to a name; browsers refuse them to a bare address.
        super().__init__(browser, address.replace("127.0.0.1", "localhost"))
        self._devices = self.page.context.new_cdp_session(self.page)
        self._devices.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "automaticPresenceSimulation": True, **kind}
        self.device = self._devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def arrive(self, path: str) -> None:
        self.page.wait_for_url(lambda url: url.partition("?")[0].endswith(path) and f"?next={path}" not in url)

    def refuse_owner(self) -> None:
        self._devices.send("WebAuthn.setUserVerified", {"authenticatorId": self.device, "isUserVerified": False})

    def registered(self) -> list[dict[str, Any]]:
        found = self._devices.send("WebAuthn.getCredentials", {"authenticatorId": self.device})
        return list(found["credentials"])

    def sign_in(self) -> None:
        self.page.goto("/accounts/login/?next=/account/")
        self.fill(login=EMAIL, password=PASSWORD)
        self.press("Sign in")

    def sign_out(self) -> None:
        self.page.goto("/account/")
        self.press("Sign out")
        self.arrive("/accounts/login/")

    def add(self, name: str, *, alone: bool) -> None:
        self.page.goto("/accounts/2fa/webauthn/add/")
        self.page.fill("[name=name]", name)
        self.page.set_checked("[name=passwordless]", alone)
        self.page.click("[data-passkey-go]:enabled")


@pytest.fixture
def person(site: Any) -> Iterator[str]:
    cache.clear()
    verbs.accept_invitation(verbs.create_user(system("test"), EMAIL, "admin"), PASSWORD)
    connections.close_all()
    yield site.address
    connections.close_all()


def test_a_passkey_signs_in_alone_and_confirms_serious_changes(person: str, browser: Any) -> None:
    visitor = KeyHolder(browser, person)
    page = visitor.page
    visitor.sign_in()
    page.goto("/accounts/2fa/webauthn/add/")
    visitor.picture("passkey-add")
    visitor.add("Laptop", alone=True)
    visitor.arrive("/accounts/2fa/recovery-codes/")
    assert [key["isResidentCredential"] for key in visitor.registered()] == [True]
    page.goto("/accounts/2fa/")
    visitor.picture("factors-with-passkey")
    page.goto("/accounts/2fa/webauthn/")
    assert "Laptop" in page.inner_text("main")
    assert "signs in alone" in page.inner_text("main")
    visitor.picture("passkeys")
    page.get_by_role("link", name="Rename").click()
    visitor.fill(name="Old laptop")
    visitor.press("Save")
    assert "Old laptop" in page.inner_text("main")
    page.get_by_role("link", name="Remove").click()
    visitor.picture("passkey-remove")

    visitor.sign_out()
    visitor.picture("login-passkey")
    page.goto("/accounts/login/?next=/users/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    visitor.arrive("/users/")
    told = next(iter(entries(Filter(kind="user.signed_in"))))
    assert (told.data["second_factor"], told.data["how"]) == ("yes", "passkey")
    page.goto("/accounts/reauthenticate/?next=/users/")
    page.get_by_role("link", name="Use a security key").click()
    page.wait_for_selector("[data-passkey-go]:enabled")
    visitor.picture("reauthenticate-passkey")
    page.click("[data-passkey-go]:enabled")
    visitor.arrive("/users/")

    visitor.sign_out()
    visitor.refuse_owner()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_selector("[data-passkey-error]:visible")
    assert "cancelled" in page.inner_text("[data-passkey-error]:visible")
    assert visitor.complaints == []
    page.context.close()


def test_a_security_key_is_the_second_step_and_the_browser_is_remembered(person: str, browser: Any) -> None:
    visitor = KeyHolder(browser, person, KEY)
    page = visitor.page
    visitor.sign_in()
    visitor.add("Key ring", alone=False)
    visitor.arrive("/accounts/2fa/recovery-codes/")
    visitor.sign_out()
    visitor.sign_in()
    visitor.arrive("/accounts/2fa/authenticate/")
    page.wait_for_selector("[data-passkey-go]:enabled")
    visitor.picture("second-step")
    page.check("input[type=checkbox][name=remember]")
    page.click("[data-passkey-go]:enabled")
    visitor.arrive("/account/")
    visitor.sign_out()
    visitor.sign_in()
    visitor.arrive("/account/")

    # Any change of the second factor ends what was remembered.
    visitor.add("Second key", alone=False)
    page.wait_for_selector("[data-passkey-error]:visible")
    assert "registered here already" in page.inner_text("[data-passkey-error]:visible"), "the same key twice"
    page.goto("/accounts/2fa/recovery-codes/generate/")
    page.locator("main form button").first.click()
    visitor.arrive("/accounts/2fa/recovery-codes/")
    visitor.sign_out()
    visitor.sign_in()
    visitor.arrive("/accounts/2fa/authenticate/")
    assert visitor.complaints == []
    page.context.close()
