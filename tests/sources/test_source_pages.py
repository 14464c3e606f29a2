"""Pages of sources and changes, the panel beside an alert, the API and the commands."""

from __future__ import annotations

import time

import pytest
from django.test import Client
from tests.rigs.accounts_browser import person, signed_in
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import declare
from tests.rigs.source_rig import ACTOR, Rig, rigged
from tests.sources.conftest import HOOK_KEY
from typer import Typer
from typer.testing import CliRunner

from mainstay.accounts.token_verbs import create_token
from mainstay.alerting.queries import alerts
from mainstay.sources import commands
from mainstay.sources.formats.reading import Change
from mainstay.sources.queries import changes, changes_near
from mainstay.sources.senders import lines_for
from mainstay.sources.spec import KINDS_OF_SOURCES
from mainstay.sources.verbs import prune, record_change

pytestmark = pytest.mark.usefixtures("store")

MAPPING = (
    'alert_sources: {shop: {json: {key: "${env:HOOK_KEY}", labels: {service: $.svc}, severity: {$.sev: {bad: P0}}}}}'
)


@pytest.fixture
def client() -> Client:
    person()
    return signed_in()


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_who_has_no_source_reads_what_to_put_where(client: Client) -> None:
    page = text(client, "/sources/")
    assert "Nothing sends alerts here yet" in page
    assert "alertmanagers:" in page
    assert "/v2/enqueue" in page


def test_the_page_of_a_source_shows_what_came_without_its_key(client: Client) -> None:
    declare("alert_source", "shop", {"json": {"key": "${env:HOOK_KEY}", "labels": {"service": "$.svc"}}})

    async def steps(rig: Rig) -> None:
        await rig.client.post("/in/shop", json={"svc": "pay", "token": HOOK_KEY}, headers={"x-key": HOOK_KEY})
        await rig.client.post("/in/shop", content=b"<not json>", headers={"x-key": HOOK_KEY})

    rigged(steps)
    assert "/sources/shop/" in text(client, "/sources/")
    page = text(client, "/sources/shop/")
    assert "&lt;not json&gt;" in page
    assert "1 alert" in page
    assert HOOK_KEY not in page


def test_a_source_whose_key_has_no_value_says_so(client: Client) -> None:
    declare("alert_source", "shop", {"json": {"key": "${env:NOT_SET_ANYWHERE}"}})
    assert "It opens to nobody" in text(client, "/sources/shop/")


def test_a_mapping_is_tried_and_nothing_is_written(client: Client) -> None:
    declare("alert_source", "shop", {"json": {"key": "${env:HOOK_KEY}", "labels": {"service": "$.svc"}}})

    def tried(mapping: str, body: str) -> str:
        return client.post("/sources/shop/", {"mapping": mapping, "body": body}).content.decode()

    page = tried(MAPPING, '{"svc": "pay", "sev": "bad"}')
    assert 'service="pay"' in page
    assert "P0" in page
    assert alerts() == []
    assert "not JSON" in tried(MAPPING, "{")
    assert "extra" in tried(MAPPING.replace("labels", "lables"), "{}").lower()
    assert "one alert source" in tried("monitors: {}", "{}")


@pytest.mark.parametrize("kind", sorted(KINDS_OF_SOURCES))
def test_every_kind_has_lines_for_its_sender(kind: str) -> None:
    lines = lines_for(kind, "shop", "https://mainstay.example.com")
    assert lines.where
    assert "mainstay.example.com" in lines.text


def change(summary: str, at: float, **labels: str) -> None:
    record_change(ACTOR, Change(summary, at, labels=labels))


def test_changes_near_an_alert_contradict_none_of_its_labels() -> None:
    now = time.time()
    change("shop 2", now - 600, service="shop")
    change("pay 7", now - 500, service="pay")
    change("new firewall", now - 400)
    change("shop 1", now - 900, service="shop", team="core")
    change("long ago", now - 90_000, service="shop")
    change("afterwards", now + 900, service="shop")
    found = [one.summary for one in changes_near({"service": "shop", "team": "core", "severity": "P1"}, now)]
    assert found == ["shop 1", "shop 2", "new firewall"]


def test_changes_are_kept_for_90_days(clock: FakeClock) -> None:
    record_change(ACTOR, Change("old", clock.now()), clock)
    clock.advance(89 * 86_400)
    prune(ACTOR, clock)
    assert len(changes()) == 1
    clock.advance(2 * 86_400)
    prune(ACTOR, clock)
    assert changes() == []


def test_an_alert_shows_the_changes_before_it(client: Client) -> None:
    declare("alert_source", "shop", {"json": {"key": "${env:HOOK_KEY}", "labels": {"service": "$.svc"}}})
    change("shop 1.4 is out", time.time() - 60, service="shop")
    change("pay 3 is out", time.time() - 60, service="pay")

    async def steps(rig: Rig) -> None:
        await rig.client.post("/in/shop", json={"svc": "shop"}, headers={"x-key": HOOK_KEY})

    rigged(steps)
    (alert,) = alerts()
    page = text(client, f"/alerts/{alert.id}/")
    assert "shop 1.4 is out" in page
    assert "pay 3 is out" not in page
    assert "pay 3 is out" in text(client, "/changes/")
    assert "pay 3 is out" not in text(client, "/changes/?q=shop")


def test_changes_over_the_api() -> None:
    token = create_token(ACTOR, "ci", ["alerts:send"])
    reader = create_token(ACTOR, "reader", ["alerts:read"])
    client = Client(headers={"host": "localhost"})

    def post(sent: object, used: str) -> int:
        headers = {"authorization": f"Bearer {used}"}
        return client.post("/api/v1/changes", sent, content_type="application/json", headers=headers).status_code

    assert post({"summary": "shop 1.4", "labels": {"service": "shop"}}, token) == 201
    assert post({"summary": "shop 1.4"}, reader) == 403
    assert post({"summary": ""}, token) == 422
    assert post({"summary": "x", "labels": {"not a name": "y"}}, token) == 422
    listed = client.get("/api/v1/changes", headers={"authorization": f"Bearer {reader}"}).json()
    assert [(one["summary"], one["labels"]) for one in listed] == [("shop 1.4", {"service": "shop"})]
    assert client.get("/api/v1/sources", headers={"authorization": f"Bearer {reader}"}).json() == []


def test_commands_list_sources_and_record_changes() -> None:
    declare("alert_source", "shop", {"json": {"key": "${env:HOOK_KEY}", "labels": {"service": "$.svc"}}})
    run = CliRunner()
    made = run.invoke(
        commands.changes, ["add", "shop 1.4 is out", "--label", "service=shop", "--link", "https://x.example"]
    )
    assert made.exit_code == 0
    assert [(one.summary, one.labels) for one in changes()] == [("shop 1.4 is out", {"service": "shop"})]
    assert "service=shop" in run.invoke(commands.changes, []).stdout
    for wrong in (["add", "x", "--label", "service"], ["add", "x", "--what", "party"]):
        assert run.invoke(commands.changes, wrong).exit_code != 0
    listing = Typer()
    listing.command()(commands.sources)
    assert "shop" in run.invoke(listing, []).stdout
