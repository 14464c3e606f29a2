"""The page of the servers that share a database, in a real browser."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from test_journeys import CONTRAST, NAMELESS, Visit

from mainstay.kernel.actor import command
from mainstay.nodes import queries
from mainstay.nodes.models import LeaseRow, NodeRow
from mainstay.nodes.rules import TTL, shard_name
from mainstay.store.journal import entries
from mainstay.store.resources.apply import declare
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results

PICTURES = os.environ.get("NODES_PICTURES", "")  # folder; none are taken otherwise


@pytest.fixture
def visit(browser: Any, site: Any) -> Iterator[Visit]:
    window = Visit(browser, site.address, reduced_motion="reduce")
    yield window
    window.close()


def world(now: float) -> None:
    """Three servers: one at work, one that hands over, one that is not heard."""
    told = {"monitors": 810, "lag": 0.012, "version": "0.1.0"}
    rows = [
        ("a", 2 * TTL - 0.5, {"address": "0.0.0.0:8800", **told}),
        (
            "b",
            2 * TTL - 0.5,
            {"address": "0.0.0.0:8800", "draining": True, "waiting": 3, "spooled": 12, "version": "0.1.1"},
        ),
        ("c", -90.0, {"address": "0.0.0.0:8800", "lost_at": now - 84, "version": "0.1.0"}),
    ]
    for name, ends, more in rows:
        NodeRow.objects.create(
            id=name * 32, session=name, name=f"watch-{name}", started_at=now - 7200, seen_at=now + min(ends, 0),
            expires_at=now + ends, **more,
        )  # fmt: skip
    holders = ["a"] * 40 + ["b"] * 24
    LeaseRow.objects.bulk_create(
        [LeaseRow(name=shard_name(number), holder=holder, token=1) for number, holder in enumerate(holders)]
        + [LeaseRow(name="task/upkeep", holder="a", token=1)]
    )


def picture(visit: Visit, name: str) -> None:
    if PICTURES:
        visit.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def test_alone_it_says_so(visit: Visit) -> None:
    visit.page.goto("/nodes/")
    assert "One server does everything" in visit.page.inner_text("main")
    picture(visit, "alone")


def test_who_does_what_and_handing_over(visit: Visit) -> None:
    world(time.time())
    visit.page.goto("/nodes/")
    text = visit.page.inner_text("main")
    for words in ("No reports from watch-c", "0-39", "Exclusive tasks: upkeep", "Hands over", "0.1.0, 0.1.1"):
        assert words in text, words
    for width in (1280, 360):
        visit.page.set_viewport_size({"width": width, "height": 800})
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.page.evaluate(CONTRAST) == []
        assert visit.page.evaluate(NAMELESS) == []
        picture(visit, f"nodes-{width}")
    visit.page.get_by_role("button", name="Take a share again").click()
    visit.page.wait_for_load_state()
    assert not NodeRow.objects.get(name="watch-b").draining
    assert next(iter(entries())).kind == "node.draining_ended"
    visit.page.goto("/health/")
    assert "watch-a" in visit.page.inner_text("main")


def test_pages_say_whose_results_they_show(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(command("tests"), "monitor", "api", {"http": "http://127.0.0.1:1/"}, manager="api")
    telemetry = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(telemetry)
    world(time.time())
    pages = ("/", "/monitors/", "/monitors/api/", "/nodes/", "/health/")

    def said(page: str) -> bool:
        visit.page.goto(page)
        return "show only what watch-b measured" in visit.page.inner_text("main")

    try:
        assert [page for page in pages if said(page)] == [], "this process is none of the servers"
        monkeypatch.setattr(queries, "_here", "b" * 32)
        assert [page for page in pages if not said(page)] == []
        for page in pages:
            visit.page.set_viewport_size({"width": 390, "height": 800})
            said(page)
            picture(visit, f"apart{page.replace('/', '-')}")
        shared = replace(settings.MAINSTAY, telemetry="clickhouse://127.0.0.1/")
        monkeypatch.setattr(settings, "MAINSTAY", shared)
        assert [page for page in pages if said(page)] == [], "all servers see the results of all"
    finally:
        set_current(None)
        telemetry.close()
