"""A person who never saw YAML adds a monitor, a channel, a route, a window and a status page, by form and keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.test_journeys import CONTRAST, NAMELESS, Visit

from mainstay.store.resources.queries import resource, resources
from mainstay.watch.results.results import Results


@pytest.fixture
def visit(telemetry: Results, browser: Any, site: Any) -> Iterator[Visit]:
    opened = Visit(browser, site.address)
    yield opened
    opened.close()


def save(page: Any, told: str) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text(told).wait_for()


def test_five_kinds_are_added_without_yaml(visit: Visit) -> None:
    page = visit.page
    page.goto("/monitors/")
    page.get_by_role("link", name="Add a monitor").first.click()
    page.locator("#f-name:focus").wait_for()  # the first field is ready
    page.keyboard.type("shop")
    page.get_by_label("URL").fill("shop.example.com")
    page.get_by_label("URL").press("Tab")
    page.locator("#f-spec-http-url-e", has_text="is not a URL").wait_for()  # as one types
    assert page.get_by_label("URL").get_attribute("aria-invalid") == "true"
    page.get_by_label("URL").fill("https://shop.example.com")
    page.locator("#f-spec-http-url-e", has_text="is not a URL").wait_for(state="hidden")
    page.get_by_label("Labels, name 1").fill("team")
    page.get_by_label("Labels, entry 1").fill("core")
    page.get_by_role("button", name="Add another to Labels").click()
    page.get_by_label("Labels, entry 2").fill("shop")
    page.get_by_label("Labels, name 2").fill("service")
    save(page, "Its first check follows within seconds")
    assert resource("monitor", "shop").document == {
        "http": {"url": "https://shop.example.com"},
        "labels": {"team": "core", "service": "shop"},
    }

    page.goto("/channels/")
    page.get_by_role("link", name="Add a channel").first.click()
    page.get_by_label("Name", exact=True).fill("chat")
    page.get_by_role("radio", name="Webhook POST").check()
    page.get_by_label("URL").fill("https://hooks.example.com/alerts")
    save(page, "Send a test to see whether it is delivered")
    assert resource("channel", "chat").document == {"webhook": {"url": "https://hooks.example.com/alerts"}}

    page.goto("/resources/new?kind=route")
    page.get_by_label("Name", exact=True).fill("urgent")
    page.get_by_label("Label", exact=True).fill("severity")
    page.get_by_label("Compared how").select_option("matches the pattern")
    page.get_by_label("Value", exact=True).fill("P0|P1")
    page.get_by_label("chat").check()
    save(page, "What it matches now is shown below")
    assert resource("route", "urgent").document == {"match": ['severity=~"P0|P1"'], "to": ["chat"]}

    page.goto("/windows/")
    page.get_by_role("link", name="Add a window").first.click()
    page.get_by_label("Name", exact=True).fill("move")
    page.get_by_label("Once").check()
    page.get_by_label("Starts", exact=True).fill("2030-01-31T22:00")
    page.get_by_label("Ends", exact=True).fill("2030-02-01T02:00")
    page.get_by_label("Time zone of Ends").fill("Europe/Berlin")
    save(page, "Its next period, and what it covers")
    assert resource("window", "move").document == {"from": "2030-01-31T22:00:00Z", "until": "2030-02-01T02:00:00+01:00"}

    page.goto("/status-pages/")
    page.get_by_role("link", name="Add a status page").first.click()
    page.get_by_label("Name", exact=True).fill("public")
    page.get_by_label("Title").fill("Example")
    page.get_by_role("button", name="Add one to Components").click()
    page.locator("#f-spec-components-0-name").fill("Shop")
    page.locator("#f-spec-components-0-monitors").get_by_label("shop").check()
    save(page, "Everyone can open it")
    component = {"name": "Shop", "monitors": ["shop"]}
    assert resource("status_page", "public").document == {"title": "Example", "components": [component]}
    assert {one.manager for one in resources()} == {"page"}
    assert visit.complaints == []


def test_what_is_wrong_is_told_at_once_and_the_yaml_is_the_same_draft(visit: Visit) -> None:
    page = visit.page
    page.goto("/resources/new?kind=heartbeat")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Nothing has been saved yet.").wait_for()
    assert page.evaluate("document.activeElement.id") == "mistakes"
    page.get_by_role("link", name="Name").click()
    page.keyboard.type("backup")
    page.get_by_label("By a cron expression").check()
    page.get_by_label("Cron", exact=True).fill("0 2 * * *")
    page.get_by_role("button", name="YAML").click()
    editor = page.get_by_label("Declaration in YAML")
    assert editor.input_value() == "heartbeats:\n  backup:\n    cron: 0 2 * * *\n"
    editor.fill("heartbeats:\n  backup: # nightly\n    cron: 0 3 * * *\n")
    page.get_by_role("button", name="Form").click()
    assert page.get_by_label("Cron", exact=True).input_value() == "0 3 * * *"
    save(page, "It waits for its first ping.")
    assert resource("heartbeat", "backup").document == {"cron": "0 3 * * *"}
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted backup in revision 2").wait_for()
    assert visit.complaints == []


@pytest.mark.parametrize("kind", ["monitor", "channel", "route", "window", "status_page", "sign_in"])
def test_forms_are_readable_and_fit_a_phone(visit: Visit, kind: str) -> None:
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 800})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"/resources/new?kind={kind}")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(NAMELESS) == []
    assert visit.complaints == []
