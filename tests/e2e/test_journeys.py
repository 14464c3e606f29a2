"""The main journeys of a person, in a real browser: first address, search, editor, alert, live page, status page."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect
from tests.rigs import seeding

from mainstay.accounts import verbs
from mainstay.accounts.models import User
from mainstay.kernel.actor import system
from mainstay.store.resources.queries import resource
from mainstay.watch.results.results import Results

# Folder that pictures for README and docs go to; none are taken otherwise.
PICTURES = os.environ.get("DOCS_PICTURES", "")

# Every visible text against its own background: (ratio, what is asked, text) of those that are too faint.
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (node) => { const layers = [];
    for (let n = node; n; n = n.parentElement) layers.push(rgba(getComputedStyle(n).backgroundColor));
    return layers.reverse().reduce((below, layer) => layer[3] ? over(layer, below) : below, [255, 255, 255, 1]); };
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(); const node = walker.currentNode.parentElement;
    if (!text || !node.checkVisibility() || node.closest('[disabled], option, script, .hush, .skip, canvas')) continue;
    const style = getComputedStyle(node); const below = ground(node); const ink = over(rgba(style.color), below);
    const [a, b] = [light(ink), light(below)]; const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const asked = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < asked - 0.01) found.push([ratio.toFixed(2), asked, text.slice(0, 40)]);
  }
  return found;
}"""

# Fields without a name for screen readers, pictures without text, and ids that stand twice.
NAMELESS = """() => {
  const found = [];
  for (const f of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
    if (!f.labels?.length && !f.ariaLabel) found.push(f.outerHTML.slice(0, 80));
  for (const b of document.querySelectorAll('button, a[href]'))
    if (!b.textContent.trim() && !b.ariaLabel) found.push(b.outerHTML.slice(0, 80));
  for (const s of document.querySelectorAll('svg:not([aria-hidden]):not([aria-label])'))
    found.push(s.outerHTML.slice(0, 80));
  const ids = [...document.querySelectorAll('[id]')].map((n) => n.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('twice: ' + id);
  if (!document.querySelector('h1, h2')) found.push('no heading');
  return found;
}"""


class Visit:
    """A signed-in person's window; `complaints` holds what the browser objected to."""

    def __init__(self, browser: Any, address: str, *, signed_in: bool = True, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "timezone_id": "UTC", **options}
        self.window = browser.new_context(base_url=address, **options)
        if signed_in:
            cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session_key(), "url": address}
            self.window.add_cookies([cookie])
        self.page = self.window.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def close(self) -> None:
        self.window.close()


def session_key() -> str:
    if not User.objects.filter(email="ops@acme.example").exists():
        verbs.create_user(system("test"), "ops@acme.example", "admin")
        person = User.objects.get(email="ops@acme.example")
        apps.get_model("mfa", "Authenticator").objects.create(user=person, type="totp", data={})
    client = Client()
    person = User.objects.get(email="ops@acme.example")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


@pytest.fixture
def visit(telemetry: Results, browser: Any, site: Any) -> Iterator[Visit]:
    opened = Visit(browser, site.address)
    yield opened
    opened.close()


@pytest.fixture
def company(telemetry: Results, site: Any) -> None:
    now = time.time()
    seeding.declare_company(now)
    seeding.settle_company(telemetry, now, hours=24 if PICTURES else 2)
    site.refresh()


def test_first_run_an_address_is_typed_and_watched(visit: Visit) -> None:
    page = visit.page
    page.goto("/")
    page.get_by_role("heading", name="Nothing is watched yet").wait_for()
    page.get_by_label("Address to watch").fill("https://first.example/health")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="first.example-health").wait_for()
    assert resource("monitor", "first.example-health").manager == "page"
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="first.example-health").wait_for()
    assert visit.complaints == []


def test_search_narrows_the_list_and_an_order_takes_all_of_it(visit: Visit, company: None) -> None:
    page = visit.page
    page.goto("/monitors/")
    page.keyboard.press("/")
    page.keyboard.type("shop.acme")
    page.locator(".rows > li").nth(2).wait_for(state="detached")
    assert page.locator(".rows > li").count() == 2
    assert "q=shop.acme" in page.url
    assert page.get_by_role("navigation", name="States").inner_text().split()[:2] == ["2", "all"]
    page.locator("button[value=pause]:disabled").wait_for()
    page.get_by_label("All on this page").check()
    page.get_by_text("2 selected").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused 2 monitors.").wait_for()
    assert page.locator('.rows > li[data-state="paused"]').count() == 2
    page.get_by_label("Choose checkout").check()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Are you sure?")
    assert "Delete checkout? Managed by a file, which restores it with its next apply: checkout." in dialog.inner_text()
    assert "solid" in (dialog.get_by_role("button", name="Delete").get_attribute("class") or "")
    dialog.get_by_role("button", name="Cancel").click()
    assert resource("monitor", "checkout")
    assert visit.complaints == []


def test_what_cannot_be_loaded_says_so_in_its_place(visit: Visit, company: None) -> None:
    page = visit.page
    page.route("**/pings/*", lambda route: route.abort())
    page.goto("/heartbeats/nightly-backup/")
    page.locator("details[hx-get] summary").first.click()
    page.get_by_role("alert").get_by_text("It could not be loaded").wait_for()


def test_a_mistake_is_shown_at_its_line_and_put_right(visit: Visit, company: None) -> None:
    page = visit.page
    page.goto("/resources/new?kind=monitor&as=yaml")
    editor = page.get_by_label("Declaration in YAML")
    editor.fill("monitors:\n  books:\n    http: https://books.example\n    expct: {status: 200}\n")
    page.get_by_role("button", name="Show what changes").click()
    place = page.get_by_role("link", name="Line 4, column 5")
    place.wait_for()
    assert page.locator(".editor .lines b").inner_text().strip() == "4"
    place.click()
    assert editor.evaluate("area => area.value.slice(area.selectionStart, area.selectionStart + 5)") == "expct"
    editor.fill("monitors:\n  books:\n    http: https://books.example\n    expect: {status: 200}\n")
    page.get_by_role("button", name="Show what changes").click()
    page.get_by_text("New: monitor books").wait_for()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/monitors/books/")
    page.get_by_text("Applied as revision").wait_for()
    assert visit.complaints == []


def test_the_editor_suggests_from_the_schema_and_saves_by_key(visit: Visit, company: None) -> None:
    page = visit.page
    with page.expect_response("**/api/v1/schema"):
        page.goto("/resources/new?kind=monitor&as=yaml")
    editor = page.get_by_label("Declaration in YAML")
    editor.fill("monitors:\n  books:")
    editor.press("End")
    page.keyboard.type("\nht")
    page.get_by_role("option", name="http").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.type("https://books.example\nexpect: {")
    page.keyboard.press("Control+Space")
    assert "status" in page.locator(".offer b").all_inner_texts()
    assert "days" not in page.locator(".offer b").all_inner_texts(), "what another kind of check expects"
    page.keyboard.press("Escape")
    page.keyboard.type("status: 200}\nsev")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expected = "monitors:\n  books:\n    http: https://books.example\n    expect: {status: 200}\n    severity: P1"
    assert editor.input_value() == expected
    page.keyboard.press("Control+Enter")
    page.get_by_text("New: monitor books").wait_for()
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/monitors/books/")
    page.goto("/resources/new?kind=monitor&as=yaml")
    editor.focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert not editor.evaluate("area => area === document.activeElement")
    assert visit.complaints == []


def test_an_alert_is_taken_from_the_overview(visit: Visit, company: None) -> None:
    page = visit.page
    page.goto("/")
    problem = page.locator(".problem", has_text="checkout")
    assert "the status is 503" in problem.inner_text()
    problem.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("acknowledged.").wait_for()
    assert "Acknowledged by ops@acme.example" in page.locator(".problem", has_text="checkout").inner_text()
    assert visit.complaints == []


def test_the_page_follows_what_happens_and_keeps_its_place(visit: Visit, company: None) -> None:
    page = visit.page
    page.goto("/monitors/?sort=name")
    page.locator("html[data-link=live]").wait_for(state="attached")
    page.get_by_label("Choose shop").check()
    page.get_by_role("link", name="database", exact=True).focus()
    page.evaluate("window.mark = 'same page'")
    now = time.time()
    database = resource("monitor", "database")
    seeding.set_state(database.uid, "down", now, now, code="connect.refused", message="nobody listens there")
    seeding.record([seeding.outage_event(database, "down", now, "connect.refused", "nobody listens there")])
    page.locator('.rows > li[data-state="down"]', has_text="database").wait_for()
    assert page.evaluate("window.mark") == "same page"
    assert page.get_by_label("Choose shop").is_checked()
    assert page.evaluate("document.activeElement.textContent") == "database"
    assert visit.complaints == []


def test_the_menu_and_the_theme_work_by_hand_and_by_key(visit: Visit, company: None) -> None:
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/")
    assert not page.get_by_role("link", name="Journal").is_visible()
    page.get_by_role("link", name="Menu").click()
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("link", name="Menu").click()
    page.get_by_role("button", name="Theme: dark").click()
    page.get_by_role("button", name="Theme: light").click()
    page.get_by_role("button", name="Theme: system").wait_for()
    assert page.evaluate("document.documentElement.dataset.theme ?? localStorage.getItem('theme')") is None
    page.reload()
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/alerts/")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") == "checkout is down"
    assert visit.complaints == []


def test_visitors_see_the_status_page_without_signing_in(company: None, browser: Any, site: Any) -> None:
    visit = Visit(browser, site.address, signed_in=False)
    page = visit.page
    page.goto("/status/acme")
    page.get_by_role("heading", name="Some systems are disrupted").wait_for()
    bars = page.locator("svg.bars").first
    bars.hover(position={"x": 2, "y": 10})
    assert "no downtime" in page.locator(".tip").inner_text() or "down" in page.locator(".tip").inner_text()
    page.goto("/")
    assert "/accounts/login/" in page.url
    assert visit.complaints == []
    visit.close()


@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["phone", "desk"])
def test_fifty_monitors_take_two_screens_at_most(visit: Visit, company: None, size: tuple[int, int]) -> None:
    seeding.declare_many(38, groups=8)
    page = visit.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto("/")
    assert page.evaluate("document.documentElement.scrollHeight") <= 2 * size[1]
    group = page.locator("details.group", has_text="service-003")
    assert not group.get_by_role("link").first.is_visible()
    group.locator("summary").click()
    group.get_by_role("link").first.wait_for()
    assert visit.complaints == []


PAGES = {
    "overview": "/",
    "monitors": "/monitors/",
    "monitor": "/monitors/checkout/",
    "heartbeats": "/heartbeats/",
    "heartbeat": "/heartbeats/nightly-backup/",
    "alerts": "/alerts/",
    "channels": "/channels/",
    "resources": "/resources/",
    "resource": "/resources/window/monthly-updates/",
    "editor": "/resources/new?kind=monitor&as=yaml",
    "revision": "/revisions/1/",
    "maintenance": "/windows/",
    "routes": "/routes/",
    "people": "/users/",
    "new person": "/users/new/",
    "journal": "/journal/",
    "health": "/health/",
    "status": "/status/acme/",
}
IN_DOCS = {
    "light": {"overview", "monitor", "monitors", "alerts", "status", "editor"},
    "dark": {"overview", "monitor", "status"},
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_reads_well_and_has_names(company: None, browser: Any, site: Any, scheme: str) -> None:
    visit = Visit(browser, site.address, color_scheme=scheme, reduced_motion="reduce")
    page = visit.page
    for name, path in PAGES.items():
        page.set_viewport_size({"width": 1280, "height": 860})
        page.goto(path)
        assert page.evaluate(CONTRAST) == [], f"{name} {scheme}"
        assert page.evaluate(NAMELESS) == [], name
        if PICTURES and name in IN_DOCS[scheme]:
            page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}.png"))
        for width in (360, 1280, 2000):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width}"
        if PICTURES and (name == "overview" or (name, scheme) == ("status", "light")):
            page.set_viewport_size({"width": 390, "height": 800})
            page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}-phone.png"))
    assert visit.complaints == []
    visit.close()
