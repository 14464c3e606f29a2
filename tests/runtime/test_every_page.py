"""A walk through the whole product: every page, every link and every form of it, on an empty store and a filled one.

The ways in are read from the code (tests/rigs/door_list.py) and from the pages themselves, so that a new page, link or
form is tried without being named here.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve
from tests.rigs import seeding
from tests.rigs.accounts_browser import TEST, browser, person
from tests.rigs.door_list import Way, pages

from mainstay.kernel.resource import KINDS
from mainstay.store.resources.files import read_body
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.watch.results.results import Results

pytestmark = pytest.mark.usefixtures("store")
_ALIKE = 2  # pages behind the same route that are looked at, by their address without the query
_QUERIES = 2  # of one address


class Reader(HTMLParser):
    """Addresses that a page leads to, and its forms with what they hold as they stand."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str, dict[str, str]]] = []
        self._area = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self.links += [has[name] for name in ("hx-get", "href") if tag != "link" and has.get(name)]
        if "hx-post" in has or (tag == "form" and has.get("method", "get").lower() == "post"):
            self.forms.append(("POST", has.get("hx-post", has.get("action", "")), {}))
        elif tag == "form":
            self.forms.append(("GET", has.get("action", ""), {}))
        if self.forms and has.get("name") and (tag != "button" or has.get("value")):
            self.forms[-1][2].setdefault(has["name"], has.get("value", ""))
        self._area = has.get("name", "") if tag == "textarea" else self._area

    def handle_data(self, data: str) -> None:
        if self._area and self.forms:
            self.forms[-1][2][self._area] = data

    def handle_endtag(self, tag: str) -> None:
        self._area = "" if tag == "textarea" else self._area


class Walk:
    """One person's way through everything; `broken` holds what answered with 500 or did not answer."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.broken: list[str] = []
        self.routes: Counter[str] = Counter()
        self._seen: set[tuple[str, ...]] = set()
        self._due: deque[str] = deque()

    def start(self, addresses: list[str]) -> None:
        for address in addresses:
            self._lead("/", address)
        while self._due:
            self._look(self._due.popleft())

    def _lead(self, page: str, address: str) -> None:
        parts = urlsplit(urljoin(page, address))
        if parts.netloc or parts.scheme or parts.path.startswith(("/static/", "/status/", "/ping/")):
            return
        try:
            route = resolve(parts.path).route
        except Resolver404:
            self.broken.append(f"{page} leads to {address}, which is no page")
            return
        kept, alike = ("page", parts.path, parts.query), ("route", route)
        if kept in self._seen or self._full(alike, parts.path):
            return
        self._seen.add(kept)
        self._due.append(f"{parts.path}?{parts.query}")

    def _full(self, alike: tuple[str, ...], path: str) -> bool:
        queries = sum(1 for one in self._seen if one[:2] == ("page", path))
        others = {one[2] for one in self._seen if one[:2] == alike}
        self._seen.add((*alike, path))
        kinds = "resources/new" in path  # one form for each kind
        return (queries >= _QUERIES and not kinds) or (path not in others and len(others) >= _ALIKE)

    def _look(self, address: str) -> None:
        text = self.ask("GET", address, {})
        reader = Reader(text)
        for link in reader.links:
            self._lead(address, link)
        for method, action, values in reader.forms:
            target = urljoin(address, action or address)
            known = ("form", method, urlsplit(target).path, *values)
            if known not in self._seen and not urlsplit(target).netloc and "/logout" not in target:
                self._seen.add(known)
                self.ask(method, target, values)

    def ask(self, method: str, address: str, values: dict[str, str]) -> str:
        """The answer's text, if it is a page; what was changed is undone."""
        self.routes[resolve(urlsplit(address).path).route] += 1
        with transaction.atomic():
            response = self.client.get(address, values) if method == "GET" else self.client.post(address, values)
            transaction.set_rollback(True)
        if response.status_code >= 500:
            self.broken.append(f"{method} {address}: {response.status_code}")
        if response.streaming:
            response.close()  # or its slot stays taken
            return ""
        if "html" not in response.get("Content-Type", ""):
            return ""
        return str(response.content.decode())


@pytest.fixture
def visitor() -> Client:
    """An administrator who has just shown who they are, and who sees answers rather than exceptions."""
    user = person()
    client = browser()
    client.raise_request_exception = False
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


def page_ways() -> list[Way]:
    return [way for way in pages() if way.kind == "page" and "logout" not in way.route]


def walk(client: Client, fill: dict[str, str]) -> Walk:
    """Every page and minimal form of the list of doors, then everything that the pages lead to."""
    walked = Walk(client)
    ways = page_ways()
    for way in ways:
        walked.ask(way.method, filled(way, fill), {})
    walked.start(["/", "/account/", "/users/", *(filled(way, fill) for way in ways if way.method == "GET")])
    return walked


def filled(way: Way, fill: dict[str, str]) -> str:
    """The way's address, with a name that exists where the store has one for this route."""
    first = way.route.partition("/")[0]
    return way.path.replace("/sample", f"/{quote(fill[first])}", 1) if first in fill else way.path


def test_every_page_and_form_answers_on_an_empty_store(visitor: Client, telemetry: Results) -> None:
    walked = walk(visitor, {})
    assert walked.broken == []
    assert walked.routes["resources/new"] >= len(KINDS.by_name)
    assert len(walked.routes) > 80


def test_every_page_and_form_answers_on_a_filled_store(visitor: Client, telemetry: Results) -> None:
    now = time.time()
    seeding.declare_company(now)
    seeding.settle_company(telemetry, now, hours=1)
    walked = walk(visitor, {"monitors": "checkout", "heartbeats": "nightly-backup", "channels": "pager"})
    assert walked.broken == []
    assert walked.routes["monitors/<str:name>/<slug:order>"] > 1


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_the_editor_begins_with_an_example_of_every_kind_that_can_be_applied(kind: str, visitor: Client) -> None:
    page = visitor.get("/resources/new", {"kind": kind})
    assert page.status_code == 200
    needs = {"route": ["channel"], "status_page": ["monitor"], "team": ["person"], "schedule": ["person"]}
    needs["escalation_policy"] = ["person", "schedule"]
    others = "".join(KINDS[other].example for other in needs.get(kind, ()))
    reading = read_body((others + KINDS[kind].example).encode(), "editor")
    plan = plan_reading(TEST, reading, Terms("page", "test"))
    assert kind in {change.kind for change in plan.differences if change.action == "create"}
