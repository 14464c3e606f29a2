"""The menu of a product with many capabilities: groups fold and stay so, and a phone reaches the last entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.test_journeys import CONTRAST, NAMELESS, Visit

from mainstay.kernel.capability import CAPABILITIES, GROUPS, Capability, MenuEntry
from mainstay.watch.results.results import Results

COUNT = 30


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of capabilities that do not exist, in every group."""
    entries = tuple(
        MenuEntry(
            GROUPS[at % len(GROUPS)], 900 + at, f"Made-up page {at}", f"/made-up-{at}/", "journal", "journal:read"
        )
        for at in range(COUNT)
    )
    many = Capability(name="crowd", order=999, about="many pages", menu=entries)
    monkeypatch.setattr(CAPABILITIES, "_all", [*CAPABILITIES, many])


@pytest.fixture(params=[390, 1440])
def visit(
    request: pytest.FixtureRequest, telemetry: Results, crowded: None, browser: Any, site: Any
) -> Iterator[Visit]:
    opened = Visit(browser, site.address, viewport={"width": request.param, "height": 800})
    yield opened
    opened.close()


def _open(visit: Visit) -> Any:
    page = visit.page
    page.goto("/journal/")
    if page.get_by_role("link", name="Menu").is_visible():
        page.get_by_role("link", name="Menu").click()
    return page.get_by_role("navigation", name="Main")


def test_a_crowded_menu_scrolls_folds_and_remembers(visit: Visit) -> None:
    menu = _open(visit)
    last = menu.get_by_role("link", name=f"Made-up page {COUNT - 1}", exact=True)
    last.scroll_into_view_if_needed()
    assert last.bounding_box()["y"] < 800
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visit.page.evaluate(CONTRAST) == []
    assert visit.page.evaluate(NAMELESS) == []
    watch = menu.locator('[data-fold="Watch"]')
    watch.locator("summary").focus()
    visit.page.keyboard.press("Enter")
    watch.get_by_role("link", name="Monitors").wait_for(state="hidden")
    menu = _open(visit)
    assert not watch.get_by_role("link", name="Monitors").is_visible()
    here = menu.locator("[data-here]")
    assert here.get_by_role("link", name="Journal", exact=True).is_visible()
    watch.locator("summary").click()
    _open(visit)
    assert watch.get_by_role("link", name="Monitors").is_visible()
    assert visit.complaints == []
