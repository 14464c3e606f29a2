"""The command palette in a real browser: opened by key and by touch, led by arrows, and read by screen readers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.e2e.test_journeys import CONTRAST, NAMELESS, Visit, company

from mainstay.watch.results.results import Results

__all__ = ["company"]


@pytest.fixture(params=[("light", 1440), ("dark", 390)], ids=["light", "dark phone"])
def visit(
    request: pytest.FixtureRequest, telemetry: Results, company: None, browser: Any, site: Any
) -> Iterator[Visit]:
    scheme, width = request.param
    opened = Visit(browser, site.address, color_scheme=scheme, viewport={"width": width, "height": 800})
    yield opened
    opened.close()


def test_type_arrow_enter_lands(visit: Visit) -> None:
    page = visit.page
    page.goto("/journal/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search everything")
    page.keyboard.type("api")
    options = page.locator("#palette-finds").get_by_role("option")
    options.filter(has_text="api-search").first.wait_for()
    assert field.get_attribute("aria-expanded") == "true"
    assert field.get_attribute("aria-activedescendant") == options.first.get_attribute("id")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.querySelector('#palette').scrollWidth <= innerWidth")
    page.keyboard.press("End")
    assert options.last.get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowDown")
    assert options.first.get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    address = options.nth(1).get_attribute("href")
    assert page.locator('#palette-finds [aria-selected="true"]').count() == 1
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{address}")
    assert visit.complaints == []


def test_it_opens_by_touch_and_closes_without_a_trace(visit: Visit) -> None:
    page = visit.page
    page.goto("/health/")
    opener = page.get_by_role("link", name="Search", exact=True)
    opener.click()
    field = page.get_by_role("combobox", name="Search everything")
    field.fill("zzz nothing")
    page.get_by_text(re.compile("Nothing that you may see is called")).wait_for()
    assert page.evaluate(CONTRAST) == []
    page.keyboard.press("Escape")
    field.wait_for(state="hidden")
    page.keyboard.press("/")
    expect(field, "a page without a search of its own opens the palette").to_have_value("")
    page.keyboard.type("add mon")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Search").wait_for()
    page.locator("#main").get_by_role("link", name="Add monitor").click()
    page.wait_for_url("**/resources/new?kind=monitor")
    assert visit.complaints == []
