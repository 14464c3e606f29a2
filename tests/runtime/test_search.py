"""One search over everything: what each capability finds, in which order, how much, and for whom."""

from __future__ import annotations

import time

import pytest
from django.test import Client
from tests.rigs import seeding
from tests.rigs.accounts_browser import TEST, browser, person

from mainstay.alerting.queries import alerts
from mainstay.kernel.actor import Actor, command
from mainstay.kernel.capability import CAPABILITIES, Find, load
from mainstay.kernel.finding import best, searched
from mainstay.runtime.search import everything
from mainstay.store.resources.apply import declare
from mainstay.watch.results.results import Results

ALL = command("test")
NOBODY = Actor("user", "nobody@example.com")
SHOP = Actor("token", "wall", frozenset({"monitors:read", "alerts:read"}), ('service="shop"',))


@pytest.fixture
def company(store: None, telemetry: Results) -> None:
    now = time.time()
    seeding.declare_company(now)
    seeding.settle_company(telemetry, now, hours=1)


@pytest.fixture
def signed_in(store: None) -> Client:
    client = browser()
    client.force_login(person(), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def finds(capability: str, text: str, actor: Actor = ALL, limit: int = 8) -> list[Find]:
    (one,) = (one for one in CAPABILITIES if one.name == capability)
    return list(load(one.search)(actor, text, limit))


def titles(capability: str, text: str, actor: Actor = ALL) -> list[str]:
    return [find.title for find in finds(capability, text, actor)]


def test_searched_text_is_bounded_and_in_lower_case() -> None:
    assert searched("  API\tSearch ") == "api search"
    assert searched("a" * 101) == "a" * 100
    assert searched("b " * 50) == " ".join("b" * 10)
    assert searched(" ") == ""


def test_all_words_must_fit_and_names_that_begin_with_the_text_come_first() -> None:
    names = ["my-api", "Api-b", "api-a", "shop"]
    assert best("api", 8, names, lambda name: (name,)) == ["api-a", "Api-b", "my-api"]
    assert best("b api", 8, names, lambda name: (name,)) == ["Api-b"]
    assert best("shop tag", 8, names, lambda name: (name, "a TAG")) == ["shop"]
    assert best("api", 2, names, lambda name: (name,)) == ["api-a", "Api-b"]


def test_each_capability_finds_its_own(company: None) -> None:
    assert titles("watch", "api") == ["api", "api-docs", "api-search"], "by name, those that begin with it first"
    assert titles("watch", "shop.acme") == ["checkout", "shop"], "by address"
    assert "cache" in titles("watch", "service=platform"), "by label"
    assert titles("heartbeats", "backup") == ["nightly-backup"]
    assert titles("alerting", "pager") == ["pager", "urgent"], "a route is found by its channels too"
    assert titles("alerting", "urgent") == ["urgent"]
    assert titles("windows", "monthly") == ["monthly-updates"]
    assert titles("statuspage", "acme") == ["Acme"]
    assert [find.address for find in finds("resources", "urgent")] == ["/resources/route/urgent/"]
    assert [find.address for find in finds("resources", "route rest")] == ["/resources/route/rest/"]
    assert finds("runtime", "add monitor")[0].address == "/resources/new?kind=monitor"
    assert "Monitors" in titles("runtime", "monitors")


def test_alerts_are_found_by_words_of_title_and_message(company: None) -> None:
    (about,) = (one for one in alerts(status="firing") if one.subject == "monitor/checkout")
    found = finds("alerting", "503 checkout")
    assert f"/alerts/{about.id}/" in [find.address for find in found]
    assert (found[0].kind, found[0].about) == ("Alerts", "open \u00b7 P0")


def test_every_find_leads_to_a_page(company: None, signed_in: Client) -> None:
    found = {find.address for group in everything(ALL, "a") for find in group.finds}
    found |= {find.address for find in finds("runtime", "", limit=100)}
    assert len(found) > 40
    for address in sorted(found):
        answer = signed_in.get(address)
        factor_first = answer.get("Location", "").startswith("/accounts/2fa/")
        assert answer.status_code == 200 or factor_first, address


def test_who_lacks_the_scope_is_given_nothing(company: None) -> None:
    for one in CAPABILITIES:
        if one.search and one.name != "runtime":
            assert list(load(one.search)(NOBODY, "a", 8)) == [], one.name
    assert titles("runtime", "", NOBODY) == ["Your account"]
    reader = Actor("user", "reader@example.com", frozenset({"alerts:read"}))
    assert [find.address for find in finds("alerting", "pager", reader)] == ["/channels/"]
    assert finds("alerting", "urgent", reader) == []
    assert "/resources/new?kind=monitor" not in [find.address for find in finds("runtime", "add", reader)]


def test_limits_by_labels_hold(company: None) -> None:
    declare(TEST, "heartbeat", "shop-orders", {"every": "1h", "labels": {"service": "shop"}}, manager="page")
    assert titles("watch", "acme", SHOP) == ["checkout", "shop"]
    assert titles("heartbeats", "e", SHOP) == ["shop-orders"]
    about = {find.title.partition(" ")[0] for find in finds("alerting", "e", SHOP)}
    assert about <= {"checkout", "shop"}
    for capability in ("windows", "statuspage", "resources"):
        assert finds(capability, "a", SHOP) == [], "its page is about everything"


def test_a_search_is_bounded_and_nobody_is_crowded_out(store: None) -> None:
    seeding.declare_many(60)
    for number in range(12):
        declare(TEST, "heartbeat", f"m-{number}", {"every": "1h"}, manager="page")
    groups = everything(ALL, "m")
    sizes = {group.heading: len(group.finds) for group in groups}
    assert sizes["Monitors"] == sizes["Heartbeats"] == 8
    assert {"Resources", "Pages"} <= set(sizes)
    assert sum(sizes.values()) <= 40
    assert groups[0].begins("m")
    addresses = [find.address for group in groups for find in group.finds]
    assert len(addresses) == len(set(addresses))


def test_the_page_groups_what_it_found(company: None, signed_in: Client) -> None:
    page = signed_in.get("/search", {"q": "checkout"}).content.decode()
    main = page.partition('id="main"')[2]
    assert "<h2" in main
    assert 'href="/monitors/checkout/"' in main
    assert 'href="/resources/monitor/checkout/"' in main
    assert "Type a part of a name" in signed_in.get("/search").content.decode()
    nothing = signed_in.get("/search", {"q": "<b>zzz"}).content.decode()
    assert "is called “&lt;b&gt;zzz”" in nothing
    assert signed_in.post("/search", {"q": "a"}).status_code == 405


def test_a_palette_is_given_the_finds_alone(company: None, signed_in: Client) -> None:
    answer = signed_in.get("/search", {"q": "checkout"}, headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert text.lstrip().startswith("<section")
    assert 'role="option"' in text
    assert "HX-Request" in answer["Vary"]


def test_who_is_signed_out_has_no_palette(company: None, signed_in: Client) -> None:
    stranger = browser()
    assert stranger.get("/search", {"q": "a"}, headers={"HX-Request": "true"}).status_code == 401
    for address in ("/accounts/login/", "/nowhere/"):
        assert 'id="palette"' not in stranger.get(address).content.decode(), address
    assert 'id="palette"' in signed_in.get("/search").content.decode()


def test_two_thousand_monitors_are_searched(store: None) -> None:
    seeding.declare_many(2000)
    started = time.perf_counter()
    groups = everything(ALL, "m")
    spent = time.perf_counter() - started
    print(f"search among 2,000 monitors: {spent * 1000:.0f} ms")
    assert max(len(group.finds) for group in groups) == 8
