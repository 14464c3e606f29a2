"""Gatus: external endpoints, statuses and badges, as its api/*.go answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.rigs import seeding
from tests.rigs.compat_rig import Rig, rigged
from tests.rigs.pinging import ACTOR, heartbeat

from mainstay.accounts.verbs import create_token
from mainstay.heartbeats import queries
from mainstay.heartbeats.directory import endpoint_key
from mainstay.store.resources.apply import declare
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results

pytestmark = pytest.mark.usefixtures("store")


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


def _label(svg: str) -> str:
    return ET.fromstring(svg).get("aria-label", "")


@pytest.mark.parametrize(
    ("group", "name", "key"),
    [
        ("core", "ext-ep-test", "core_ext-ep-test"),
        ("", "name", "_name"),
        ("A/b_c.d,e f", "Name", "a-b-c-d-e-f_name"),
        ("R&D #1", "C++", "r-d--1_c--"),
        (" Grün", "ΠΥΡΓΟΣ İ", "grün_πυργοσ-i"),
    ],
)
def test_keys_are_made_as_gatus_makes_them(group: str, name: str, key: str) -> None:
    assert endpoint_key(group, name) == key


def test_results_of_external_endpoints_are_pings(clock: object) -> None:
    view = heartbeat("ext-ep", labels={"group": "core"}, push_token="potato-potato")
    token = create_token(ACTOR, "gatus", ["monitors:check"])
    reader = create_token(ACTOR, "reader", ["monitors:read"])
    here = {"scopes": ["monitors:check"], "from": ["127.0.0.0/8"]}
    declare(ACTOR, "service_account", "pusher", here, manager="api")
    declare(ACTOR, "service_account", "elsewhere", here | {"from": ["192.0.2.0/24"]}, manager="api")
    bound = {name: create_token(ACTOR, name, [], service=name) for name in ("pusher", "elsewhere")}
    address = "/api/v1/endpoints/core_ext-ep/external"

    async def test(rig: Rig) -> None:
        async def push(query: str, bearer: str = "potato-potato", **more: Any) -> tuple[int, str]:
            answer = await rig.client.post(f"{address}{query}", headers={"authorization": f"Bearer {bearer}"}, **more)
            return answer.status_code, answer.text

        assert await push("?success=true&duration=10s") == (200, "")
        assert await push("?success=false&error=timeout%20of%20it&duration=1m2.5s") == (200, "")
        assert await push("?success=false", json={"error": "said in the body"}) == (200, "")
        assert await push("?success=true&error=ignored", bearer=token) == (200, "")
        assert await push("?success=true&error=ignored", bearer=bound["pusher"]) == (200, "")
        assert await push("?success=true", bearer=bound["elsewhere"]) == (401, "invalid token")
        assert await push("?success=true", bearer=reader) == (401, "invalid token")
        assert await push("?success=true", bearer="wrong") == (401, "invalid token")
        assert await push("?success=true", bearer=" ") == (401, "bearer token must not be empty")
        missing = await rig.client.post(f"{address}?success=true")
        assert (missing.status_code, missing.text) == (401, "invalid Authorization header")
        for query in ("", "?success=yes", "?success="):
            assert await push(query) == (400, "missing or invalid success query parameter")
        assert (await push("?success=true&duration=10"))[0] == 400
        assert (await push("?success=true&duration=-5s"))[0] == 400
        assert (await push("?success=false", content=b"x" * 70_000))[0] == 413
        assert (await push("?success=false", content=b"{"))[0] == 200
        unknown = await rig.client.post(
            "/api/v1/endpoints/core_other/external?success=true", headers={"authorization": "Bearer x"}
        )
        assert (unknown.status_code, unknown.text) == (404, "not found")

    rigged(clock, test)
    kept = [
        (ping.kind, ping.duration, queries.ping(view.uid, ping.n).body) for ping in reversed(queries.pings(view.uid))
    ]
    assert kept == [
        ("success", 10.0, None),
        ("fail", 62.5, b"timeout of it"),
        ("fail", None, b"said in the body"),
        ("success", None, None),
        ("success", None, None),
        ("fail", None, None),
    ]


def test_statuses_tell_results_and_events_to_those_who_may_read(company: Results, clock: object) -> None:
    token = create_token(ACTOR, "reader", ["monitors:read"])
    authorization = {"authorization": f"Bearer {token}"}

    async def test(rig: Rig) -> None:
        assert (await rig.client.get("/api/v1/endpoints/statuses")).status_code == 401
        assert (await rig.client.get("/api/v1/suites/statuses")).status_code == 401
        assert (await rig.client.get("/api/v1/suites/statuses", headers=authorization)).json() == []
        every = (await rig.client.get("/api/v1/endpoints/statuses?pageSize=5", headers=authorization)).json()
        monitors = [one for one in every if one["results"] and "hostname" in one["results"][0]]
        assert monitors
        for one in monitors:
            assert len(one["results"]) <= 5
            times = [result["timestamp"] for result in one["results"]]
            assert times == sorted(times)
            assert {"duration", "success", "timestamp", "conditionResults"} <= set(one["results"][0])
            assert one["results"][0]["duration"] > 1000  # nanoseconds
        key = monitors[0]["key"]
        one = (await rig.client.get(f"/api/v1/endpoints/{key}/statuses", headers=authorization)).json()
        assert one["key"] == key
        assert len(one["results"]) <= 20
        assert {event["type"] for event in one["events"]} <= {"HEALTHY", "UNHEALTHY"}
        older = await rig.client.get(f"/api/v1/endpoints/{key}/statuses?page=2&pageSize=3", headers=authorization)
        assert older.json()["results"][-1]["timestamp"] < one["results"][-1]["timestamp"]
        assert (await rig.client.get(f"/api/v1/endpoints/{key}/statuses")).status_code == 401
        missing = await rig.client.get("/api/v1/endpoints/_nothing/statuses", headers=authorization)
        assert missing.status_code == 404

    rigged(clock, test)


def test_badges_are_open_for_what_stands_on_a_public_page_only(company: Results, clock: object) -> None:
    declare(ACTOR, "monitor", "private", {"tcp": "127.0.0.1:1"}, manager="api")
    declare(ACTOR, "monitor", "shown", {"tcp": "127.0.0.1:1", "labels": {"group": "Open"}}, manager="api")
    page = {"title": "Open", "components": [{"name": "Shown", "monitors": ["shown"]}]}
    declare(ACTOR, "status_page", "open", page, manager="api")
    token = create_token(ACTOR, "reader", ["monitors:read"])

    async def test(rig: Rig) -> None:
        base = "/api/v1/endpoints/open_shown"
        badge = await rig.client.get(f"{base}/health/badge.svg")
        assert badge.status_code == 200
        assert badge.headers["cross-origin-resource-policy"] == "cross-origin"
        assert _label(badge.text) == "health: ?"
        shields = (await rig.client.get(f"{base}/health/badge.shields")).json()
        assert shields == {"schemaVersion": 1, "label": "gatus", "message": "?", "color": "yellow"}
        assert _label((await rig.client.get(f"{base}/uptimes/7d/badge.svg")).text) == "uptime 7d: ?"
        assert _label((await rig.client.get(f"{base}/response-times/24h/badge.svg")).text) == "response time 24h: ?"
        refused = await rig.client.get(f"{base}/uptimes/2d/badge.svg")
        assert (refused.status_code, refused.text) == (400, "Durations supported: 30d, 7d, 24h, 1h")
        hidden = "/api/v1/endpoints/_private/health/badge.svg"
        assert (await rig.client.get(hidden)).status_code == 404
        assert (await rig.client.get(hidden, headers={"authorization": f"Bearer {token}"})).status_code == 200

    rigged(clock, test)


def test_external_endpoints_have_uptimes_and_response_times_too(company: Results, clock: object) -> None:
    heartbeat("ext", labels={"group": "core"}, push_token="potato-potato")
    token = create_token(ACTOR, "reader", ["monitors:read"])

    async def test(rig: Rig) -> None:
        base, sender = "/api/v1/endpoints/core_ext", {"authorization": "Bearer potato-potato"}
        for success in ("true", "true", "true", "false"):
            query = f"success={success}&duration=250ms"
            pushed = await rig.client.post(f"{base}/external?{query}", headers=sender)
            assert pushed.status_code == 200
        rig.client.headers["authorization"] = f"Bearer {token}"
        assert (await rig.client.get(f"{base}/uptimes/24h")).text == "0.750000"
        assert (await rig.client.get(f"{base}/response-times/24h")).text == "250"
        assert _label((await rig.client.get(f"{base}/uptimes/24h/badge.svg")).text) == "uptime 24h: 75%"

    rigged(clock, test)


def test_badges_tell_uptime_and_response_time(company: Results, clock: object) -> None:
    token = create_token(ACTOR, "reader", ["monitors:read"])

    async def test(rig: Rig) -> None:
        rig.client.headers["authorization"] = f"Bearer {token}"
        every = (await rig.client.get("/api/v1/endpoints/statuses")).json()
        good = next(one for one in every if one["results"] and one["results"][-1].get("status") == 200)
        base = f"/api/v1/endpoints/{good['key']}"
        assert _label((await rig.client.get(f"{base}/health/badge.svg")).text) in ("health: up", "health: down")
        assert 0 < float((await rig.client.get(f"{base}/uptimes/24h")).text) <= 1
        assert _label((await rig.client.get(f"{base}/uptimes/24h/badge.svg")).text).endswith("%")
        assert int((await rig.client.get(f"{base}/response-times/1h")).text) > 0
        assert _label((await rig.client.get(f"{base}/response-times/1h/badge.svg")).text).endswith("ms")
        past = (await rig.client.get(f"{base}/response-times/1h/history")).json()
        assert len(past["timestamps"]) == len(past["values"]) > 0
        assert past["timestamps"][0] > 1_600_000_000_000
        chart = await rig.client.get(f"{base}/response-times/1h/chart.svg")
        assert chart.headers["content-type"] == "image/svg+xml"
        assert _label(chart.text) == f"Response time in milliseconds, {min(past['values'])} to {max(past['values'])}"
        line = ET.fromstring(chart.text).find("{http://www.w3.org/2000/svg}polyline")
        assert line is not None
        points = [[float(part) for part in point.split(",")] for point in line.get("points", "").split()]
        assert len(points) == len(past["values"])
        assert all(80 <= x <= 1250 and 20 <= y <= 260 for x, y in points)

    rigged(clock, test)


def test_the_page_is_told_whether_it_may_read(company: Results, clock: object) -> None:
    token = create_token(ACTOR, "reader", ["monitors:read"])

    async def test(rig: Rig) -> None:
        told = {"oidc": False, "authenticated": False, "announcements": []}
        assert (await rig.client.get("/api/v1/config")).json() == told
        rig.client.headers["authorization"] = f"Bearer {token}"
        assert (await rig.client.get("/api/v1/config")).json() == told | {"authenticated": True}

    rigged(clock, test)


def test_a_key_of_any_letters_stands_in_an_address(company: Results, clock: object) -> None:
    declare(ACTOR, "monitor", "Größe", {"tcp": "127.0.0.1:1", "labels": {"group": "Ägypten"}}, manager="api")
    token = create_token(ACTOR, "reader", ["monitors:read"])

    async def test(rig: Rig) -> None:
        rig.client.headers["authorization"] = f"Bearer {token}"
        base = "/api/v1/endpoints/ägypten_größe"
        assert (await rig.client.get(f"{base}/statuses")).json()["name"] == "Größe"
        empty = await rig.client.get(f"{base}/response-times/24h/chart.svg")
        assert (empty.status_code, empty.text) == (204, "")

    rigged(clock, test)
