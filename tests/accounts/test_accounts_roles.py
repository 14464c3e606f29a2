"""Roles and policies as resources: what own roles see and change, from where, and who may declare them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client, override_settings
from django.urls import resolve
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, person, signed_in, switch_factor_on
from tests.rigs.settings import having

from mainstay.accounts import policies, queries, verbs
from mainstay.accounts.models import User
from mainstay.accounts.spec import role_scopes
from mainstay.alerting.models import AlertRow
from mainstay.frames.addresses import client_address
from mainstay.heartbeats.verbs import pause_heartbeat
from mainstay.integrations import checks
from mainstay.kernel.actor import Actor, limitable
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from mainstay.runtime.kinds import check_kinds
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import apply, declare, remove, rollback
from mainstay.store.resources.planning import Terms, plan_resource
from mainstay.store.resources.queries import latest_revision
from mainstay.watch.declared import follow_resources
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results
from mainstay.watch.verbs import check_now, pause_monitors

pytestmark = pytest.mark.usefixtures("store")
CORE = {"scopes": sorted(limitable()), "limit": ['team="core"'], "second_factor": "optional"}


@pytest.fixture(autouse=True)
def _quick_and_calm() -> None:
    cache.clear()
    queries.forget_tokens()


def _role(name: str = "core", **document: Any) -> None:
    declare(TEST, "role", name, document, manager="page")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[None]:
    """Two teams, each with a monitor, a heartbeat and an alert."""
    telemetry = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(telemetry)
    for team in ("core", "web"):
        labels = {"team": team}
        monitor = {"tcp": "127.0.0.1:9", "labels": labels, "tags": [f"of-{team}"]}
        uid = declare(TEST, "monitor", f"{team}-api", monitor, manager="page").uid
        declare(TEST, "heartbeat", f"{team}-job", {"every": "1h", "labels": labels}, manager="page")
        AlertRow.objects.create(
            id=f"{team}-alert", subject=f"monitor/{team}-api", uid=uid, name=f"{team}-api", severity="P1",
            level="down", labels={**labels, "monitor": f"{team}-api", "severity": "P1"}, status="firing",
            title=f"{team}-api is down", opened_at=time.time() - 60, since=time.time() - 60,
        )  # fmt: skip
    follow_resources(TEST)
    _role(**CORE)
    yield
    set_current(None)
    telemetry.close()


def _limited(email: str = "second@example.com") -> Client:
    person(email, "core")
    return signed_in(email)


# Limits by labels


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/monitors/",
        "/monitors/?sort=name",
        "/monitors/?q=api",
        "/monitors/core-api/",
        "/heartbeats/",
        "/heartbeats/core-job/",
        "/alerts/",
        "/alerts/core-alert/",
        "/api/v1/monitors",
        "/api/v1/monitors/core-api",
        "/api/v1/heartbeats",
        "/api/v1/alerts",
        "/api/v1/alerts/core-alert",
    ],
)
def test_a_limited_role_sees_its_part_only(path: str) -> None:
    page = _limited().get(path)
    assert page.status_code == 200
    text = page.content.decode()
    assert "core" in text
    assert "web-" not in text
    assert "of-web" not in text
    person("first@example.com", "operations")
    if "core-" not in path:
        assert "web-" in signed_in("first@example.com").get(path).content.decode(), "others see both"


@pytest.mark.usefixtures("site")
def test_the_menu_leads_a_limited_role_where_it_may_go() -> None:
    client = _limited()
    menu = re.findall(r'<a href="([^"]+)" ?[^>]*>\s*<svg', client.get("/").content.decode().split('id="nav"')[1])
    assert {"/", "/monitors/", "/alerts/"} <= set(menu)
    assert [url for url in menu if client.get(url).status_code != 200] == []
    pages = [entry for entries in CAPABILITIES.menu().values() for entry in entries]
    assert [entry.url for entry in pages if resolve(entry.url).func.door.limited != entry.limited] == []


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/monitors/web-api/"),
        ("post", "/monitors/web-api/pause"),
        ("post", "/monitors/web-api/check"),
        ("get", "/heartbeats/web-job/"),
        ("post", "/heartbeats/web-job/pause"),
        ("get", "/alerts/web-alert/"),
        ("post", "/alerts/web-alert/acknowledge"),
        ("get", "/api/v1/monitors/web-api"),
        ("get", "/api/v1/monitors/web-api/results"),
        ("get", "/api/v1/heartbeats/web-job"),
        ("get", "/api/v1/alerts/web-alert"),
    ],
)
def test_what_lies_outside_is_not_there(method: str, path: str) -> None:
    client = _limited()
    refused = getattr(client, method)(path)
    missing = getattr(client, method)(path.replace("web-", "none-"))
    assert refused.status_code == missing.status_code == 404
    assert refused.content.decode().replace("web-", "none-").count("none-") == missing.content.decode().count("none-")


@pytest.mark.usefixtures("site")
def test_a_limited_role_changes_its_part_only() -> None:
    client = _limited()
    for path in ("/alerts/core-alert/acknowledge", "/monitors/core-api/pause", "/heartbeats/core-job/pause"):
        assert client.post(path).status_code == 302
    client.post("/monitors/orders", {"order": "pause", "everything": "1"})
    client.post("/monitors/orders", {"order": "resume", "names": ["web-api"]})
    kinds = [(entry.kind, entry.subject) for entry in entries(Filter(actor="user:second"), newest_first=False)]
    assert ("monitor.went_paused", "monitor/core-api") in kinds
    assert ("alert.acknowledged", "monitor/core-api") in kinds
    assert not any("web" in subject for _, subject in kinds)
    actor = queries.actor_of_user(User.objects.get())
    for call in (
        lambda: pause_monitors(actor, ["core-api", "web-api"]),
        lambda: check_now(actor, ["web-api"]),
        lambda: pause_heartbeat(actor, "web-job"),
    ):
        with pytest.raises(NotFound):
            call()


@pytest.mark.usefixtures("site")
def test_whatever_does_not_know_of_limits_refuses() -> None:
    """Every address of the site that a limited role may not pass answers 403, and none shows the other team."""
    from tests.rigs.door_list import operations, pages

    client = _limited()
    seen = 0
    for way in [*pages(), *operations()]:
        if way.method != "GET" or way.door is None or way.door.public or not way.door.scope:
            continue
        page = client.get(way.path)
        if not way.door.limited:
            assert page.status_code in (401, 403), way
        else:
            seen += 1
        assert "web-" not in page.content.decode("utf-8", "replace"), way
    assert seen >= 14


@pytest.mark.parametrize("limits", [['team=~"c.*"'], ['team!="web"', 'severity="P2"'], ['monitor="core-api"']])
@pytest.mark.usefixtures("site")
def test_limits_are_matchers_like_all_others(limits: list[str]) -> None:
    _role(**{**CORE, "limit": limits})
    found = _limited().get("/api/v1/monitors").json()
    assert [one["name"] for one in found["monitors"]] == ["core-api"]
    assert found["total"] == sum(found["counts"].values()) == 1


def test_live_updates_reach_a_limited_role() -> None:
    from mainstay.runtime.live import session_watcher

    _role(**CORE)
    client = _limited()
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}".encode()
    assert session_watcher({"type": "http", "headers": [(b"cookie", cookie)], "client": ("127.0.0.1", 1)})


# Networks


def test_the_address_of_a_fast_door_is_believed_like_that_of_a_page() -> None:
    def scope(peer: str, forwarded: str = "") -> dict[str, Any]:
        headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
        return {"type": "http", "client": (peer, 1), "headers": headers}

    assert client_address(scope("10.1.1.1"), "") == "10.1.1.1"
    assert client_address(scope("10.1.1.1", "10.2.2.2"), "") == "", "through a proxy that nobody declared"
    assert client_address(scope("10.1.1.1", "10.2.2.2"), "10.1.1.1") == "10.2.2.2"
    assert client_address({**scope("10.1.1.1"), "client": None}, "") == ""


def test_a_role_is_used_from_its_networks_only() -> None:
    _role("near", scopes=["monitors:read"], second_factor="optional", **{"from": ["10.0.0.0/8", "::1/128"]})
    person("second@example.com", "near")
    form = {"login": "second@example.com", "password": PASSWORD}
    outside = browser()
    answer = outside.post("/accounts/login/", form, REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 403
    assert "192.0.2.1" in answer.content.decode()
    assert outside.get("/monitors/", REMOTE_ADDR="10.1.1.1").status_code == 302, "no session was made"
    assert next(iter(entries(Filter(kind="user.sign_in_failed")))).data["step"] == "address"
    inside = browser()
    assert inside.post("/accounts/login/", form, REMOTE_ADDR="10.1.1.1").status_code == 302
    assert inside.get("/monitors/", REMOTE_ADDR="10.1.1.1").status_code == 200
    for path in ("/monitors/", "/account/", "/accounts/2fa/", "/accounts/password/change/", "/api/v1/monitors"):
        assert inside.get(path, REMOTE_ADDR="192.0.2.1").status_code == 403, f"a session carried elsewhere: {path}"
    assert inside.get("/api/v1/monitors", REMOTE_ADDR="192.0.2.1").json()["error"]["code"] == "forbidden"
    assert inside.post("/accounts/logout/", REMOTE_ADDR="192.0.2.1").status_code == 302


def test_behind_a_proxy_that_nobody_declared_no_address_can_be_believed() -> None:
    _role("near", scopes=["monitors:read"], second_factor="optional", **{"from": ["10.0.0.0/8"]})
    person("second@example.com", "near")
    form = {"login": "second@example.com", "password": PASSWORD}
    forged = {"x-forwarded-for": "10.1.1.1"}
    answer = browser().post("/accounts/login/", form, REMOTE_ADDR="10.9.9.9", headers=forged)
    assert answer.status_code == 403, "the proxy stands in the network, its visitors perhaps not"
    assert "unknown address" in answer.content.decode()
    trusting = replace(settings.MAINSTAY, trusted_proxies="10.9.9.9")
    with override_settings(MAINSTAY=trusting):
        for address, status in (("10.1.1.1", 302), ("192.0.2.1", 403), ("10.1.1.1, 192.0.2.1", 403)):
            told = {"x-forwarded-for": address}
            answer = browser().post("/accounts/login/", form, REMOTE_ADDR="10.9.9.9", headers=told)
            assert answer.status_code == status, address


def test_tokens_obey_the_networks_of_their_owner() -> None:
    _role("near", scopes=["monitors:read", "tokens:write"], second_factor="optional", **{"from": ["10.0.0.0/8"]})
    person("second@example.com", "near")
    actor = Actor("user", "second@example.com", frozenset({"monitors:read", "tokens:write"}))
    text = verbs.create_token(actor, "scrape", ["monitors:read"])
    bearer = {"authorization": f"Bearer {text}"}
    assert browser().get("/api/v1/monitors", headers=bearer, REMOTE_ADDR="10.1.1.1").status_code == 200
    assert browser().get("/api/v1/monitors", headers=bearer, REMOTE_ADDR="192.0.2.1").status_code == 401
    assert queries.actor_of_token(text) is None, "where nobody knows the address, neither"


# Policies of built-in roles


def test_policies_of_built_in_roles_are_declared() -> None:
    _role("developer", like="developer", second_factor="required")
    _role("support", like="support", second_factor="optional")
    person("dev@example.com", "developer")
    person("sup@example.com", "support")
    with override_settings(MAINSTAY=having(settings.MAINSTAY, second_factor_grace_days=0)):
        assert signed_in("dev@example.com").get("/monitors/").headers["location"] == "/accounts/2fa/totp/activate/"
        assert signed_in("sup@example.com").get("/monitors/").status_code == 200
    assert policies.role("support").scopes == role_scopes("support")


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("admin", {"scopes": ["monitors:read"]}, "built in"),
        ("admin", {"like": "support"}, "built in"),
        ("developer", {"like": "developer", "limit": ['team="a"']}, "cannot be limited"),
        ("a" * 41, {"like": "support"}, "at most 40"),
    ],
)
def test_built_in_roles_keep_their_scopes(name: str, document: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        _role(name, **document)


def test_own_roles_are_given_and_shown() -> None:
    _role("night", scopes=["monitors:read", "alerts:write"], description="Watches at night")
    person()
    client = signed_in()
    switch_factor_on(client)
    assert "night: Watches at night" in client.get("/users/new/").content.decode()
    client.post("/users/new/", {"email": "second@example.com", "role": "night"})
    assert User.objects.get(email="second@example.com").role == "night"
    page = client.get("/users/").content.decode()
    assert "Watches at night" in page
    with pytest.raises(Conflict, match="people have the role"):
        remove(TEST, "role", "night", manager="page")
    verbs.change_role(TEST, "second@example.com", "support")
    remove(TEST, "role", "night", manager="page")
    assert policies.role("night").scopes == frozenset()


# Who may declare them


def _operator() -> Actor:
    return Actor("user", "op@example.com", role_scopes("operations"))


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("role", {"like": "developer"}),
        ("service_account", {"scopes": ["monitors:read"]}),
        ("sign_in", {"server": "https://login.example.com", "client_id": "m", "default_role": "admin"}),
    ],
)
def test_who_may_not_keep_people_changes_nothing_about_access(kind: str, document: dict[str, Any]) -> None:
    before = latest_revision()
    with pytest.raises(Forbidden, match="users:write"):
        declare(_operator(), kind, "own", document, manager="api")
    declare(TEST, kind, "own", document, manager="page")
    with pytest.raises(Forbidden, match="users:write"):
        remove(_operator(), kind, "own", manager="page")
    with pytest.raises(Forbidden, match="users:write"):
        rollback(_operator(), before + 1) if before else remove(_operator(), kind, "own", manager="api", takeover=True)
    assert latest_revision() == before + 1


_PROGRAMS = [("plugin", "check_disk -w 10%"), ("browser", "https://example.com/"), ("docker", "web")]


@pytest.mark.parametrize(("check", "target"), _PROGRAMS)
def test_what_runs_programs_is_declared_with_a_grant_of_its_own(check: str, target: str) -> None:
    keeper, document = _operator(), {check: target}
    with pytest.raises(Forbidden, match=r"monitor `disk`.*programs:write"):
        declare(keeper, "monitor", "disk", document, manager="api")
    declare(keeper, "monitor", "disk", {"http": "https://example.com/"}, manager="api")
    with pytest.raises(Forbidden, match="programs:write"):
        declare(keeper, "monitor", "disk", document, manager="api")
    declare(TEST, "monitor", "disk", document, manager="api")
    declared = latest_revision()
    with pytest.raises(Forbidden, match="programs:write"):
        declare(keeper, "monitor", "disk", {**document, "every": "9m"}, manager="api")
    remove(keeper, "monitor", "disk", manager="api")
    with pytest.raises(Forbidden, match="programs:write"):
        rollback(keeper, declared, manager="api")
    declare(replace(keeper, scopes=keeper.scopes | {"programs:write"}), "monitor", "disk", document, manager="api")


def test_every_check_that_starts_a_process_asks_for_the_grant() -> None:
    folders = {path.parent.name for path in Path(checks.__file__).parent.glob("*/*.py") if _starts(path.read_text())}
    assert {"plugin", "browser", "docker"} <= folders
    assert {name for name, kind in check_kinds().items() if kind.scope == "programs:write"} == folders


def _starts(code: str) -> bool:
    return any(word in code for word in ("subprocess", "os.exec", "os.posix_spawn", "AF_UNIX", "UNIX_SOCKET_PATH"))


def test_nobody_hands_out_more_than_they_hold() -> None:
    keeper = Actor("user", "hr@example.com", frozenset({"users:write", "resources:write", "monitors:read"}))
    declare(keeper, "role", "watcher", {"scopes": ["monitors:read"]}, manager="api")
    with pytest.raises(Forbidden, match="cannot grant"):
        declare(keeper, "role", "watcher", {"scopes": ["monitors:read", "journal:export"]}, manager="api")
    with pytest.raises(Forbidden, match="cannot grant"):
        declare(keeper, "role", "boss", {"like": "admin"}, manager="api")
    with pytest.raises(Forbidden, match="cannot grant"):
        verbs.create_user(keeper, "x@example.com", "operations")
    person("second@example.com", "support")
    with pytest.raises(Forbidden, match="cannot grant"):
        verbs.change_role(keeper, "second@example.com", "admin")
    provider = {"server": "https://login.example.com", "client_id": "m", "default_role": "watcher"}
    with pytest.raises(Forbidden, match="cannot grant"):
        declare(keeper, "sign_in", "company", provider, manager="api")


def test_a_plan_by_somebody_else_is_checked_when_it_is_applied() -> None:
    plan = plan_resource(TEST, "role", "boss", {"like": "admin"}, Terms("page"))
    with pytest.raises(Forbidden):
        apply(_operator(), plan)


def test_pages_ask_who_one_is_before_access_changes() -> None:
    person()
    client = signed_in()
    switch_factor_on(client)
    text = "roles: {night: {scopes: [monitors:read]}}"
    session = client.session
    stale = [{**record, "at": 1.0} for record in session["account_authentication_methods"]]
    session["account_authentication_methods"] = stale
    session.save()
    form = {"text": text, "base": str(latest_revision())}
    answer = client.post("/resources/apply", form)
    assert "confirm your identity first" in answer.content.decode()
    assert not policies.role("night").scopes
    harmless = {"text": "monitors: {a: {tcp: '127.0.0.1:9'}}", "base": str(latest_revision())}
    assert client.post("/resources/apply", harmless).status_code == 204
    assert client.get("/account/confirm/").headers["location"].startswith("/accounts/reauthenticate/")
    body = json.dumps({"name": "x", "scopes": ["monitors:read"]})
    client.handler.enforce_csrf_checks = False
    made = client.post("/api/v1/tokens", body, content_type="application/json")
    assert made.status_code == 403, "a program with a stale session hands out nothing"
    client.post("/accounts/reauthenticate/?next=/account/confirm/", {"password": PASSWORD})
    assert "It is you" in client.get("/account/confirm/").content.decode()
    form["base"] = str(latest_revision())
    assert client.post("/resources/apply", form).status_code == 204
    assert policies.role("night").scopes == {"monitors:read"}
    session = client.session
    session["account_authentication_methods"] = stale
    session.save()
    assert "/accounts/reauthenticate/" in client.post("/resources/role/night/delete").headers["location"]
    assert policies.role("night").scopes
