"""Browsers: known ones, remembered ones, sessions; and answers that tell a stranger nothing."""

from __future__ import annotations

import json
import re

import pytest
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings
from tests.rigs.accounts_browser import PASSWORD, browser, code, person, sign_in, signed_in, switch_factor_on

from mainstay.accounts.devices import known_device, network_of

pytestmark = pytest.mark.usefixtures("store")
EMAIL = "first@example.com"


@pytest.fixture(autouse=True)
def _quick_and_calm() -> None:
    cache.clear()


def _guess(count: int, *, email: str = EMAIL, network: str = "10.0") -> list[str]:
    """Wrong passwords, each from another address."""
    form = {"login": email, "password": "x"}
    answers = (
        browser().post("/accounts/login/", form, REMOTE_ADDR=f"{network}.{n // 250}.{n % 250}") for n in range(count)
    )
    return ["Too many" if "Too many failed" in page.content.decode() else "wrong" for page in answers]


def _device(client: Client) -> str:
    return client.cookies[settings.DEVICE_COOKIE_NAME].value


# Lock-out


def test_a_known_browser_signs_in_while_strangers_guess() -> None:
    person()
    mine = signed_in()
    mine.post("/accounts/logout/")
    assert "Too many" in _guess(61), "guessing from many addresses comes to an end"
    assert sign_in(browser()) == 200, "and a new browser has to wait"
    assert sign_in(mine) == 302, "but not the one that the account knows"


def test_guesses_from_one_address_stop_nobody_elsewhere() -> None:
    person()
    for _ in range(8):
        sign_in(browser(), password="x")
    assert sign_in(browser()) == 200
    page = browser().post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}, REMOTE_ADDR="10.1.1.1")
    assert page.status_code == 302


def test_a_known_browser_is_throttled_for_itself() -> None:
    person()
    mine = signed_in()
    mine.post("/accounts/logout/")
    for _ in range(10):
        sign_in(mine, password="x")
    assert sign_in(mine) == 200
    assert sign_in(mine, email="second@example.com") == 200


def test_a_device_is_known_to_its_own_account_only_and_cannot_be_forged() -> None:
    person()
    person("second@example.com", "support")
    mine = signed_in()
    request = mine.get("/account/").wsgi_request
    assert known_device(request, " First@example.com ")
    assert known_device(request, "second@example.com") == ""
    first = known_device(request, EMAIL)
    mine.post("/accounts/logout/")
    sign_in(mine, email="second@example.com")
    request = mine.get("/account/").wsgi_request
    assert known_device(request, "second@example.com") == known_device(request, EMAIL) == first, (
        "one browser, two people"
    )
    for forged in ("x", _device(mine)[:-2] + "xx", "a" * 2000, ""):
        mine.cookies[settings.DEVICE_COOKIE_NAME] = forged
        assert known_device(mine.get("/accounts/login/").wsgi_request, EMAIL) == ""


def test_ipv6_visitors_are_counted_by_their_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("somewhere") == "somewhere"


# Remembered browsers


def _second_step(client: Client, secret: str, **more: str) -> int:
    cache.clear()
    sign_in(client)
    return client.post("/accounts/2fa/authenticate/", {"code": code(secret), **more}).status_code


def test_a_remembered_browser_skips_the_second_step_until_the_password_changes() -> None:
    user = person()
    secret = switch_factor_on(signed_in())
    forgetful, mindful = browser(), browser()
    assert _second_step(forgetful, secret) == 302
    cache.clear()
    assert _second_step(mindful, secret, remember="on") == 302
    assert settings.MFA_TRUST_COOKIE_NAME not in forgetful.cookies
    cookie = mindful.cookies[settings.MFA_TRUST_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    for client, expected in ((forgetful, 302), (mindful, 200)):
        client.post("/accounts/logout/")
        sign_in(client)
        assert client.get("/account/").status_code == expected
    user.refresh_from_db()
    user.set_password("another fine password")
    user.save()
    mindful.post("/accounts/logout/")
    sign_in(mindful, password="another fine password")
    assert mindful.get("/account/").status_code == 302


# Sessions


def test_one_session_is_ended_and_nobody_elses() -> None:
    from allauth.usersessions.models import UserSession

    person()
    person("second@example.com", "support")
    mine, other, stranger = signed_in(), signed_in(), signed_in("second@example.com")
    page = mine.get("/accounts/sessions/").content.decode()
    ends = re.findall(r'action="(/account/sessions/\d+/end/)"', page)
    assert len(ends) == 1, "not the one in use"
    assert stranger.post(ends[0]).status_code == 404
    assert other.get("/account/").status_code == 200
    assert mine.get(ends[0]).status_code == 405
    assert mine.post(ends[0]).status_code == 302
    assert other.get("/account/").status_code == 302
    assert mine.get("/account/").status_code == 200
    assert mine.post(ends[0]).status_code == 404
    assert UserSession.objects.count() == 2


# Answers that tell nothing


TELLING_NOTHING = ("Content-Length", "Expires")  # the second may tick between two answers


def _told(page: object) -> tuple[object, ...]:
    """All of an answer but the secrets of its form and what the visitor typed."""
    text = page.content.decode()  # type: ignore[attr-defined] # an answer of Django's client
    text = re.sub(r'(csrfmiddlewaretoken" value|X-CSRFToken": )="?[^"]*"', "", text)
    text = re.sub(r'"X-CSRFToken": "[^"]*"', "", text)
    text = re.sub(r"(first|intruder)@example\.com", "someone", text)
    headers = {name: value for name, value in page.headers.items() if name not in TELLING_NOTHING}  # type: ignore[attr-defined] # theirs
    return page.status_code, headers, text, sorted(page.cookies)  # type: ignore[attr-defined] # theirs


@pytest.mark.parametrize(
    ("path", "field", "more"),
    [
        ("/accounts/login/", "login", {"password": "wrong"}),
        ("/accounts/password/reset/", "email", {}),
        ("/accounts/signup/", "email", {"password1": PASSWORD, "password2": PASSWORD}),
    ],
)
def test_nobody_learns_who_has_an_account(path: str, field: str, more: dict[str, str]) -> None:
    person()
    known = browser().post(path, {field: EMAIL, **more})
    unknown = browser().post(path, {field: "intruder@example.com", **more})
    assert _told(known) == _told(unknown)
    if known.status_code == 302:
        assert _told(browser().get(known.headers["location"])) == _told(browser().get(unknown.headers["location"]))


def test_a_wrong_password_costs_as_much_work_for_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib.auth.hashers import MD5PasswordHasher

    person()
    work: list[str] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *rest: work.append("hash") or encode(self, *rest))
    costs = []
    for email in (EMAIL, "intruder@example.com"):
        work.clear()
        sign_in(browser(), email=email, password="wrong")
        costs.append(len(work))
    assert costs[0] == costs[1] > 0


def test_mail_goes_to_known_people_only_and_from_another_thread() -> None:
    from mainstay.accounts import adapters

    person()
    mail.outbox = []
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        for email in (EMAIL, "intruder@example.com"):
            browser().post("/accounts/password/reset/", {"email": email})
        adapters._mail.submit(lambda: None).result(10)
    assert [message.to for message in mail.outbox] == [[EMAIL]]


# Forged answers of authenticators


def _forged(**response: str | None) -> str:
    return json.dumps({"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": response})


_SIGNED = {"clientDataJSON": "e30", "authenticatorData": "AAAA", "signature": "AAAA"}
FORGED = [
    *("", "x", "[]", "null", "1", '"a"', "{}", "[" * 5000, "{" * 5000, '{"a":' * 3000, "x" * 40_000),
    '{"id":"a","rawId":"a","type":"public-key","response":{}}',
    '{"id":1,"rawId":2,"type":3,"response":[]}',
    '{"response":{"userHandle":{"a":1}}}',
    '{"id":"é","rawId":"é","response":{"clientDataJSON":"é"}}',
    _forged(clientDataJSON="AAAA", attestationObject="AAAA"),
    *(_forged(**_SIGNED, userHandle=handle) for handle in (None, "MQ", "//8", "é")),
]


@pytest.mark.parametrize("forged", FORGED)
def test_forged_answers_are_refused_calmly(forged: str) -> None:
    person()
    stranger = browser()
    stranger.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"})
    refused = stranger.post("/accounts/2fa/webauthn/login/", {"credential": forged})
    assert (refused.status_code, refused.headers["location"]) == (302, "/accounts/login/")
    assert stranger.get("/account/").status_code == 302
    client = signed_in()
    client.get("/accounts/2fa/webauthn/add/")
    assert client.post("/accounts/2fa/webauthn/add/", {"name": "x", "credential": forged}).status_code == 200
    switch_factor_on(client)
    cache.clear()
    half = browser()
    sign_in(half)
    half.get("/accounts/2fa/authenticate/")
    assert half.post("/accounts/2fa/authenticate/", {"credential": forged}).status_code == 200
    assert half.get("/account/").status_code == 302


def test_names_of_passkeys_are_bounded() -> None:
    person()
    client = signed_in()
    client.get("/accounts/2fa/webauthn/add/")
    page = client.post("/accounts/2fa/webauthn/add/", {"name": "x" * 61, "credential": "{}"})
    assert "at most 60" in page.content.decode()


def test_the_list_of_sessions_tells_when_each_was_used() -> None:
    from datetime import UTC, datetime

    from allauth.usersessions.models import UserSession

    from mainstay.accounts import session_verbs

    person()
    here, there = signed_in(), signed_in()
    session_verbs._notes.submit(lambda: None).result(20)
    UserSession.objects.update(last_seen_at=datetime(2026, 1, 1, tzinfo=UTC))
    session_verbs._noted.clear()
    for _ in range(3):
        here.get("/account/")
    session_verbs._notes.submit(lambda: None).result(20)
    used = UserSession.objects.filter(last_seen_at__gt=datetime(2026, 1, 2, tzinfo=UTC))
    assert [row.session_key for row in used] == [here.session.session_key]
    assert "last used" in there.get("/accounts/sessions/").content.decode()
