"""All components on one page, light and dark, on a phone and a desk: photographed, and without barriers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.template import Engine, RequestContext
from django.test import RequestFactory
from tests.e2e.test_journeys import CONTRAST, Visit

from mainstay.accounts.models import User
from mainstay.frames import days
from mainstay.frames.web import shapes
from mainstay.frames.web.paging import Turn
from mainstay.frames.web.table import Sorting
from mainstay.kernel.actor import system

HERE = Path(__file__).parent
PAGE = HERE.parent / "frames" / "components.html"
PARTIALS = {path.stem for path in (Path(days.__file__).parent / "web/templates/web/components").glob("*.html")}
AXE = (HERE / "vendor" / "axe-4.14.1.min.js").read_text()
# What is wrong, with the elements that it is about.
VIOLATIONS = """async () => (await axe.run()).violations.map((one) =>
  `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).slice(0, 4).join(", ")}`)"""


def shown() -> dict[str, Any]:
    now = time.time()
    marks = [days.DayMark("up", good=86_400.0)] * 27
    marks += [days.DayMark("down", 0.03, 83_800.0, 2_400.0, "40 min down"), days.DayMark("none")]
    rows = [
        SimpleNamespace(
            state=state, name=f"api-{state}", url="/", about="https://api.acme.example/health", latest="87 ms",
            since=now - 900, tags=["core"], badge="flapping" if state == "down" else "",
        )
        for state in ("up", "degraded", "down", "unknown", "paused", "maintenance")
    ]  # fmt: skip
    columns = {"State": None, "Name": lambda row: row.name, "#Took": lambda row: row.latest}
    return {
        "looks": ["up", "degraded", "down", "unknown", "paused", "maintenance"],
        "line": days.Line(now - 29 * 86_400, tuple(marks)),
        "days": 29,
        "uptimes": [SimpleNamespace(words="24 hours", share=0.998, down=240.0)],
        "problems": [
            shapes.Problem(
                "down", "checkout is down", "/", "P0", now - 840, "the status is 503", "expect.status", badge="new",
                key="a1", acknowledge="/x",
            ),
            shapes.Problem("paused", "api is late", "/", "P2", now - 60, "muted for now", icon="mute", key="a2"),
        ],
        "rows": rows,
        "columns": Sorting(columns, "name").columns({"q": "api"}),
        "pages": Turn(2, 3, 100, "?page=1", "?page=3"),
        "points": {
            "from": int(now - 3600), "to": int(now), "unit": "s", "failed": [],
            "lines": [{"name": "berlin", "colour": 0, "points": [[now - 3000, 0.12], [now - 600, 0.2]], "failed": []}],
        },
        "steps": [
            shapes.Step(now - 840, "down", "Went down", "the status is 503", "by Mainstay"),
            shapes.Step(now, "up", "Recovered", note="was down for 14 min"),
        ],
        "changes": [
            SimpleNamespace(
                title="monitor api", note="changed", lines=[
                    SimpleNamespace(kind="", text="every: 1m"), SimpleNamespace(kind="del", text="- timeout: 5s"),
                    SimpleNamespace(kind="add", text="+ timeout: 9s"),
                ],
            )
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def html() -> str:
    request = RequestFactory().get("/components/")
    request.user, request.actor = User(email="ops@acme.example"), system("test")  # type: ignore[attr-defined]
    return Engine.get_default().from_string(PAGE.read_text()).render(RequestContext(request, shown()))


def test_every_component_is_on_the_page() -> None:
    drawn = re.findall(r"{% (?:draw|component) '(\w+)'|web/components/(\w+)\.html", PAGE.read_text())
    assert {name for pair in drawn for name in pair if name} == PARTIALS


@pytest.fixture(params=["light", "dark"])
def visit(request: pytest.FixtureRequest, browser: Any, site: Any) -> Iterator[Visit]:
    opened = Visit(browser, site.address, signed_in=False, color_scheme=request.param)
    yield opened
    opened.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_components_are_open_to_everybody(
    visit: Visit, html: str, width: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 900})
    page.route("**/components/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto("/components/")
    page.get_by_role("heading", name="Components").wait_for()
    page.evaluate(AXE)
    assert page.evaluate(VIOLATIONS) == []
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    name = re.sub(r"\W+", "-", request.node.name.partition("[")[2]).strip("-")
    page.screenshot(path=Path(os.environ.get("DOCS_PICTURES") or tmp_path) / f"components-{name}.png", full_page=True)
    assert visit.complaints == []
