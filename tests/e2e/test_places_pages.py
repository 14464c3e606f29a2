"""The page of locations, and what the page of a monitor shows of them, in a real browser."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_journeys import CONTRAST, NAMELESS, Visit

from mainstay.kernel.actor import command
from mainstay.store.resources.apply import declare
from mainstay.watch.location_verbs import Seen, record_presence, save_locations
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

ME = command("tests")
PICTURES = os.environ.get("PLACES_PICTURES", "")  # folder; none are taken otherwise
SAID = {"main": "up", "fra": "up", "nyc": "down"}


@pytest.fixture
def visit(tmp_path: Path, browser: Any, site: Any) -> Iterator[Visit]:
    opened = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(opened)
    world(opened, time.time())
    window = Visit(browser, site.address, reduced_motion="reduce")
    yield window
    window.close()
    set_current(None)
    opened.close()


def world(telemetry: Results, now: float) -> None:
    """Four places: one well, one with a wrong clock, one that is lost, one that nothing has joined; a monitor."""
    uids = {}
    for name, about in (("fra", "Frankfurt, rented"), ("nyc", "New York, the office"), ("sin", ""), ("gru", "")):
        uids[name] = declare(ME, "location", name, {"description": about} if about else {}, manager="api").uid
    document = {
        "http": "https://shop.example/",
        "locations": ["main", "fra", "nyc"],
        "quorum": "2 of 3",
        "confirm": {"elsewhere": True},
    }
    shop = declare(ME, "monitor", "shop", document, manager="api").uid
    well = Seen(uids["fra"], now - 1, now - 7_000, True, "0.1.0", "192.0.2.7", 0.004, 0.021, 1, 5_210)
    wrong = Seen(uids["nyc"], now - 1, now - 90, True, "0.1.0", "198.51.100.20", -61.2, 0.094, 1, 98, 12, 3)
    lost = Seen(uids["sin"], now - 900, now - 9_000, True, "0.1.0", "203.0.113.4", 0.0, 0.2, 0, 10)
    save_locations(ME, [well, wrong, lost])
    for name in ("fra", "nyc", "sin"):
        record_presence(ME, uids[name], "up", 30.0)
    record_presence(ME, uids["sin"], "silent", 30.0)
    chance = random.Random(4)
    samples = []
    for number in range(240):
        at = now - 30 - number * 60
        for name, usual in (("main", 0.03), ("fra", 0.055), ("nyc", 0.14)):
            verdict = SAID[name] if 40 < number < 52 else "up"
            took = usual * chance.uniform(0.8, 1.4)
            code = "" if verdict == "up" else "connect.timeout"
            samples.append(
                Sample(
                    uid=shop, at=at, verdict=verdict, duration=took, charge="unknown", charged=0.0, location=name,
                    code=code, message="no connection within 5 s" if code else "", phases={"wait": took},
                )
            )  # fmt: skip
        evidence: dict[str, Any] = {}
        if 40 < number < 52:
            evidence = {"quorum": "2 of 3", "locations": {name: {"verdict": said} for name, said in SAID.items()}}
        samples.append(
            Sample(
                uid=shop, at=at, verdict="up", duration=0.05, charge="up", charged=60.0, evidence=evidence,
                phases={"connect": 0.01, "wait": 0.04},
            )
        )  # fmt: skip
    telemetry.append(samples)
    telemetry.flush()


def settled(visit: Visit) -> None:
    """Nothing is too faint, nameless or wider than the page."""
    assert visit.page.evaluate(CONTRAST) == []
    assert visit.page.evaluate(NAMELESS) == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def picture(visit: Visit, name: str) -> None:
    if PICTURES:
        visit.page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def test_the_page_of_locations_says_who_is_heard_and_how_well(visit: Visit) -> None:
    page = visit.page
    page.goto("/")
    page.get_by_role("link", name="Locations").click()
    page.get_by_role("heading", name="No reports from sin").wait_for()
    text = page.locator("main").inner_text()
    for words in ("Connected", "61.20 s ahead", "21 ms", "No prober has joined yet", "mainstay locations token gru"):
        assert words in text, words
    settled(visit)
    picture(visit, "locations-light")
    page.emulate_media(color_scheme="dark")
    settled(visit)
    picture(visit, "locations-dark")
    page.set_viewport_size({"width": 360, "height": 780})
    settled(visit)
    picture(visit, "locations-phone")
    page.get_by_role("link", name="shop").first.click()
    page.get_by_role("heading", name="shop", exact=True).wait_for()
    assert visit.complaints == []


def test_the_page_of_a_monitor_shows_each_place_and_where_they_disagree(visit: Visit) -> None:
    page = visit.page
    page.goto("/monitors/shop/")
    page.locator("[data-lines] .uplot").wait_for()
    table = page.locator("#places")
    assert table.locator("tbody tr").count() == 3
    assert "2 of 3 must agree" in page.locator("main").inner_text()
    disagreements = page.locator("#disagreements li")
    assert disagreements.count() == 1, "a stretch of the same votes is told once"
    assert "nyc" in disagreements.inner_text()
    settled(visit)
    picture(visit, "monitor-light")
    page.get_by_role("link", name="7d").click()
    page.locator('[aria-current="true"]', has_text="7d").wait_for()
    page.locator("[data-lines] .uplot").wait_for()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 780})
    settled(visit)
    picture(visit, "monitor-dark-phone")
    assert visit.complaints == []
