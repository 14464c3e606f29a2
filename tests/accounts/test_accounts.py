from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, code, person, sign_in, signed_in, switch_factor_on
from tests.rigs.settings import having

from mainstay.accounts import queries, rules, verbs
from mainstay.accounts.models import Invitation, User
from mainstay.kernel.actor import Actor, command
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.store.journal import Filter, entries
from mainstay.store.models import FactRow

pytestmark = pytest.mark.usefixtures("store")
NOBODY = Actor("user", "nobody@example.com")


@pytest.fixture(autouse=True)
def _quick_and_calm() -> None:
    cache.clear()


def _kinds() -> list[str]:
    return [entry.kind for entry in entries(newest_first=False)]


# The first administrator


def test_the_set_up_link_makes_one_administrator_and_dies() -> None:
    token = verbs.make_setup_link(TEST)
    assert token
    assert token not in FactRow.objects.get(key=queries.SETUP_FACT).value
    client = browser()
    assert client.get(f"/setup/{token}").status_code == 200
    form = {"email": "First@Example.com", "password1": PASSWORD, "password2": PASSWORD}
    response = client.post(f"/setup/{token}", form)
    assert response.headers["location"] == "/accounts/2fa/totp/activate/"
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200, "no second password prompt"
    assert client.get("/account/").status_code == 200
    assert browser().get(f"/setup/{token}").status_code == 404
    with pytest.raises(NotFound):
        verbs.create_first_admin(token, "intruder@example.com", PASSWORD)
    assert verbs.make_setup_link(TEST) is None
    assert User.objects.get().email == "first@example.com"
    assert _kinds() == ["user.created", "user.signed_in"]


def test_a_new_start_replaces_the_set_up_link() -> None:
    first, second = verbs.make_setup_link(TEST), verbs.make_setup_link(TEST)
    assert first
    assert second
    assert not queries.setup_is_open(first)
    assert queries.setup_is_open(second)
    import time

    assert not queries.setup_is_open(second, time.time() + rules.SETUP_SECONDS + 1)


@pytest.mark.parametrize(
    ("token", "status"), [("x", 404), ("../account", 404), ("%00", 400), ("é", 404), ("a" * 5000, 404)]
)
def test_guessed_set_up_links_are_answered_calmly(token: str, status: int) -> None:
    verbs.make_setup_link(TEST)
    assert browser().get(f"/setup/{token}").status_code == status


@pytest.mark.parametrize(
    ("password", "again", "says"),
    [
        ("short", "short", "at least 12"),
        ("password1234", "password1234", "too common"),
        ("first@example.com", "first@example.com", "too similar"),
        ("928374659283", "928374659283", "entirely numeric"),
        (PASSWORD, PASSWORD + "!", "do not match"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(password: str, again: str, says: str) -> None:
    token = verbs.make_setup_link(TEST)
    form = {"email": "first@example.com", "password1": password, "password2": again}
    response = browser().post(f"/setup/{token}", form)
    assert response.status_code == 200
    assert says in response.content.decode()
    assert 'type="password" name="password1" value' not in response.content.decode()
    assert not queries.has_admin()


def test_verbs_check_passwords_and_addresses_themselves() -> None:
    token = verbs.make_setup_link(TEST)
    assert token
    for email, password in (("first@example.com", "short"), ("no address", PASSWORD), ("a" * 190 + "@b.cc", PASSWORD)):
        with pytest.raises(UserError):
            verbs.create_first_admin(token, email, password)
    assert queries.setup_is_open(token)


# People and roles


def test_an_invited_person_sets_a_password_once() -> None:
    secret = verbs.create_user(TEST, "Second@Example.com", "operations")
    assert queries.invited_email(secret) == "second@example.com"
    client = browser()
    assert "second@example.com" in client.get(f"/join/{secret}").content.decode()
    assert client.post(f"/join/{secret}", {"password1": PASSWORD, "password2": PASSWORD}).status_code == 302
    assert client.get("/account/").status_code == 200
    assert browser().get(f"/join/{secret}").status_code == 404
    with pytest.raises(NotFound):
        verbs.accept_invitation(secret, PASSWORD)
    assert sign_in(browser(), "SECOND@example.com") == 302


def test_a_link_ends_sessions_and_earlier_links() -> None:
    person("second@example.com", "operations")
    client = signed_in("second@example.com")
    first, second = verbs.make_link(TEST, "second@example.com"), verbs.make_link(TEST, "second@example.com")
    assert queries.invited_email(first) is None
    verbs.accept_invitation(second, "another fine password")
    assert client.get("/account/").status_code == 302


def test_nobody_waits_for_a_password_to_be_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    within: list[bool] = []
    hashed = MD5PasswordHasher.encode

    def encode(self: MD5PasswordHasher, password: str, salt: str) -> str:
        within.append(connection.in_atomic_block)
        encoded: str = hashed(self, password, salt)
        return encoded

    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
    token = verbs.make_setup_link(TEST)
    assert token
    verbs.create_first_admin(token, "first@example.com", PASSWORD)
    verbs.accept_invitation(verbs.make_link(TEST, "first@example.com"), PASSWORD)
    recovery = verbs.make_recovery_link(command("test"), "first@example.com")
    verbs.recover(recovery.secret, PASSWORD)
    assert within == [False, False, False]
    for use in (verbs.accept_invitation, verbs.recover):
        with pytest.raises(NotFound):
            use("nobody's", PASSWORD)
    assert len(within) == 3, "a link that is not valid costs no hash"


def test_old_links_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = verbs.create_user(TEST, "second@example.com", "support")
    Invitation.objects.update(expires_us=1)
    assert queries.invited_email(secret) is None
    with pytest.raises(NotFound):
        verbs.accept_invitation(secret, PASSWORD)


def test_every_change_to_people_needs_the_scope() -> None:
    person()
    for call in (
        lambda: verbs.make_setup_link(NOBODY),
        lambda: verbs.create_user(NOBODY, "x@example.com", "admin"),
        lambda: verbs.make_link(NOBODY, "first@example.com"),
        lambda: verbs.change_role(NOBODY, "first@example.com", "support"),
        lambda: verbs.deactivate(NOBODY, "first@example.com"),
        lambda: verbs.reactivate(NOBODY, "first@example.com"),
        lambda: verbs.reset_second_factor(NOBODY, "first@example.com"),
        lambda: queries.people(NOBODY),
    ):
        with pytest.raises(Forbidden):
            call()


def test_changes_are_journaled_once_and_repeats_are_harmless() -> None:
    person()
    person("second@example.com", "support")
    before = len(_kinds())
    for _ in range(2):
        verbs.change_role(TEST, "second@example.com", "operations")
        verbs.deactivate(TEST, "second@example.com")
        verbs.reactivate(TEST, "second@example.com")
        verbs.change_role(TEST, "second@example.com", "operations")
    changes = _kinds()[before:]
    assert changes.count("user.role_changed") == 1
    entry = next(iter(entries(Filter(kind="user.role_changed"))))
    assert (entry.subject, entry.data["from"], entry.data["to"]) == ("user/second@example.com", "support", "operations")
    with pytest.raises(Conflict):
        verbs.create_user(TEST, "second@example.com", "support")


def test_the_last_administrator_stays() -> None:
    person()
    verbs.create_user(TEST, "invited@example.com", "admin")  # cannot sign in yet, so does not count
    for call in (
        lambda: verbs.deactivate(TEST, "first@example.com"),
        lambda: verbs.change_role(TEST, "first@example.com", "support"),
    ):
        with pytest.raises(Conflict, match="last administrator"):
            call()
    person("second@example.com")
    verbs.deactivate(TEST, "first@example.com")
    assert queries.has_admin()


def test_switching_off_ends_sessions_at_once() -> None:
    person()
    person("second@example.com", "operations")
    client = signed_in("second@example.com")
    assert client.get("/account/").status_code == 200
    verbs.deactivate(TEST, "second@example.com")
    assert client.get("/account/").status_code == 302
    assert sign_in(client, "second@example.com") in (200, 302)
    assert client.get("/account/").status_code == 302


def test_an_address_is_changed_by_who_keeps_people_and_both_are_told() -> None:
    from django.core import mail

    from mainstay.accounts import announcements

    person()
    person("second@example.com", "operations")
    client = signed_in("second@example.com")
    mail.outbox = []
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        verbs.change_address(TEST, "second@example.com", "Other@Example.com")
        announcements._later.submit(lambda: None).result(10)
    assert [message.to for message in mail.outbox] == [["second@example.com"], ["other@example.com"]]
    assert "other@example.com" in client.get("/account/").content.decode()
    assert sign_in(browser(), "second@example.com") == 200
    assert sign_in(browser(), "other@example.com") == 302
    with pytest.raises(Conflict):
        verbs.change_address(TEST, "other@example.com", "first@example.com")
    with pytest.raises(UserError):
        verbs.change_address(TEST, "other@example.com", "nowhere")
    with pytest.raises(Forbidden):
        verbs.change_address(NOBODY, "other@example.com", "x@example.com")
    verbs.change_address(TEST, "other@example.com", "other@example.com")
    assert _kinds().count("user.address_changed") == 1


# The second factor


def test_a_second_factor_is_asked_for_and_its_secret_is_encrypted() -> None:
    from allauth.mfa.models import Authenticator

    user = person()
    client = signed_in()
    secret = switch_factor_on(client)
    stored = Authenticator.objects.get(user_id=user.pk, type="totp").data["secret"]
    assert secret not in stored
    codes = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert "Recovery codes" in codes
    cache.clear()  # the code that switched it on counts as used

    fresh = browser()
    assert sign_in(fresh) == 302
    assert fresh.get("/account/").status_code == 302, "the password alone is not enough"
    assert fresh.post("/accounts/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert fresh.post("/accounts/2fa/authenticate/", {"code": code(secret)}).status_code == 302
    assert fresh.get("/users/").status_code == 200
    signs = next(iter(entries(Filter(kind="user.signed_in"))))
    assert signs.data["second_factor"] == "yes"
    failed = next(iter(entries(Filter(kind="user.sign_in_failed"))))
    assert failed.data["step"] == "second factor"
    assert [entry.data["what"] for entry in entries(Filter(kind="user.second_factor_changed"))] == ["totp added"]


def test_a_recovery_code_signs_in_once() -> None:
    from allauth.mfa.models import Authenticator

    user = person()
    switch_factor_on(signed_in())
    unused = Authenticator.objects.get(user_id=user.pk, type="recovery_codes").wrap().get_unused_codes()
    for expected in (302, 200):
        client = browser()
        sign_in(client)
        assert client.post("/accounts/2fa/authenticate/", {"code": unused[0]}).status_code == expected


def test_within_the_grace_access_cannot_be_handed_out_and_after_it_nothing_works() -> None:
    user = person()
    client = signed_in()
    page = client.get("/account/")
    assert "second factor" in page.content.decode()
    assert client.get("/users/").headers["location"] == "/accounts/2fa/totp/activate/"
    assert client.get("/account/tokens/").status_code == 302
    actor = queries.actor_of_user(user)
    assert actor.may("resources:write")
    assert not actor.may("users:write")
    with override_settings(MAINSTAY=having(settings.MAINSTAY, second_factor_grace_days=0)):
        assert client.get("/account/").headers["location"] == "/accounts/2fa/totp/activate/"
        assert queries.actor_of_user(user).scopes == frozenset()
        assert client.get("/api/v1/journal").status_code == 403
    with override_settings(MAINSTAY=having(settings.MAINSTAY, require_second_factor="")):
        assert client.get("/users/").status_code == 200


def test_an_administrator_resets_a_lost_factor() -> None:
    person()
    switch_factor_on(signed_in())
    verbs.reset_second_factor(TEST, "first@example.com")
    client = browser()
    sign_in(client)
    assert client.get("/account/").status_code == 200
    with pytest.raises(Conflict):
        verbs.reset_second_factor(TEST, "first@example.com")


# The page of people


def test_people_are_kept_on_their_page() -> None:
    person()
    client = signed_in()
    switch_factor_on(client)
    assert client.get("/users/").status_code == 200
    made = client.post("/users/new/", {"email": "second@example.com", "role": "support"})
    assert "/join/" in made.content.decode()
    assert made.headers["cache-control"] == "no-store"
    change = {"email": "second@example.com", "change": "role", "role": "operations"}
    assert client.post("/users/change/", change).status_code == 302
    assert User.objects.get(email="second@example.com").role == "operations"
    assert "operations now" in client.get("/users/").content.decode()
    assert client.post("/users/change/", {"email": "first@example.com", "change": "deactivate"}).status_code == 302
    assert "last administrator" in client.get("/users/").content.decode()
    assert client.post("/users/change/", {"email": "second@example.com", "change": "destroy"}).status_code == 404
    assert client.get("/users/change/").status_code == 405
    person("dev@example.com", "developer")
    developer = signed_in("dev@example.com")
    assert developer.get("/users/").status_code == 403
    assert developer.post("/users/change/", change).status_code == 403


def test_serious_changes_ask_for_the_password_again() -> None:
    person()
    client = signed_in()
    switch_factor_on(client)
    session = client.session
    session["account_authentication_methods"] = [
        {**record, "at": record["at"] - 3600} for record in session["account_authentication_methods"]
    ]
    session.save()
    response = client.get("/users/new/")
    assert response.headers["location"].startswith("/accounts/reauthenticate/")
    assert client.get("/users/").status_code == 200
