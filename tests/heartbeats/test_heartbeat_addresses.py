"""Addresses of heartbeats are permissions: who sees them, what is told, and how they move to another install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from tests.rigs.accounts_browser import TEST, person, signed_in

from mainstay.accounts import queries, token_verbs
from mainstay.accounts.spec import role_scopes
from mainstay.heartbeats.models import HeartbeatRow
from mainstay.kernel.actor import Actor
from mainstay.store import disclosures
from mainstay.store.journal import Filter, entries
from mainstay.store.resources import queries as resources
from mainstay.store.resources.apply import apply, declare, remove
from mainstay.store.resources.files import read_body
from mainstay.store.resources.plan import Plan
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.store.resources.showing import export_file
from mainstay.store.resources.text import plan_lines
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results

pytestmark = pytest.mark.usefixtures("store")

OURS, BEFORE = str(uuid4()), str(uuid4())
TOKEN = "push-token-0815"
READER = Actor("user", "reader@example.com", role_scopes("developer"))


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path) -> Iterator[None]:
    cache.clear()
    queries.forget_tokens()
    disclosures._told.clear()
    telemetry = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(telemetry)
    yield
    set_current(None)
    telemetry.close()


@pytest.fixture
def jobs() -> None:
    """One with a declared address that had another one before, one with an address that was made for it."""
    declare(TEST, "heartbeat", "moved", {"every": "1h", "uuid": BEFORE, "push_token": TOKEN}, manager="page")
    declare(TEST, "heartbeat", "moved", {"every": "1h", "uuid": OURS, "push_token": TOKEN}, manager="page")
    declare(TEST, "heartbeat", "nightly", {"every": "1d", "push_token": "${env:NIGHTLY_TOKEN}"}, manager="page")


def _address(name: str) -> str:
    return HeartbeatRow.objects.get(uid=resources.resource("heartbeat", name).uid).ping_uuid


DOORS = [
    "/resources/",
    "/resources/?q=moved",
    "/resources/heartbeat/moved/",
    "/resources/heartbeat/nightly/",
    "/resources/export",
    "/resources/export?kind=heartbeat",
    "/revisions/",
    "/revisions/1/",
    "/revisions/2/",
    "/heartbeats/",
    "/heartbeats/moved/",
    "/journal/",
]
OPERATIONS = [
    "/api/v1/resources",
    "/api/v1/resources/heartbeat/moved",
    "/api/v1/resources/heartbeat/moved/history",
    "/api/v1/export",
    "/api/v1/revisions",
    "/api/v1/revisions/1",
    "/api/v1/revisions/2",
    "/api/v1/heartbeats",
    "/api/v1/heartbeats/moved",
]


def _token(role: str, *scopes: str) -> dict[str, str]:
    person(f"{role}@example.com", role)
    owner = Actor("user", f"{role}@example.com", role_scopes(role) | {"tokens:write"})
    return {"authorization": f"Bearer {token_verbs.create_token(owner, 'reader', scopes)}"}


@pytest.mark.usefixtures("jobs")
def test_who_may_only_read_sees_no_address_at_any_door() -> None:
    hidden = (OURS, BEFORE, TOKEN, _address("nightly"))
    headers = _token("developer", "resources:read", "monitors:read")
    browser, program = signed_in("developer@example.com"), Client(headers={"host": "localhost"})
    for path in [*DOORS, *OPERATIONS]:
        answer = program.get(path, headers=headers) if path.startswith("/api/") else browser.get(path)
        assert answer.status_code in (200, 403), path
        text = answer.content.decode()
        assert not [one for one in hidden if one in text], path
    assert "***" in browser.get("/resources/heartbeat/moved/").content.decode()
    # That it changed is still seen, and a reference is none of this.
    change = program.get("/api/v1/revisions/2", headers=headers).json()["changes"][0]["fields"]
    assert [one["path"] for one in change] == ["uuid"]
    assert change[0]["before"] != change[0]["after"]
    assert "${env:NIGHTLY_TOKEN}" in program.get("/api/v1/export", headers=headers).content.decode()
    assert not list(entries(Filter(kind="heartbeat.address*")))


@pytest.mark.usefixtures("jobs")
def test_who_writes_but_may_not_report_in_sees_none_in_the_editor_and_the_plan() -> None:
    declare(TEST, "role", "writer", {"scopes": ["resources:read", "resources:write"], "second_factor": "optional"},
            manager="page")  # fmt: skip
    person("writer@example.com", "writer")
    browser = signed_in("writer@example.com")
    text = "heartbeats:\n  moved: {every: 2h}\n"
    for page in (
        browser.get("/resources/heartbeat/moved/edit"),
        browser.post("/resources/plan", {"text": text}),
        browser.get("/revisions/1/rollback"),
    ):
        assert page.status_code == 200
        assert not [one for one in (OURS, BEFORE, TOKEN) if one in page.content.decode()]


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/resources/heartbeat/moved/", "heartbeat.address_shown"),
        ("/resources/heartbeat/moved/edit", "heartbeat.address_shown"),
        ("/revisions/1/", "heartbeat.address_shown"),
        ("/resources/export", "heartbeat.addresses_shown"),
    ],
)
def test_a_look_by_somebody_who_may_is_told_once_a_day(path: str, kind: str) -> None:
    person("first@example.com", "admin")
    browser = signed_in()
    for _ in range(2):
        page = browser.get(path).content.decode()
        assert BEFORE in page or OURS in page
    assert [(entry.kind, entry.actor) for entry in entries(Filter(kind="heartbeat.address*"))] == [
        (kind, "user:first@example.com")
    ]


@pytest.mark.usefixtures("jobs")
def test_a_program_that_may_report_in_reads_them_and_it_is_told() -> None:
    headers = _token("operations", "resources:read", "monitors:check")
    found = Client(headers={"host": "localhost"}).get("/api/v1/resources/heartbeat/moved", headers=headers).json()
    assert found["document"] == {"every": "1h", "uuid": OURS, "push_token": TOKEN}
    assert [entry.subject for entry in entries(Filter(kind="heartbeat.address*"))] == ["heartbeat/moved"]


# Moving


def _plan(text: str) -> Plan:
    return plan_reading(TEST, read_body(text.encode()), Terms("command"))


@pytest.mark.usefixtures("jobs")
def test_an_export_takes_every_address_along() -> None:
    before = {name: _address(name) for name in ("moved", "nightly")}
    text = export_file(TEST, resources.resources())
    assert text.startswith("# KEEP THIS LIKE A PASSWORD: it holds the addresses of 2 heartbeats.")
    assert _plan(text).is_empty, "where it comes from, it is no difference"
    for name in before:
        remove(TEST, "heartbeat", name, manager="page")
    apply(TEST, _plan(text))
    assert {name: _address(name) for name in before} == before


@pytest.mark.usefixtures("jobs")
def test_a_plan_shows_that_an_address_differs_and_what_it_costs() -> None:
    text = export_file(TEST, resources.resources())
    there = _address("nightly")
    remove(TEST, "heartbeat", "nightly", manager="page")
    declare(TEST, "heartbeat", "nightly", {"every": "1d", "push_token": "${env:NIGHTLY_TOKEN}"}, manager="page")
    here = _address("nightly")
    plan = _plan(text)
    assert [(one.name, [field.path for field in one.fields]) for one in plan.differences] == [("nightly", ["uuid"])]
    assert there in "\n".join(line for _, line in plan_lines(plan))
    assert "whatever uses the current one stops working" in str([str(one) for one in plan.warnings])
    apply(TEST, plan)
    assert _address("nightly") == there != here
    assert _plan(text).is_empty


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(("actor", "asked"), [(READER, {}), (TEST, {"addresses": False})])
def test_an_export_without_addresses_says_so(actor: Actor, asked: dict[str, Any]) -> None:
    text = export_file(actor, resources.resources(), **asked)
    assert text.startswith("# WITHOUT the addresses of 2 heartbeats")
    assert not [one for one in (OURS, TOKEN, _address("nightly")) if one in text]
    for name in ("moved", "nightly"):
        remove(TEST, "heartbeat", name, manager="page")
    apply(TEST, _plan(text))
    assert _address("moved") != OURS


def test_an_export_without_heartbeats_says_nothing_about_them() -> None:
    declare(TEST, "monitor", "api", {"http": "https://example.com/"}, manager="page")
    assert export_file(TEST, resources.resources()).startswith("monitors:")
