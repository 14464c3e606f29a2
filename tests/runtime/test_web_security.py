from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, person, sign_in, signed_in, switch_factor_on

from mainstay.accounts import adapters, verbs
from mainstay.accounts.doors import session_actor
from mainstay.accounts.models import User
from mainstay.accounts.passwords import Argon2Hasher
from mainstay.accounts.token_verbs import create_token
from mainstay.runtime import django_settings
from mainstay.store.journal import Filter, entries

pytestmark = pytest.mark.usefixtures("store")
DECLARED_HASHERS = django_settings.PASSWORD_HASHERS  # not those of tests


@pytest.fixture(autouse=True)
def _calm() -> None:
    cache.clear()


# Answers


@pytest.mark.parametrize("path", ["/accounts/login/", "/nothing/here", "/api/v1/monitors", "/setup/x", "/account/"])
def test_every_answer_carries_the_headers(path: str) -> None:
    response = browser().get(path)
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert "strict-transport-security" not in response.headers


@pytest.mark.parametrize(
    "path",
    ["/accounts/login/", "/accounts/password/reset/", "/accounts/signup/", "/accounts/2fa/", "/account/", "/users/"],
)
def test_pages_hold_no_inline_script_or_style(path: str) -> None:
    person()
    client = signed_in() if path not in ("/accounts/login/", "/accounts/signup/") else browser()
    page = client.get(path, follow=True).content.decode()
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style", page)
    for tag in re.findall(r"<script\b[^>]*>", page):
        assert "src=" in tag or 'type="application/json"' in tag


def test_pages_for_people_are_not_kept_by_caches() -> None:
    person()
    assert "private" in signed_in().get("/account/").headers["cache-control"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "a b", "localhost:99999999"])
def test_unknown_hosts_are_refused(host: str) -> None:
    assert browser(host=host).get("/accounts/login/").status_code == 400
    assert browser(host=host).get("/api/v1/monitors").status_code == 400


def test_large_requests_are_refused_before_they_are_read() -> None:
    client = browser()
    response = client.generic("POST", "/api/v1/tokens", b"", CONTENT_LENGTH="999999999999999999999999")
    assert response.status_code == 413
    assert response.json()["error"]["code"]
    big = b"x" * (settings.BODY_LIMIT + 1)
    assert client.post("/accounts/login/", big, content_type="text/plain").status_code == 413
    assert client.generic("POST", "/accounts/login/", b"", CONTENT_LENGTH="-1").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../secret.key",
        "/../etc/passwd",
        "/account/..%2f..%2fetc/passwd",
        "/api/v1/%00",
        "/setup/%2e%2e/account/",
        "/account/tokens/..%2f/revoke/",
        "/\\evil.example",
    ],
)
def test_path_tricks_lead_nowhere(path: str) -> None:
    person()
    response = signed_in().get(path)
    assert response.status_code in (400, 403, 404, 405)
    assert b"root:" not in response.content
    assert b"Traceback" not in response.content


def test_error_pages_look_like_the_product_and_tell_nothing() -> None:
    page = browser().get("/nothing/here")
    assert page.status_code == 404
    assert "Nothing found here" in page.content.decode()
    assert "mainstay.css" in page.content.decode()
    assert "urlpatterns" not in page.content.decode()
    missing = browser().get("/api/v1/nothing")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_a_broken_view_shows_a_calm_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the secret is 42")

    monkeypatch.setattr("mainstay.accounts.queries.setup_is_open", broken)
    client = browser()
    client.raise_request_exception = False
    page = client.get("/setup/x")
    assert page.status_code == 500
    assert "Something broke" in page.content.decode()
    assert "42" not in page.content.decode()


def test_a_body_in_chunks_is_refused_rather_than_taken_for_an_empty_one() -> None:
    response = browser().post("/api/v1/apply", b"", headers={"transfer-encoding": "chunked"}, content_type="text/plain")
    assert response.status_code == 411


# Sign-in


def test_sign_in_by_address_whatever_its_case() -> None:
    person()
    client = browser()
    assert sign_in(client, "FIRST@example.com") == 302
    entry = next(iter(entries(Filter(kind="user.signed_in"))))
    assert entry.actor == "user:first@example.com"
    assert (entry.data["second_factor"], entry.data["address"]) == ("no", "127.0.0.1")
    assert client.post("/accounts/logout/").status_code == 302
    assert client.get("/account/").status_code == 302
    assert next(iter(entries())).kind == "user.signed_out"


def test_a_known_and_an_unknown_address_get_the_same_answer() -> None:
    person()
    answers = []
    for email in ("first@example.com", "intruder@example.com"):
        page = browser().post("/accounts/login/", {"login": email, "password": "wrong wrong wrong"})
        answers.append(
            (
                page.status_code,
                re.findall(r"errorlist[^>]*>(.*?)</ul>|<p>([^<]*correct[^<]*)</p>", page.content.decode()),
            )
        )
    assert answers[0] == answers[1]
    failed = list(entries(Filter(kind="user.sign_in_failed")))
    assert [entry.data["user"] for entry in failed] == ["intruder@example.com", "first@example.com"]
    assert all("wrong" not in str(entry.data) for entry in failed)


def test_sign_in_is_throttled_by_account_and_address_also_with_changing_hosts() -> None:
    person()
    for attempt in range(5):
        sign_in(browser(host=f"localhost:{1000 + attempt}"), password="x")
    page = browser().post("/accounts/login/", {"login": "First@example.com", "password": PASSWORD})
    assert page.status_code == 200
    assert "Too many failed" in page.content.decode()
    assert len(list(entries(Filter(kind="user.sign_in_failed")))) == 5, "throttled attempts cost no entry"


def test_sign_in_is_throttled_by_address_over_many_accounts() -> None:
    person()
    statuses = [
        browser().post("/accounts/login/", {"login": f"u{n}@example.com", "password": "x"}).content.decode()
        for n in range(11)
    ]
    assert "Too many failed" not in statuses[9]
    assert "Too many failed" in statuses[10]


def test_a_forged_forwarding_header_does_not_change_the_counted_address() -> None:
    person()
    for n in range(11):
        form = {"login": f"u{n}@example.com", "password": "x"}
        page = browser().post("/accounts/login/", form, headers={"x-forwarded-for": f"10.9.9.{n}"})
    assert "Too many failed" in page.content.decode()


def test_behind_a_trusted_proxy_the_visitors_address_counts() -> None:
    from dataclasses import replace

    trusting = replace(settings.MAINSTAY, trusted_proxies="127.0.0.0/8", url="https://ops.example.com")
    with override_settings(MAINSTAY=trusting):
        for n in range(11):
            form = {"login": f"u{n}@example.com", "password": "x"}
            client = browser(host="ops.example.com")
            page = client.post("/accounts/login/", form, headers={"x-forwarded-for": f"1.2.3.4, 10.9.9.{n}"})
        assert "Too many failed" not in page.content.decode()
    assert next(iter(entries(Filter(kind="user.sign_in_failed")))).data["address"] == "10.9.9.10"


def test_wrong_codes_of_the_second_factor_are_throttled() -> None:
    person()
    switch_factor_on(signed_in())
    cache.clear()
    client = browser()
    sign_in(client)
    pages = [client.post("/accounts/2fa/authenticate/", {"code": f"{n:06}"}).content.decode() for n in range(6)]
    assert "Too many failed" in pages[-1]


def test_the_session_changes_its_name_at_sign_in_and_ends_at_sign_out() -> None:
    person()
    client = browser()
    fixed = "a" * 32
    client.cookies[settings.SESSION_COOKIE_NAME] = fixed
    assert sign_in(client) == 302
    mine = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert mine != fixed
    cookies = {settings.SESSION_COOKIE_NAME: mine}
    actor = session_actor(cookies)
    assert actor is not None
    assert actor.name == "first@example.com"
    client.post("/accounts/logout/")
    assert session_actor(cookies) is None
    assert [session_actor({settings.SESSION_COOKIE_NAME: key}) for key in ("", "x", fixed, "a" * 500, "'--")] == [
        None
    ] * 5


def test_cookies_are_closed_to_scripts_and_other_sites() -> None:
    person()
    client = browser()
    sign_in(client)
    session, csrf = client.cookies["mainstay_session"], client.cookies["mainstay_csrf"]
    assert (session["httponly"], session["samesite"], session["max-age"]) == (True, "Lax", 14 * 86_400)
    assert (csrf["httponly"], csrf["samesite"]) == (True, "Lax")


def test_a_new_password_ends_the_other_sessions() -> None:
    person()
    here, there = signed_in(), signed_in()
    form = {"oldpassword": PASSWORD, "password1": "quite another phrase", "password2": "quite another phrase"}
    assert here.post("/accounts/password/change/", form).headers["location"] == "/account/"
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302
    assert next(iter(entries(Filter(kind="user.password_changed")))).data["how"] == "changed"


def test_passwords_are_hashed_with_argon2() -> None:
    assert DECLARED_HASHERS[0] == "mainstay.accounts.passwords.Argon2Hasher"
    with override_settings(PASSWORD_HASHERS=DECLARED_HASHERS):
        user = verbs.accept_invitation(verbs.create_user(TEST, "s@example.com", "support"), PASSWORD)
        assert user.password.startswith("argon2$argon2id$v=19$m=47104,t=2,p=1$"), "as the ADR has it"
        assert user.check_password(PASSWORD)
        assert not user.check_password(PASSWORD + "x")


@pytest.mark.parametrize("older", ["ScryptPasswordHasher", "PBKDF2PasswordHasher"])
def test_an_older_hash_still_lets_in_and_is_made_anew(older: str) -> None:
    with override_settings(PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{older}"]):
        person()
    with override_settings(PASSWORD_HASHERS=DECLARED_HASHERS):
        assert sign_in(browser()) == 302
        assert User.objects.get().password.startswith("argon2$")
        assert sign_in(browser()) == 302


def test_an_unknown_address_takes_as_long_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: a hash is made for nobody, too."""
    hashed: list[str] = []
    whole = Argon2Hasher.encode, Argon2Hasher.verify
    monkeypatch.setattr(Argon2Hasher, "encode", lambda *given: (hashed.append("encode"), whole[0](*given))[1])
    monkeypatch.setattr(Argon2Hasher, "verify", lambda *given: (hashed.append("verify"), whole[1](*given))[1])
    with override_settings(PASSWORD_HASHERS=DECLARED_HASHERS):
        person()
        hashed.clear()
        sign_in(browser(), password="wrong wrong wrong")
        assert hashed == ["verify"]
        sign_in(browser(), "nobody@example.com", password="wrong wrong wrong")
        assert hashed == ["verify", "encode"]


def test_many_attempts_at_once_take_bounded_memory() -> None:
    import threading

    inside, most = 0, 0
    lock = threading.Lock()

    class Counting(Argon2Hasher):
        memory_cost, time_cost = 8, 1

        def params(self) -> object:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            try:
                threading.Event().wait(0.02)
                return super().params()
            finally:
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=Counting().encode, args=("x", "saltsaltsalt")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert 1 <= most <= 4


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:evil", "\t//evil"],
)
def test_next_leads_to_our_own_pages_only(target: str) -> None:
    person()
    client = browser()
    form = {"login": "first@example.com", "password": PASSWORD, "next": target}
    assert client.post("/accounts/login/", form).headers["location"] == "/"
    assert client.get("/accounts/login/", {"next": target}).headers["location"] == "/"
    assert "evil" not in client.post("/accounts/logout/", {"next": target}).headers["location"]


def test_next_brings_back_to_the_page_that_was_asked_for() -> None:
    person()
    client = browser()
    location = client.get("/account/?a=b&c=d").headers["location"]
    assert location == "/accounts/login/?next=/account/%3Fa%3Db%26c%3Dd"
    assert 'value="/account/?a=b&amp;c=d"' in client.get(location).content.decode()
    form = {"login": "first@example.com", "password": PASSWORD, "next": "/account/?a=b"}
    assert client.post("/accounts/login/", form).headers["location"] == "/account/?a=b"


def test_a_part_of_a_page_sends_the_whole_page_to_sign_in() -> None:
    response = browser().get("/account/", headers={"hx-request": "true"})
    assert response.status_code == 401
    assert response.headers["hx-redirect"].startswith("/accounts/login/?next=")


def test_forms_need_their_token_and_their_origin() -> None:
    person()
    client = signed_in(csrf=True)
    page = client.get("/account/").content.decode()
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
    assert token
    form = {"csrfmiddlewaretoken": token[1]}
    refused = client.post("/accounts/logout/")
    assert refused.status_code == 403
    assert "too old" in refused.content.decode()
    assert client.post("/accounts/logout/", form, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/accounts/logout/", form, headers={"origin": "null"}).status_code == 403
    assert client.post("/accounts/logout/", form, headers={"origin": "http://localhost"}).status_code == 302


def test_there_is_no_open_sign_up() -> None:
    form = {"email": "intruder@example.com", "password1": PASSWORD, "password2": PASSWORD}
    page = browser().post("/accounts/signup/", form)
    assert page.status_code == 200
    assert "No open sign-up" in page.content.decode()
    assert not User.objects.exists()


# Forgotten passwords


def _sent() -> list[mail.EmailMessage]:
    adapters._mail.submit(lambda: None).result(10)  # everything before it is done
    return mail.outbox


def test_a_forgotten_password_is_set_anew_by_mail() -> None:
    person()
    mail.outbox = []
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        for email in ("first@example.com", "intruder@example.com"):
            response = browser(host="localhost").post("/accounts/password/reset/", {"email": email})
            assert response.headers["location"] == "/accounts/password/reset/done/"
        sent = _sent()
        assert [message.to for message in sent] == [["first@example.com"]], "strangers get no mail"
        link = re.search(r"(http://\S+)", str(sent[0].body))
        assert link
        assert link[1].startswith(f"{settings.MAINSTAY.base_url}/accounts/password/reset/key/")
        client = browser()
        step = client.get(link[1].removeprefix(settings.MAINSTAY.base_url)).headers["location"]
        form = {"password1": "quite another phrase", "password2": "quite another phrase"}
        assert client.post(step, form).status_code == 302
        assert client.get("/account/").status_code == 302, "not signed in by it"
        assert "invalid" in browser().get(link[1].removeprefix(settings.MAINSTAY.base_url)).content.decode()
        _sent()
    assert sign_in(browser(), password="quite another phrase") == 302
    assert next(iter(entries(Filter(kind="user.password_changed")))).data["how"] == "reset by mail"


def test_a_mail_server_that_is_away_shows_nobody_anything() -> None:
    person()
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_HOST="127.0.0.1", EMAIL_PORT=1
    ):
        assert browser().post("/accounts/password/reset/", {"email": "first@example.com"}).status_code == 302
        _sent()


def test_a_nul_in_what_is_asked_for_is_a_mistake_of_the_asker() -> None:
    """PostgreSQL keeps no NUL: the answer says so, and it is no fault of the server."""
    token = create_token(TEST, "asker", ["alerts:read", "journal:read"])
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})
    for address in ("/api/v1/alerts?subject=a%00b", "/api/v1/journal?subject=a%00b", "/api/v1/journal/export?text=%00"):
        answer = client.get(address)
        assert answer.status_code == 400, address
        assert "NUL" in answer.json()["error"]["message"]
