"""Alertmanager's API: the whole way of an alert, and the same answers as Debian's Alertmanager gives."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.rigs.check_servers import free_port
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import declare
from tests.rigs.source_rig import ACTOR, Rig, rigged

from mainstay.accounts.token_verbs import create_token
from mainstay.alerting.advancing import advance_due
from mainstay.alerting.queries import alerts
from mainstay.sources.models import BodyRow
from mainstay.sources.verbs import wait_again
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import remove

pytestmark = pytest.mark.usefixtures("store")

JSON = {"content-type": "application/json"}


def alert(name: str = "A", **more: Any) -> dict[str, Any]:
    return {"labels": {"alertname": name, "severity": "critical"}, "annotations": {"summary": f"{name} is bad"}, **more}


def post(rig: Rig, *alerts: Any) -> Any:
    return rig.client.post("/api/v2/alerts", json=list(alerts))


def seen() -> list[tuple[str, str, str]]:
    return [(one.title, one.severity, one.status) for one in alerts()]


@pytest.fixture
def source() -> None:
    declare("alert_source", "prometheus", {"alertmanager": {}})


@pytest.mark.usefixtures("source")
def test_an_alert_opens_and_ends_as_its_sender_says(clock: FakeClock) -> None:
    async def steps(rig: Rig) -> None:
        assert (await post(rig, alert())).status_code == 200
        assert await rig.read(seen) == [("A is bad", "P1", "firing")]
        (found,) = await rig.read(alerts)
        assert found.labels == {"alertname": "A", "severity": "critical"}
        await post(rig, alert(endsAt="2020-01-01T00:00:00Z", startsAt="2019-01-01T00:00:00Z"))
        assert await rig.read(seen) == [("A is bad", "P1", "resolved")]

    rigged(steps, clock)


@pytest.mark.usefixtures("source")
def test_what_is_not_repeated_is_over_after_five_minutes(clock: FakeClock) -> None:
    async def steps(rig: Rig) -> None:
        await post(rig, alert())
        clock.advance(200)
        await post(rig, alert())
        clock.advance(299)
        assert await rig.end_silent() == 0
        clock.advance(2)
        assert await rig.end_silent() == 1
        (found,) = await rig.read(alerts)
        assert (found.status, found.resolved_reason) == ("resolved", "its source said nothing more of it")
        await post(rig, alert())
        assert [one[2] for one in await rig.read(seen)] == ["firing", "resolved"]

    rigged(steps, clock)


@pytest.mark.usefixtures("source")
def test_after_a_start_senders_get_time_to_repeat_themselves(clock: FakeClock) -> None:
    async def steps(rig: Rig) -> None:
        await post(rig, alert())
        clock.advance(4000)
        await rig.read(lambda: wait_again(ACTOR, float("-inf"), clock))
        assert await rig.end_silent() == 0
        clock.advance(301)
        assert await rig.end_silent() == 1

    rigged(steps, clock)


@pytest.mark.usefixtures("source")
def test_repeats_write_no_event() -> None:
    def told() -> int:
        return len(list(entries(Filter(), limit=0)))

    async def steps(rig: Rig) -> None:
        await post(rig, alert("A"), alert("B"))
        before = await rig.read(told)
        for _ in range(3):
            await post(rig, alert("A"), alert("B", annotations={"summary": "another value"}))
        assert await rig.read(told) == before
        listed = (await rig.client.get("/api/v2/alerts?filter=alertname=B")).json()
        assert listed[0]["annotations"] == {"summary": "another value"}

    rigged(steps)


@pytest.mark.usefixtures("source")
def test_a_deleted_source_takes_its_alerts_with_it() -> None:
    async def steps(rig: Rig) -> None:
        await post(rig, alert())

    rigged(steps)
    remove(ACTOR, "alert_source", "prometheus", manager="api")
    advance_due(ACTOR)
    assert [one.status for one in alerts()] == ["resolved"]


@pytest.mark.usefixtures("source")
def test_what_came_is_kept_for_the_page() -> None:
    async def steps(rig: Rig) -> None:
        for number in range(25):
            await post(rig, alert(f"A{number}"))
        await rig.client.post("/api/v2/alerts", content=b"{", headers=JSON)

        def kept() -> list[tuple[str, bool]]:
            return list(BodyRow.objects.order_by("-id").values_list("outcome", "refused"))

        found = await rig.read(kept)
        assert len(found) == 20
        assert found[0][1]
        assert found[1] == ("1 alert", False)

    rigged(steps)


def test_without_a_source_nothing_is_taken() -> None:
    async def steps(rig: Rig) -> None:
        assert (await post(rig, alert())).status_code == 404

    rigged(steps)


@pytest.mark.usefixtures("source")
def test_elsewhere_a_token_is_needed() -> None:
    text = create_token(ACTOR, "prometheus", ["alerts:send"])

    async def steps(rig: Rig) -> None:
        assert (await post(rig, alert())).status_code == 401
        assert (await rig.client.get("/api/v2/alerts")).status_code == 401
        for auth in ({"headers": {"authorization": f"Bearer {text}"}}, {"auth": ("any", text)}):
            sent = await rig.client.post("/api/v2/alerts", json=[alert()], **auth)
            assert sent.status_code == 200
            assert (await rig.client.get("/api/v2/alerts", **auth)).status_code == 403

    rigged(steps, address="192.0.2.7")


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(
    "headers",
    [{"x-forwarded-for": "192.0.2.7"}, {"via": "1.1 proxy"}, {"host": "mainstay.example.com"}, {"x-real-ip": "::1"}],
)
def test_a_proxy_on_this_machine_is_not_this_machine(headers: dict[str, str]) -> None:
    async def steps(rig: Rig) -> None:
        sent = await rig.client.post("/api/v2/alerts", json=[alert()], headers=headers)
        assert sent.status_code == 401

    rigged(steps)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's Alertmanager."""
    folder, port = tmp_path_factory.mktemp("alertmanager"), free_port()
    config = Path(folder, "config.yml")
    config.write_text("route: {receiver: default, group_by: [alertname, job]}\nreceivers: [{name: default}]\n")
    flags = (f"--config.file={config}", f"--storage.path={folder}", "--cluster.listen-address=")
    process = subprocess.Popen(
        ["prometheus-alertmanager", *flags, f"--web.listen-address=127.0.0.1:{port}"],
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if httpx.get(f"{address}/-/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(10)


FUTURE = "2040-01-01T00:00:00.000Z"
SINCE = "2026-01-01T00:00:00.000Z"
BODIES: list[Any] = [
    [alert("A", startsAt=SINCE, endsAt=FUTURE, generatorURL="http://prometheus.example/graph")],
    [{"labels": {"alertname": "B", "empty": "", "job": "x"}, "startsAt": SINCE, "endsAt": FUTURE}],
    [{"labels": {}}, {"labels": {"alertname": "kept"}, "startsAt": SINCE, "endsAt": FUTURE}],
    [{"labels": {}}, {"labels": {}}],
    [alert("late", startsAt="2026-02-01T00:00:00Z", endsAt=SINCE)],
    [alert("over", startsAt=SINCE, endsAt="2026-01-02T00:00:00Z")],
    [{"labels": {"alertname": 5}}],
    [{"labels": {"alertname": "A"}, "annotations": {"a": ["b"]}}],
    [{"annotations": {"alertname": "5"}}],
    [{"labels": {"alertname": "5"}, "generatorURL": "not a url"}],
    [{"labels": {"alertname": "zero"}, "startsAt": SINCE, "endsAt": "0001-01-01T00:00:00Z", "unknown": [1]}],
    {"labels": {}},
    None,
    [],
]
RAW: list[tuple[str, bytes, str]] = [
    ("POST", b"{", "application/json"),
    ("POST", b"", "application/json"),
    ("POST", b"[]", "text/plain"),
    ("POST", b"[]", ""),
    ("PUT", b"[]", "application/json"),
]
QUERIES = [
    "alerts",
    "alerts?filter=alertname%3D%22A%22",
    "alerts?filter=alertname%3D~%22A%7CB%22&filter=job%3D%22x%22",
    "alerts?filter=job%21%3D%22x%22",
    "alerts?filter=%3D%3D",
    "alerts?filter=a%3D~%22(%22",
    "alerts?active=false",
    "alerts?active=maybe",
    "alerts?active=",
    "alerts?silenced=false&inhibited=false",
    "alerts?receiver=def.*",
    "alerts?receiver=def",
    "alerts?receiver=(",
    "alerts/groups",
    "alerts/groups?filter=alertname%3DA",
    "receivers",
    "alerts/nothing",
]


def _comparable(answer: httpx.Response) -> Any:
    """Status and body without what differs between two moments: our guesses of ends, and newer fields."""
    volatile = {"updatedAt"}

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            guessed = value.get("labels", {}).get("alertname") == "zero" if "fingerprint" in value else False
            dropped = volatile | ({"endsAt"} if guessed else set())
            return {key: cleaned(inner) for key, inner in value.items() if key not in dropped and key != "mutedBy"}
        return [cleaned(inner) for inner in value] if isinstance(value, list) else value

    if answer.status_code == 405:  # the original names the other methods in any order
        return 405, None
    body = cleaned(json.loads(answer.content)) if answer.content.strip() else None
    return answer.status_code, body


@pytest.mark.usefixtures("source")
def test_answers_are_those_of_alertmanager(original: str) -> None:
    declare("channel", "default", {"webhook": {"url": "https://hooks.example.com"}})
    declare("route", "all", {"to": ["default"], "group_by": ["alertname", "job"]})

    async def steps(rig: Rig) -> None:
        different = {}
        async with httpx.AsyncClient(base_url=original) as other:

            async def both(method: str, path: str, **sent: Any) -> None:
                ours = await rig.client.request(method, path, **sent)
                theirs = await other.request(method, path, **sent)
                if _comparable(ours) != _comparable(theirs):
                    different[f"{method} {path} {str(sent)[:200]}"] = (ours.text, theirs.text)

            for body in BODIES:
                await both("POST", "/api/v2/alerts", content=json.dumps(body), headers=JSON)
            for method, raw, media in RAW:
                await both(method, "/api/v2/alerts", content=raw, headers={"content-type": media} if media else {})
            for query in QUERIES:
                await both("GET", f"/api/v2/{query}")
        assert different == {}

    rigged(steps)
