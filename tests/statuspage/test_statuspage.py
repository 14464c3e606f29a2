"""Public status pages: what is told and what never is, in HTML, RSS and JSON, with and without a database."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.db import OperationalError, connections
from tests.rigs import receivers, seeding

from mainstay.kernel.actor import command
from mainstay.statuspage.feed import rss
from mainstay.statuspage.queries import public_pages
from mainstay.statuspage.serving import StatusPages
from mainstay.statuspage.view import PublicPage
from mainstay.store.resources.apply import declare
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results


@pytest.fixture
def company(store: None, tmp_path: Path) -> Iterator[Results]:
    telemetry = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(telemetry)
    now = time.time()
    seeding.declare_company(now)
    seeding.settle_company(telemetry, now, hours=1)
    yield telemetry
    set_current(None)
    telemetry.close()


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body: bytes = b"".join(message.get("body", b"") for message in messages[1:])


async def ask(pages: StatusPages, path: str, *, method: str = "GET", query: str = "", **headers: str) -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    await pages(scope, receive, send)
    return Answer(sent)


@contextlib.asynccontextmanager
async def opened(*arguments: Any) -> AsyncIterator[StatusPages]:
    pages = StatusPages(*arguments)
    await pages.refresh()
    yield pages
    await pages.stop()


def served(*paths: str, **options: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        async with opened() as pages:
            return [await ask(pages, path, **options) for path in paths]

    return asyncio.run(run())


SECRETS = [
    "acme.example/checkout",
    "203.0.113.10",
    "expect.status",
    "the status is 503",
    "db.acme.example",
    "api-search",
]


def test_nothing_private_is_told_in_any_form(company: Results) -> None:
    paths = ["/status/acme", "/status/acme/", "/status/acme/feed.xml", "/status/acme/api/v2/summary.json"]
    for path, answer in zip(paths, served(*paths), strict=True):
        text = answer.body.decode()
        assert answer.status == 200, path
        assert "Shop" in text
        for secret in (*SECRETS, "checkout", "user:first"):
            assert secret not in text, (path, secret)


def test_nothing_that_a_cache_does_not_look_at_changes_an_answer(company: Results) -> None:
    paths = ["/status/acme/", "/status/acme/feed.xml", "/status/acme/api/v2/summary.json", "/api/v2/summary.json"]
    odd = {
        "host": "evil.example",
        "x_forwarded_host": "evil.example",
        "x_original_url": "/users/",
        "x_http_method_override": "DELETE",
        "accept_language": "de",
        "cookie": "a=b",
    }

    async def run() -> None:
        async with opened() as pages:
            for path in paths:
                plain = await ask(pages, path)
                for again in (await ask(pages, path, query="x=<script>&utm=1"), await ask(pages, path, **odd)):
                    assert (again.status, again.body, again.headers) == (plain.status, plain.body, plain.headers)
                assert plain.headers["vary"] == "accept-encoding"
                assert "set-cookie" not in plain.headers

    asyncio.run(run())


def test_the_page_tells_state_history_and_incidents(company: Results) -> None:
    (answer,) = served("/status/acme/")
    text = answer.body.decode()
    assert "Some systems are disrupted" in text
    assert "Shop: service disruption" in text
    assert text.count('class="bars tall"') == 4
    assert "90 days ago" in text
    assert "style=" not in text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_summary_and_status_are_in_statuspages_shape(company: Results) -> None:
    summary, status, elsewhere = (
        json.loads(answer.body)
        for answer in served(
            "/status/acme/api/v2/summary.json", "/status/acme/api/v2/status.json", "/api/v2/summary.json"
        )
    )
    assert elsewhere == summary
    assert set(summary) == {"page", "components", "incidents", "scheduled_maintenances", "status"}
    assert set(status) == {"page", "status"}
    assert set(summary["page"]) == {"id", "name", "url", "time_zone", "updated_at"}
    assert summary["status"] == {"indicator": "major", "description": "Partial System Outage"} == status["status"]
    states = {component["name"]: component["status"] for component in summary["components"]}
    assert states == {
        "Website": "operational",
        "Shop": "partial_outage",
        "API": "degraded_performance",
        "Documentation": "operational",
        "For everyone": "partial_outage",
        "For developers": "degraded_performance",
    }
    groups = {component["id"]: component for component in summary["components"] if component["group"]}
    for component in summary["components"]:
        assert component["group"] or component["id"] in groups[component["group_id"]]["components"]
    (incident,) = summary["incidents"]
    assert (incident["status"], incident["impact"], incident["resolved_at"]) == ("investigating", "major", None)
    assert incident["incident_updates"][0]["affected_components"][0]["name"] == "Shop"


def test_the_feed_is_rss_with_lasting_identities(company: Results) -> None:
    first, second = served("/status/acme/feed.xml", "/status/acme/feed.xml")
    assert first.body == second.body
    root = ET.fromstring(first.body)
    assert (root.tag, root.attrib["version"]) == ("rss", "2.0")
    items = root.findall("./channel/item")
    assert {item.findtext("title") for item in items} == {
        "Shop: service disruption",
        "Resolved: Shop: service disruption",
    }
    guids = [item.findtext("guid") for item in items]
    assert len(set(guids)) == len(guids) == 3
    moments = [parsedate_to_datetime(item.findtext("pubDate", "")) for item in items]
    assert moments == sorted(moments, reverse=True)
    for name in ("title", "link", "description"):
        assert root.findtext(f"./channel/{name}")


def test_answers_are_compressed_tagged_and_not_sent_twice(company: Results) -> None:
    (plain,) = served("/status/acme/")
    (packed,) = served("/status/acme/", accept_encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert b"All systems" in gzip.decompress(packed.body) or b"Some systems" in gzip.decompress(packed.body)
    assert len(packed.body) < len(plain.body) / 3

    async def again() -> tuple[Answer, Answer]:
        async with opened() as pages:
            known = await ask(pages, "/status/acme/")
            unchanged = await ask(pages, "/status/acme/", if_none_match=known.headers["etag"])
            return unchanged, await ask(pages, "/status/acme/", method="HEAD")

    unchanged, head = asyncio.run(again())
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert (head.status, head.body) == (200, b"")


def test_what_is_not_there_is_not_found(company: Results) -> None:
    missing, post, nothing = (
        *served("/status/other/"),
        *served("/status/acme/", method="POST"),
        *served("/api/v2/summary.json", query="page=other"),
    )
    assert (missing.status, post.status, nothing.status) == (404, 405, 404)
    assert "There is no status page here" in missing.body.decode()
    assert missing.headers["content-type"].startswith("text/html")
    (only,) = served("/status/")
    assert (only.status, only.headers["location"]) == (302, "/status/acme/")
    declare(seeding.SEED, "status_page", "second", {"title": "Second"}, manager="page")
    several, empty, chosen = (
        *served("/status/"),
        *served("/status/second/"),
        *served("/api/v2/status.json", query="page=second"),
    )
    assert (several.status, empty.status, chosen.status) == (404, 200, 200)
    assert served("/api/v2/status.json")[0].status == 404


def test_unknown_is_neither_called_well_nor_broken(company: Results) -> None:
    document = {"title": "Lab", "components": [{"name": "Staging", "monitors": ["staging"]}]}
    declare(seeding.SEED, "status_page", "lab", document, manager="page")
    page, status = served("/status/lab/", "/status/lab/api/v2/status.json")
    assert "Some systems are not being measured right now" in page.body.decode()
    assert "No current data" in page.body.decode()
    told = json.loads(status.body)["status"]
    assert told == {"indicator": "none", "description": "Some Systems Are Not Being Measured"}


def test_planned_and_running_maintenance_is_announced(company: Results) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    for name, start in (("now", now - timedelta(hours=1)), ("soon", now + timedelta(days=2))):
        document = {
            "from": start.isoformat(),
            "until": (start + timedelta(hours=3)).isoformat(),
            "covers": ['service="api"'],
            "description": f"Work of {name}",
        }
        declare(seeding.SEED, "window", name, document, manager="page")
    page, summary = served("/status/acme/", "/status/acme/api/v2/summary.json")
    text = page.body.decode()
    assert text.index("Maintenance in progress") < text.index("Work of now") < text.index("Planned maintenance")
    assert "Work of soon" in text
    windows = {one["name"]: one for one in json.loads(summary.body)["scheduled_maintenances"]}
    assert {name: one["status"] for name, one in windows.items()} == {
        "Work of now": "in_progress",
        "Work of soon": "scheduled",
    }
    assert windows["Work of soon"]["impact"] == "maintenance"


def test_the_last_page_stays_while_the_database_is_away(company: Results) -> None:
    away = False

    def reader() -> list[PublicPage]:
        if away:
            raise OperationalError("database is locked")
        return public_pages()

    async def run() -> tuple[Answer, Answer, Answer]:
        nonlocal away
        async with opened(reader) as pages:
            before = await ask(pages, "/status/acme/")
            away = True
            await pages.refresh()
            during = await ask(pages, "/status/acme/")
            away = False
            await pages.refresh()
            return before, during, await ask(pages, "/status/acme/")

    before, during, after = asyncio.run(run())
    assert "may be out of date" not in before.body.decode()
    assert during.status == 200
    assert "may be out of date" in during.body.decode()
    assert "Shop" in during.body.decode()
    assert "may be out of date" not in after.body.decode()


def test_what_happens_is_shown_within_seconds(company: Results) -> None:
    def elsewhere() -> None:
        declare(seeding.SEED, "status_page", "fresh", {"title": "Fresh"}, manager="page")
        connections.close_all()

    async def run() -> str:
        pages = StatusPages()
        await pages.start()
        try:
            await asyncio.to_thread(elsewhere)
            for _ in range(300):
                answer = await ask(pages, "/status/fresh/")
                if answer.status == 200:
                    return answer.body.decode()
                await asyncio.sleep(0.05)
            return ""
        finally:
            await pages.stop()

    assert "Fresh" in asyncio.run(run())


@pytest.mark.usefixtures("company")
def test_outages_that_come_back_soon_are_one_past_incident(clock: Any) -> None:
    declare(command("t"), "monitor", "bakery", {"http": "https://shop.example.com"}, manager="api")
    page = {"title": "Shop", "components": [{"name": "Shop", "monitors": ["bakery"]}]}
    declare(command("t"), "status_page", "bakery", page, manager="api")
    for pause in (0, 300, 3500, 3700):
        clock.advance(pause)
        receivers.happen("monitor.went_down", "monitor/bakery", clock, since=clock.now())
        clock.advance(60)
        receivers.happen("monitor.went_up", "monitor/bakery", clock)
    shown = next(one for one in public_pages(clock.now()) if one.slug == "bakery")
    assert [(one.outages, round(one.lasted)) for one in shown.past_incidents] == [(1, 60), (3, 3980)]
    texts = [item.findtext("description") for item in ET.fromstring(rss(shown)).findall("channel/item")]
    assert "It is over. It lasted 1 h 6 min, with 3 outages." in texts
