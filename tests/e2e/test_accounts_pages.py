"""A person's way in, in a real browser: the set-up link, the second factor, tokens, people, the API's documentation."""

from __future__ import annotations

import base64
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.db import connections

from mainstay.accounts import verbs
from mainstay.kernel.actor import system

PASSWORD = "correct horse battery"
# Where pictures for a person to look at go; none are taken otherwise.
PICTURES = os.environ.get("TEST_PICTURES", "")


class Visitor:
    """A page that notes what a strict policy would hide: blocked content, errors of scripts, requests elsewhere."""

    def __init__(self, browser: Any, address: str) -> None:
        self.page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
        self.page.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url, address))

    def _note(self, url: str, address: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            self.complaints.append(f"asked {url}")

    def picture(self, name: str) -> None:
        if not PICTURES:
            return
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            for width in (390, 1440):
                self.page.set_viewport_size({"width": width, "height": 900})
                self.page.wait_for_timeout(200)  # colours move for a moment
                self.page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}-{width}.png"), full_page=True)
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1440, "height": 900})

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.page.fill(f"[name={name}]", value)

    def press(self, label: str) -> None:
        self.page.get_by_role("button", name=label, exact=True).first.click()
        self.page.wait_for_load_state()


def _code(secret: str) -> str:
    if (left := 30 - time.time() % 30) < 5:  # it must be good until it is typed
        time.sleep(left)
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


@pytest.fixture
def visitor(site: Any, browser: Any) -> Visitor:
    cache.clear()
    return Visitor(browser, site.address)


def test_from_the_set_up_link_to_a_token_and_a_colleague(visitor: Visitor) -> None:
    page = visitor.page
    token = verbs.make_setup_link(system("test"))
    connections.close_all()
    page.goto(f"/setup/{token}")
    visitor.picture("set-up")
    visitor.fill(email="first@example.com", password1="short", password2="short")
    visitor.press("Create account")
    assert "too short" in page.inner_text("main")
    visitor.picture("set-up-mistake")
    visitor.fill(password1=PASSWORD, password2=PASSWORD)
    visitor.press("Create account")

    assert page.url.endswith("/accounts/2fa/totp/activate/")
    picture = page.get_attribute("img.qr", "src") or ""
    assert b"<svg" in base64.b64decode(picture.partition("base64,")[2])
    assert page.evaluate("document.querySelector('img.qr').naturalWidth") > 50, "the policy lets the picture through"
    visitor.picture("factor")
    page.click("summary")
    secret = page.inner_text("#authenticator_secret")
    visitor.fill(code="000000")
    visitor.press("Switch it on")
    visitor.fill(code=_code(secret))
    visitor.press("Switch it on")
    assert page.url.endswith("/accounts/2fa/recovery-codes/")
    assert re.search(r"\d{8}", page.inner_text("#recovery_codes"))
    visitor.picture("recovery-codes")

    page.goto("/account/")
    visitor.picture("account")
    page.goto("/account/tokens/new/")
    visitor.picture("token-new")
    visitor.fill(name="deploy")
    page.check("input[value='monitors:read']")
    visitor.press("Create token")
    made = page.inner_text("#token")
    visitor.picture("token-made")
    page.goto("/account/tokens/")
    visitor.picture("tokens")
    request = page.request.get("/api/v1/monitors", headers={"Authorization": f"Bearer {made}"})
    assert request.status == 200
    visitor.press("Revoke")
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.get_by_text("The token is revoked").wait_for()
    assert page.request.get("/api/v1/monitors", headers={"Authorization": f"Bearer {made}"}).status == 401

    page.goto("/users/new/")
    visitor.fill(email="second@example.com")
    visitor.picture("user-new")
    visitor.press("Create account")
    assert "/join/" in page.inner_text("#invitation")
    visitor.picture("link-made")
    page.goto("/users/")
    visitor.picture("users")
    for path, name in (
        ("/accounts/2fa/", "factors"),
        ("/accounts/2fa/recovery-codes/generate/", "codes-anew"),
        ("/accounts/password/change/", "password-change"),
        ("/accounts/sessions/", "sessions"),
        ("/accounts/logout/", "logout"),
        ("/accounts/reauthenticate/", "reauthenticate"),
        ("/nothing/here", "missing"),
    ):
        page.goto(path)
        visitor.picture(name)
    visitor.complaints = [text for text in visitor.complaints if "404" not in text]  # the page that is missing
    assert visitor.complaints == []


def test_sign_in_with_a_second_factor_and_the_documentation(visitor: Visitor) -> None:
    page = visitor.page
    verbs.accept_invitation(verbs.create_user(system("test"), "dev@example.com", "developer"), PASSWORD)
    connections.close_all()
    page.goto("/account/")
    assert "/accounts/login/?next=/account/" in page.url
    visitor.picture("login")
    visitor.fill(login="dev@example.com", password="wrong")
    visitor.press("Sign in")
    visitor.picture("login-mistake")
    assert "not correct" in page.inner_text("main")
    visitor.fill(login="dev@example.com", password=PASSWORD)
    visitor.press("Sign in")
    assert page.url.endswith("/account/")
    page.goto("/users/")
    assert "may not" in page.inner_text("main")
    visitor.picture("forbidden")
    page.goto("/api/docs")
    page.wait_for_selector(".opblock-summary-path")
    visitor.picture("api-docs")
    page.click("#operations-Monitors-watch_api_list_monitors button, .opblock-summary-control")
    page.wait_for_selector(".opblock-body")
    page.goto("/account/")
    visitor.press("Sign out")
    page.goto("/accounts/password/reset/")
    visitor.picture("password-reset")
    page.goto("/accounts/signup/")
    visitor.picture("no-sign-up")
    page.goto("/join/nothing")
    visitor.picture("link-over")
    allowed = ("status of 403", "status of 404")  # the two pages that say so
    assert [text for text in visitor.complaints if not any(part in text for part in allowed)] == []
