"""Single sign-on with a real provider: who comes in, as what, and who does not."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, person, sign_in, signed_in, switch_factor_on
from tests.rigs.sso_provider import Provider, running_provider, sign_in_document

from mainstay.accounts import queries, verbs
from mainstay.accounts.models import User
from mainstay.kernel.errors import InvalidInput
from mainstay.store.followers import FOLLOWERS, catch_up
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare, remove

pytestmark = pytest.mark.usefixtures("store")
ROLES = [{"group": "leads", "role": "admin"}, {"group": "sre", "role": "operations"}]
START = "/accounts/oidc/company/login/"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def _quick_and_calm() -> None:
    cache.clear()
    (settings.MAINSTAY.data / "secrets" / "oidc").write_text("not so secret")


def _declare(provider: Provider, **more: object) -> None:
    document = sign_in_document(provider, **{"roles": ROLES, "domains": ["example.com"], **more})
    declare(TEST, "sign_in", "company", document, manager="page")


def _come(provider: Provider, sub: str, client: Client | None = None) -> Client:
    """Walk there and back; the client's last answer is in `client.answer`."""
    client = client or browser()
    asked = client.get(START + "?next=/account/")
    assert asked.status_code == 302, asked.content
    back = urlsplit(provider.consent(asked.headers["location"], sub))
    client.answer = client.get(f"{back.path}?{back.query}")  # type: ignore[attr-defined] # for the test that asks
    return client


def _refusal() -> str:
    return str(next(iter(entries(Filter(kind="user.sign_in_failed")))).data["reason"])


# Who comes in


def test_a_person_is_welcomed_with_the_role_of_their_group(provider: Provider) -> None:
    _declare(provider)
    provider.describe("u1", email="First@Example.com", email_verified=True, groups=["people", "sre"])
    client = _come(provider, "u1")
    assert client.answer.headers["location"] == "/account/"  # type: ignore[attr-defined] # see _come
    assert "first@example.com" in client.get("/account/").content.decode()
    user = User.objects.get()
    assert (user.email, user.role, user.has_usable_password()) == ("first@example.com", "operations", False)
    created = next(iter(entries(Filter(kind="user.created"))))
    assert (created.actor, created.data["provider"]) == ("system:sign-in company", "company")
    signed = next(iter(entries(Filter(kind="user.signed_in"))))
    assert (signed.data["how"], signed.data["second_factor"]) == ("single sign-on", "no")
    assert sign_in(browser(), password="") == 200
    client.post("/accounts/logout/")
    _come(provider, "u1", client)
    assert User.objects.count() == 1


def test_the_role_follows_the_groups_at_each_sign_in(provider: Provider) -> None:
    _declare(provider)
    for groups, role in ((["sre"], "operations"), (["leads", "sre"], "admin"), ("sre", "admin")):
        provider.describe("u2", email="second@example.com", email_verified=True, groups=groups)
        _come(provider, "u2")
        assert User.objects.get().role == role, "the last administrator stays one"
    person("first@example.com")
    _come(provider, "u2")
    assert User.objects.get(email="second@example.com").role == "operations"
    told = [(entry.data["from"], entry.data["to"]) for entry in entries(Filter(kind="user.role_changed"))]
    assert told == [("admin", "operations"), ("operations", "admin")]


def test_an_account_is_bound_by_a_verified_address_and_then_by_the_person(provider: Provider) -> None:
    _declare(provider, default_role="support")
    person("first@example.com", "support")
    provider.describe("u3", email="first@example.com", email_verified=True)
    client = _come(provider, "u3")
    assert "first@example.com" in client.get("/account/").content.decode()
    provider.describe("u3", email="other@example.com", email_verified=False)
    assert "first@example.com" in _come(provider, "u3").get("/account/").content.decode(), "the identifier counts"
    assert User.objects.count() == 1


# Who does not


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email": "first@example.com", "email_verified": False, "groups": ["sre"]}, "not verified"),
        ({"email": "first@example.com", "email_verified": "false", "groups": ["sre"]}, "not verified"),
        ({"email": "first@example.com", "groups": ["sre"]}, "not verified"),
        ({"email": "first@example.com", "email_verified": True, "groups": []}, "None of your groups"),
        ({"email": "first@example.com", "email_verified": True, "groups": {"sre": 1}}, "None of your groups"),
        ({"email": "first@example.com", "email_verified": True}, "None of your groups"),
        ({"email": "first@evil.example", "email_verified": True, "groups": ["leads"]}, "this domain"),
        ({"email": "first@example.com.evil.example", "email_verified": True, "groups": ["leads"]}, "this domain"),
        ({"groups": ["leads"]}, "no e-mail"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_people_are_refused_with_the_reason(
    provider: Provider, claims: dict[str, object], reason: str, there: bool
) -> None:
    _declare(provider)
    if there:
        person("first@example.com", "support")
    sub = f"r{abs(hash((str(claims), there)))}"
    provider.describe(sub, **claims)
    client = _come(provider, sub)
    assert client.answer.status_code == 403  # type: ignore[attr-defined] # see _come
    assert reason in client.answer.content.decode()  # type: ignore[attr-defined] # see _come
    assert reason in _refusal()
    assert client.get("/account/").status_code == 302
    assert User.objects.count() == int(there)


def test_a_provider_that_is_trusted_may_leave_verification_out(provider: Provider) -> None:
    _declare(provider, trust_email=True)
    provider.describe("u4", email="first@example.com", groups=["sre"])
    assert _come(provider, "u4").get("/account/").status_code == 200


def test_who_is_switched_off_stays_out(provider: Provider) -> None:
    _declare(provider)
    person("first@example.com")
    provider.describe("u5", email="second@example.com", email_verified=True, groups=["sre"])
    _come(provider, "u5")
    verbs.deactivate(TEST, "second@example.com")
    assert _come(provider, "u5").get("/account/").status_code == 302


def test_nobody_binds_a_provider_by_hand(provider: Provider) -> None:
    _declare(provider, default_role="support")
    person("first@example.com")
    provider.describe("u6", email="intruder@example.com", email_verified=True)
    client = signed_in()
    asked = client.get(START + "?process=connect&next=/account/")
    back = urlsplit(provider.consent(asked.headers["location"], "u6"))
    client.get(f"{back.path}?{back.query}")
    assert "intruder@example.com" in client.get("/account/").content.decode(), "they are signed in as themselves"
    assert not queries.from_provider(User.objects.get(email="first@example.com"))
    assert client.get("/accounts/3rdparty/").headers["location"] == "/account/"


# Tricks and troubles


def test_an_answer_belongs_to_the_browser_that_asked(provider: Provider) -> None:
    _declare(provider, default_role="support")
    provider.describe("u7", email="intruder@example.com", email_verified=True)
    mine = browser()
    asked = mine.get(START)
    query = parse_qs(urlsplit(asked.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["nonce"]
    back = urlsplit(provider.consent(asked.headers["location"], "u7"))
    victim = browser()
    assert victim.get(f"{back.path}?{back.query}").status_code == 403
    assert victim.get("/account/").status_code == 302
    assert mine.get(f"{back.path}?{back.query}").status_code == 302
    assert mine.get(f"{back.path}?{back.query}").status_code == 403, "and once"


def test_the_answer_to_another_question_is_refused(provider: Provider) -> None:
    _declare(provider, default_role="support")
    provider.describe("u8", email="first@example.com", email_verified=True)
    client = browser()
    asked = client.get(START).headers["location"]
    back = urlsplit(provider.consent(asked.replace("nonce=", "nonce=other"), "u8"))
    assert client.get(f"{back.path}?{back.query}").status_code == 403
    assert "another sign-in" in _refusal()


def test_the_answer_of_another_provider_is_refused(provider: Provider) -> None:
    _declare(provider, default_role="support")
    other = sign_in_document(provider, default_role="admin", title="Other")
    declare(TEST, "sign_in", "other", other, manager="page")
    provider.describe("u10", email="first@example.com", email_verified=True)
    client = browser()
    back = urlsplit(provider.consent(client.get(START).headers["location"], "u10"))
    assert client.get(f"{back.path.replace('company', 'other')}?{back.query}").status_code == 403
    assert client.get("/account/").status_code == 302
    assert User.objects.count() == 0


@pytest.mark.parametrize("extra", ["auth_params=scope%3Dadmin%26redirect_uri%3Dhttps://evil.example", "scope=evil"])
def test_visitors_add_nothing_to_the_question(provider: Provider, extra: str) -> None:
    _declare(provider)
    asked = browser().get(f"{START}?{extra}").headers["location"]
    assert "evil" not in asked
    assert "redirect_uri=http%3A%2F%2Flocalhost%2F" in asked


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_the_way_back_leads_to_our_own_pages(provider: Provider, target: str) -> None:
    _declare(provider, default_role="support")
    provider.describe("u9", email="first@example.com", email_verified=True)
    client = browser()
    asked = client.get(START, {"next": target})
    back = urlsplit(provider.consent(asked.headers["location"], "u9"))
    assert client.get(f"{back.path}?{back.query}").headers["location"] == "/"


def test_somebody_who_thinks_better_of_it_is_told_so(provider: Provider) -> None:
    _declare(provider)
    client = browser()
    back = urlsplit(provider.consent(client.get(START).headers["location"], "u", deny=True))
    page = client.get(f"{back.path}?{back.query}")
    assert page.status_code == 403
    assert "cancelled" in page.content.decode()


def test_a_provider_that_is_away_or_talks_nonsense_breaks_nothing(provider: Provider) -> None:
    declare(TEST, "sign_in", "company", sign_in_document(provider, default_role="support"), manager="page")
    away = {**sign_in_document(provider, default_role="support"), "server": "http://127.0.0.1:9"}
    declare(TEST, "sign_in", "away", away, manager="page")
    nonsense = {**away, "server": provider.address + "/jwks?x="}
    declare(TEST, "sign_in", "nonsense", nonsense, manager="page")
    for name in ("away", "nonsense"):
        page = browser().get(f"/accounts/oidc/{name}/login/")
        assert page.status_code == 403
        assert "did not answer" in page.content.decode()
    assert browser().get("/accounts/oidc/unknown/login/").status_code == 404
    assert browser().get("/accounts/oidc/company/login/callback/?code=x&state=y").status_code == 403
    assert browser().post(START).status_code == 405
    page = browser().get("/accounts/login/?next=/users/").content.decode()
    assert "Sign in with Example Login" in page
    assert 'href="/accounts/oidc/company/login/?next=%2Fusers%2F"' in page


# The only way in


def test_where_it_is_the_only_way_passwords_and_passkeys_are_closed(provider: Provider) -> None:
    person("first@example.com")
    mine = signed_in()
    _declare(provider, only=True)
    page = browser().get("/accounts/login/").content.decode()
    assert "password" not in page.partition("<main")[2].lower().replace("passwords are switched off here", "")
    for password in (PASSWORD, "wrong"):
        client = browser()
        answer = client.post("/accounts/login/", {"login": "first@example.com", "password": password})
        assert client.get("/account/").status_code == 302
        assert answer.status_code == 200, "right and wrong look the same"
    assert browser().post("/accounts/2fa/webauthn/login/", {"credential": "{}"}).status_code == 302
    secret = verbs.make_link(TEST, "first@example.com")
    client = browser()
    answer = client.post(f"/join/{secret}", {"password1": PASSWORD + "!", "password2": PASSWORD + "!"})
    assert answer.status_code == 403
    assert client.get("/account/").status_code == 302
    assert mine.get("/account/").status_code == 302, "the link changed the password, which ends sessions"
    provider.describe("u10", email="first@example.com", email_verified=True, groups=["leads"])
    assert _come(provider, "u10").get("/account/").status_code == 200


def test_a_second_factor_of_the_provider_is_taken_for_ours_where_declared(provider: Provider) -> None:
    provider.describe("u11", email="first@example.com", email_verified=True, groups=["leads"])
    _declare(provider)
    assert _come(provider, "u11").get("/users/").headers["location"] == "/accounts/2fa/totp/activate/"
    _declare(provider, second_factor="provider")
    assert _come(provider, "u11").get("/users/").status_code == 200
    verbs.accept_invitation(verbs.make_link(TEST, "first@example.com"), PASSWORD)
    client = signed_in()
    assert client.get("/users/").headers["location"] == "/accounts/2fa/totp/activate/", "a password is no provider"


def test_serious_changes_send_back_to_the_provider(provider: Provider) -> None:
    _declare(provider, second_factor="provider", only=True)
    provider.describe("u12", email="first@example.com", email_verified=True, groups=["leads"])
    client = _come(provider, "u12")
    session = client.session
    session["account_authentication_methods"] = [
        {**record, "at": record["at"] - 1000} for record in session["account_authentication_methods"]
    ]
    session.save()
    asked = client.get("/users/new/")
    assert asked.headers["location"] == "/account/sign-in-again/?next=%2Fusers%2Fnew%2F"
    asked = client.get(asked.headers["location"])
    assert parse_qs(urlsplit(asked.headers["location"]).query)["prompt"] == ["login"]
    back = urlsplit(provider.consent(asked.headers["location"], "u12"))
    assert client.get(f"{back.path}?{back.query}").headers["location"] == "/users/new/"
    assert client.get("/users/new/").status_code == 200


# What is declared


def test_roles_that_are_given_must_exist_and_stay(provider: Provider) -> None:
    with pytest.raises(InvalidInput, match="night"):
        _declare(provider, default_role="night-watch")
    declare(TEST, "role", "night-watch", {"scopes": ["monitors:read"], "second_factor": "optional"}, manager="page")
    _declare(provider, default_role="night-watch")
    with pytest.raises(InvalidInput, match="refers to it"):
        remove(TEST, "role", "night-watch", manager="page")
    provider.describe("u13", email="first@example.com", email_verified=True)
    assert _come(provider, "u13").get("/monitors/").status_code == 200


def test_secrets_of_providers_stay_out_of_pages_and_journal(provider: Provider) -> None:
    _declare(provider)
    person("first@example.com")
    client = signed_in()
    switch_factor_on(client)
    page = client.get("/resources/sign_in/company/").content.decode()
    assert "${file:oidc}" in page
    assert "not so secret" not in page
    assert not any("not so secret" in str(entry.data) for entry in entries(limit=0))


def test_sessions_of_closed_ways_end_once_an_administrator_is_in(provider: Provider) -> None:
    """Until then they stay: a mistake in the declaration must not lock everybody out."""
    person()
    password = signed_in()
    _declare(provider, only=True)
    assert password.get("/account/").status_code == 200
    provider.describe("u8", email="ops@example.com", email_verified=True, groups=["sre"])
    _come(provider, "u8")
    assert password.get("/account/").status_code == 200, "somebody who cannot mend it is no proof"
    provider.describe("u9", email="lead@example.com", email_verified=True, groups=["leads"])
    lead = _come(provider, "u9")
    assert password.get("/account/").status_code == 302
    assert lead.get("/account/").status_code == 200
    told = next(iter(entries(Filter(kind="user.sessions_ended"))))
    assert told.data == {"sessions": 1, "people": 1}


def test_sessions_of_closed_ways_end_soon_where_it_is_known_to_work(provider: Provider) -> None:
    person()
    _declare(provider)
    provider.describe("u10", email="lead@example.com", email_verified=True, groups=["leads"])
    lead = _come(provider, "u10")
    password = signed_in()
    _declare(provider, only=True)
    catch_up(FOLLOWERS["accounts.sessions"])
    assert password.get("/account/").status_code == 302
    assert lead.get("/account/").status_code == 200
