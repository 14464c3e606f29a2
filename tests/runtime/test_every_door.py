"""Every door, every visitor: each way in is tried by each role, by nobody, by what is over, and from other sites.

The ways are read from the code (tests/rigs/door_list.py), so a new page or operation is tried without being named here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from tests.rigs.accounts_browser import TEST, person
from tests.rigs.door_list import Way, fast_ways, operations, pages, running_doors, status_of
from tests.rigs.settings import having

from mainstay.accounts import queries, rules, token_verbs, verbs
from mainstay.accounts.doors import Door
from mainstay.accounts.models import Token, User
from mainstay.kernel.actor import all_scopes, limitable
from mainstay.watch.results import open_results, set_current

pytestmark = pytest.mark.usefixtures("store")

ROLES = ("admin", "operations", "support", "developer")
LOGIN = "/accounts/login/"
MUST_SIGN_IN = (401, 403)
SAFE = ("GET", "HEAD")

# What allauth opens to people who are not signed in. Everything else under accounts/ sends them to the sign-in page.
ENTRANCE = {
    "accounts/login/",
    "accounts/logout/",  # leads away
    "accounts/inactive/",
    "accounts/signup/",  # says that there is no open sign-up
    "accounts/email/",
    "accounts/confirm-email/",
    "accounts/^confirm-email/(?P<key>[-:\\w]+)/$",
    "accounts/password/reset/",
    "accounts/password/reset/done/",
    "accounts/password/reset/key/done/",
    "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
    "accounts/login/code/confirm/",  # leads to the sign-in page: nothing is waiting
    "accounts/2fa/authenticate/",  # likewise
    "accounts/2fa/trust/",  # likewise
    "accounts/2fa/webauthn/login/",
    "accounts/3rdparty/",  # leads away
    "accounts/3rdparty/signup/",  # likewise
    "accounts/3rdparty/login/cancelled/",
    "accounts/3rdparty/login/error/",
}


@pytest.fixture(autouse=True)
def _roles_count_alone() -> Iterator[None]:
    """Without a second factor in the way; `test_an_overdue_second_factor_opens_nothing` has one."""
    cache.clear()
    queries.forget_tokens()
    free = having(settings.MAINSTAY, require_second_factor="")
    with override_settings(MAINSTAY=free):
        yield


@pytest.fixture(autouse=True, scope="module")
def _telemetry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    opened = open_results(replace(settings.MAINSTAY, data=tmp_path_factory.mktemp("telemetry")))
    yield
    set_current(None)
    opened.close()


@contextmanager
def undone() -> Iterator[None]:
    """What was tried leaves nothing behind."""
    from django.db import transaction

    class Undo(Exception):
        pass

    try:
        with transaction.atomic():
            yield
            raise Undo
    except Undo:
        queries.forget_tokens()


def people() -> dict[str, User]:
    return {role: person(f"{role}@example.com", role) for role in ROLES}


def scopes_of(user: User) -> frozenset[str]:
    return queries.actor_of_user(user).scopes


def browser_of(user: User | None = None, *, csrf: bool = False, shown: float = 0.0) -> Client:
    """`shown`: seconds since the person has shown who they are."""
    client = Client(enforce_csrf_checks=csrf, headers={"host": "localhost"}, raise_request_exception=True)
    if user is not None:
        client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
        session = client.session
        session["account_authentication_methods"] = [{"method": "password", "at": time.time() - shown}]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
    return client


def is_let_in(response: Any) -> bool:
    """Whether the scope check let the visitor pass; being asked for the password again comes after it."""
    location = response.headers.get("location", "") + response.headers.get("hx-redirect", "")
    return response.status_code not in MUST_SIGN_IN and LOGIN not in location and "/2fa/" not in location


def findings(ways: Iterable[Way], ask: Callable[[Way], Any], expected: Callable[[Way], bool]) -> list[str]:
    """Ways where a visitor got in and should not have, or was kept out and should not have been."""
    wrong = []
    for way in ways:
        with undone():
            response = ask(way)
        if getattr(response, "streaming", False):
            response.close()  # or its slot stays taken
        if is_let_in(response) != expected(way):
            wrong.append(f"{way}: {response.status_code} {response.headers.get('location', '')}")
        if response.status_code >= 500:
            wrong.append(f"{way}: {response.status_code}")
    return wrong


def scope_of(way: Way) -> str:
    assert way.door is not None
    return way.door.scope


def own_pages() -> list[Way]:
    found = [way for way in pages() if way.kind == "page" and way.door is not None and not way.door.public]
    assert len(found) > 60
    return found


def guarded_keyed() -> list[Way]:
    return [way for way in pages() if way.kind == "keyed" and way.door is not None and way.door.scope]


# Pages


def test_strangers_are_sent_to_the_sign_in_page_from_every_page() -> None:
    wrong = []
    for way in own_pages():
        response = browser_of().generic(way.method, way.path)
        if response.status_code != 302 or not response.headers["location"].startswith(LOGIN):
            wrong.append(f"{way}: {response.status_code}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_into_the_pages_of_its_scopes_and_no_others(role: str) -> None:
    user = people()[role]
    client = browser_of(user)
    scopes = scopes_of(user)
    wrong = findings(
        own_pages(),
        lambda way: client.generic(way.method, way.path),
        lambda way: not scope_of(way) or scope_of(way) in scopes,
    )
    assert wrong == []


def test_an_overdue_second_factor_opens_nothing() -> None:
    user = person("late@example.com", "admin")
    User.objects.update(second_factor_since=datetime.fromtimestamp(1, UTC))
    with override_settings(MAINSTAY=having(settings.MAINSTAY, require_second_factor="admin")):
        client = browser_of(user)
        assert findings(own_pages(), lambda way: client.generic(way.method, way.path), lambda _: False) == []
        wrong = [
            str(way) for way in operations() if client.generic(way.method, way.path).status_code not in MUST_SIGN_IN
        ]
        assert wrong == []


def test_a_deactivated_account_gets_in_nowhere() -> None:
    user = person("gone@example.com", "admin")
    client = browser_of(user)
    assert client.get("/account/").status_code == 200
    User.objects.update(is_active=False)
    assert findings(own_pages(), lambda way: client.generic(way.method, way.path), lambda _: False) == []
    assert [str(way) for way in operations() if client.generic(way.method, way.path).status_code != 401] == []


def test_other_sites_cannot_use_a_signed_in_browser() -> None:
    """A form elsewhere sends the cookies but neither our token nor our origin."""
    user = people()["admin"]
    client = browser_of(user, csrf=True)
    client.get("/account/")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    changing = [way for way in own_pages() if way.method not in SAFE]
    wrong = [str(way) for way in changing if client.generic(way.method, way.path).status_code != 403]
    for way in changing:
        for origin in ("https://evil.example", "null", "http://localhost:9"):
            headers = {"origin": origin, "x-csrftoken": token}
            with undone():
                status = client.generic(way.method, way.path, headers=headers).status_code
            if status != 403:
                wrong.append(f"{way} from {origin}: {status}")
    assert wrong == []


def test_borrowed_pages_let_strangers_into_the_entrance_only() -> None:
    borrowed = [way for way in pages() if way.route.startswith("accounts/")]
    assert {way.route for way in borrowed} >= ENTRANCE
    wrong = []
    for way in borrowed:
        response = browser_of().generic(way.method, way.path)
        inside = response.status_code == 200
        if (inside and way.route not in ENTRANCE) or response.status_code >= 500:
            wrong.append(f"{way}: {response.status_code}")
        elif not inside and way.route not in ENTRANCE and not _turned_away(response):
            wrong.append(f"{way}: {response.status_code} {response.headers.get('location')}")
    assert wrong == []


def _turned_away(response: Any) -> bool:
    led_to = response.headers.get("location", "")
    return response.status_code in (301, 401, 403, 404, 405) or led_to.startswith(LOGIN)


def test_borrowed_pages_refuse_forms_of_other_sites() -> None:
    user = people()["admin"]
    wrong = []
    for way in pages():
        if not way.route.startswith("accounts/") or way.method in SAFE:
            continue
        for visitor in (browser_of(csrf=True), browser_of(user, csrf=True)):
            status = visitor.post(way.path, headers={"origin": "https://evil.example"}).status_code
            if status not in (403, 405):
                wrong.append(f"{way}: {status}")
    assert wrong == []


# The API


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def key(token: str) -> dict[str, str]:
    return {"x-api-key": token}


def spoilt_tokens() -> dict[str, str]:
    """Tokens of all scopes that are not good (any more)."""
    made = {
        name: token_verbs.create_token(TEST, name, sorted(all_scopes()))
        for name in ("expired", "revoked", "wrong secret")
    }
    ids = {name: rules.parse_token(text).id for name, text in made.items()}  # type: ignore[union-attr]
    Token.objects.filter(id=ids["expired"]).update(expires_us=int((time.time() - 1) * 1e6))
    token_verbs.revoke_token(TEST, ids["revoked"])
    made["wrong secret"] = str(rules.TokenText(ids["wrong secret"], rules.new_token().secret))
    person("stays@example.com", "admin")
    left = person("left@example.com", "admin")
    actor = queries.actor_of_user(left)
    made["owner left"] = token_verbs.create_token(actor, "theirs", sorted(all_scopes()))
    verbs.deactivate(TEST, left.email)
    return {**made, "unknown": str(rules.new_token()), "malformed": "mst_x", "empty": ""}


def test_nobody_gets_into_the_api_without_a_good_token() -> None:
    bad = spoilt_tokens()
    wrong = []
    for way in operations():
        for name, token in {"nothing": None, **bad}.items():
            headers = {} if token is None else bearer(token)
            response = browser_of().generic(way.method, way.path, headers=headers)
            if response.status_code != 401:
                wrong.append(f"{way} with {name}: {response.status_code}")
    for way in guarded_keyed():
        for name, token in bad.items():
            response = browser_of().generic(way.method, way.path, headers=key(token))
            if response.status_code not in MUST_SIGN_IN:
                wrong.append(f"{way} with {name}: {response.status_code}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_into_the_operations_of_its_scopes_and_no_others(role: str) -> None:
    user = people()[role]
    scopes = scopes_of(user)
    token = token_verbs.create_token(TEST, role, sorted(scopes))
    session = browser_of(user)
    by_token = findings(
        operations(),
        lambda way: browser_of().generic(way.method, way.path, headers=bearer(token)),
        lambda way: scope_of(way) in scopes,
    )
    by_session = findings(
        operations(), lambda way: session.generic(way.method, way.path), lambda way: scope_of(way) in scopes
    )
    assert by_token == []
    assert by_session == []


def test_all_scopes_but_the_one_that_is_asked_for_are_not_enough() -> None:
    tokens = {scope: token_verbs.create_token(TEST, scope, sorted(all_scopes() - {scope})) for scope in all_scopes()}
    wrong = []
    for way in operations():
        response = browser_of().generic(way.method, way.path, headers=bearer(tokens[scope_of(way)]))
        if response.status_code != 403 or scope_of(way) not in response.json()["error"]["message"]:
            wrong.append(f"{way}: {response.status_code}")
    for way in guarded_keyed():
        response = browser_of().generic(way.method, way.path, headers=key(tokens[scope_of(way)]))
        if response.status_code not in MUST_SIGN_IN:
            wrong.append(f"{way}: {response.status_code}")
    assert wrong == []


def test_a_token_with_limits_gets_into_what_heeds_them_and_nothing_else() -> None:
    made = {
        scope: token_verbs.create_token(TEST, scope, [scope], limits=['team="core"']) for scope in sorted(limitable())
    }
    wrong = []
    for way in operations():
        limited = way.door is not None and way.door.limited
        for token in made.values() if not limited else [made[scope_of(way)]]:
            with undone():
                status = browser_of().generic(way.method, way.path, headers=bearer(token)).status_code
            if (status in MUST_SIGN_IN) == limited or status >= 500:
                wrong.append(f"{way}: {status}")
    for way in guarded_keyed():
        if way.door is not None and not way.door.limited and scope_of(way) in made:
            status = browser_of().generic(way.method, way.path, headers=key(made[scope_of(way)])).status_code
            if status not in MUST_SIGN_IN:
                wrong.append(f"{way}: {status}")
    assert wrong == []


def test_a_session_hands_out_access_only_shortly_after_the_person_has_shown_who_they_are() -> None:
    client = browser_of(people()["admin"], shown=86_400)
    wrong = []
    for way in operations():
        with undone():
            status = client.generic(way.method, way.path).status_code
        if (status == 403) != (scope_of(way) in rules.granting()):
            wrong.append(f"{way}: {status}")
    assert wrong == []


def test_other_sites_cannot_use_the_api_through_a_signed_in_browser() -> None:
    client = browser_of(people()["admin"], csrf=True)
    client.get("/account/")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    wrong = []
    for way in operations():
        response = client.generic(way.method, way.path, headers={"origin": "https://evil.example"})
        if way.method not in SAFE and response.status_code != 403:
            wrong.append(f"{way} without a token: {response.status_code}")
        if response.has_header("Access-Control-Allow-Origin"):
            wrong.append(f"{way} can be read by other sites")
        headers = {"origin": "https://evil.example", "x-csrftoken": token}
        if way.method not in SAFE and client.generic(way.method, way.path, headers=headers).status_code != 403:
            wrong.append(f"{way} from elsewhere")
    assert wrong == []


def test_the_api_keys_of_other_protocols_are_no_cookies() -> None:
    """Their answers may be read by every site, so that a session must not open them."""
    client = browser_of(people()["admin"])
    answers = {str(way): client.generic(way.method, way.path).status_code for way in guarded_keyed()}
    assert {way: status for way, status in answers.items() if status not in MUST_SIGN_IN} == {}


def test_a_named_token_is_judged_alone_also_in_a_signed_in_browser() -> None:
    client = browser_of(people()["admin"])
    wrong = [
        str(way)
        for way in operations()
        if client.generic(way.method, way.path, headers=bearer("mst_x")).status_code != 401
    ]
    assert wrong == []


def test_the_description_of_the_api_is_for_those_who_may_use_it() -> None:
    people()
    for path in ("/api/v1/openapi.json", "/api/docs"):
        assert not is_let_in(browser_of().get(path))
        for user in User.objects.all():
            assert browser_of(user).get(path).status_code == 200


# The doors of the event loop


def _cookie(user: User) -> dict[str, str]:
    client = browser_of(user)
    return {"cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


# Doors that are open on this machine itself; a token that is shown needs the scope all the same.
ASKED_OF_TOKENS = {
    "GET /api/v2/alerts": "alerts:read",
    "GET /api/v2/alerts/groups": "alerts:read",
    "GET /api/v2/receivers": "alerts:read",
    "GET /api/v2/status": "alerts:read",
    "POST /api/v2/alerts": "alerts:send",
    "GET /api/v2/silences": "alerts:read",
    "GET /api/v2/silence/{id}": "alerts:read",
    "POST /api/v2/silences": "alerts:write",
    "DELETE /api/v2/silence/{id}": "alerts:write",
}
ASKED_OF_TOKENS |= {way.replace("/api", "/in/{source}/api"): scope for way, scope in ASKED_OF_TOKENS.items()}


def test_every_fast_door_asks_for_its_scope() -> None:
    users = people()
    visitors: dict[str, tuple[dict[str, str], frozenset[str]]] = {"nobody": ({}, frozenset())}
    for name, token in spoilt_tokens().items():
        visitors[name] = (bearer(token), frozenset())
    for role, user in users.items():
        visitors[role] = (_cookie(user), scopes_of(user))
        token = token_verbs.create_token(TEST, role, sorted(scopes_of(user)))
        visitors[f"token of {role}"] = (bearer(token), scopes_of(user))
    for scope in all_scopes():
        others = all_scopes() - {scope}
        visitors[f"all but {scope}"] = (bearer(token_verbs.create_token(TEST, scope, sorted(others))), others)
    limited = token_verbs.create_token(TEST, "limited", sorted(limitable()), limits=['team="core"'])
    visitors["wrong label"] = (bearer(limited), frozenset())
    visitors["signed out"] = (_over(users["admin"]), frozenset())
    connection.close()
    wrong = []
    with running_doors() as (doors, server):
        for way in fast_ways(doors):
            for name, (headers, scopes) in visitors.items():
                if way.route == "/live" and "authorization" in headers:
                    continue  # browsers only
                status = status_of(server, way, headers)
                allowed = way.door == Door(public=True) or scope_of(way) in scopes
                # A push door refuses a stranger's token by itself; it is tried with its own rules elsewhere.
                if way.door is not None and way.door.public and status in (400, 401, 404):
                    continue
                asked = ASKED_OF_TOKENS.get(str(way))
                if asked and status == 403:
                    allowed = asked in scopes
                if (status in MUST_SIGN_IN) == allowed:
                    wrong.append(f"{way} by {name}: {status}")
    assert wrong == []


def _over(user: User) -> dict[str, str]:
    client = browser_of(user)
    cookie = {"cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}
    client.logout()
    return cookie


def test_only_doors_that_are_meant_for_other_sites_can_be_read_by_them() -> None:
    with running_doors() as (doors, server):
        wrong = [str(way) for way in fast_ways(doors) if way.door and way.door.scope and _shared(server, way)]
    assert wrong == []


def _shared(server: Any, way: Way) -> bool:
    import asyncio

    import httpx

    async def ask() -> bool:
        transport = httpx.ASGITransport(app=server)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.request(way.method, way.path, headers={"origin": "https://evil.example"})
            return "access-control-allow-origin" in response.headers

    return bool(server.loop.run_until_complete(asyncio.wait_for(ask(), 20)))
