"""Webhooks at /in/<source>: each format as its sender writes it, and any JSON by its paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.rigs.receivers import declare
from tests.rigs.source_rig import Rig, rigged
from tests.sources.conftest import HOOK_KEY

from mainstay.alerting.queries import Alert, alerts
from mainstay.sources.queries import changes

pytestmark = pytest.mark.usefixtures("store")
KEY = {"x-key": HOOK_KEY}


def source(kind: str, **more: Any) -> None:
    declare("alert_source", "hook", {kind: {"key": "${env:HOOK_KEY}", **more}})


async def send(rig: Rig, body: Any, status: int = 202, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await rig.client.post("/in/hook", content=json.dumps(body), headers={**KEY, **names})
    assert answer.status_code == status, answer.text
    return answer.json()


async def only(rig: Rig) -> Alert:
    (found,) = await rig.read(alerts)
    assert isinstance(found, Alert)
    return found


def grafana(status: str, ends: str = "0001-01-01T00:00:00Z") -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": "High CPU", "instance": "db1", "severity": "warning"},
        "annotations": {"summary": "CPU of db1"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": ends,
        "generatorURL": "https://grafana.example/alerting/1",
        "fingerprint": "57c6d9296de2ad39",
        "panelURL": "https://grafana.example/d/1?viewPanel=2",
        "values": {"B": 93.5},
    }
    return {"receiver": "mainstay", "status": status, "orgId": 1, "alerts": [alert], "version": "1"}


def test_grafana() -> None:
    source("grafana")

    async def steps(rig: Rig) -> None:
        await send(rig, grafana("firing"))
        found = await only(rig)
        assert (found.title, found.severity, found.status) == ("CPU of db1", "P2", "firing")
        assert found.labels["severity"] == "warning"
        assert found.evidence["panelURL"] == "https://grafana.example/d/1?viewPanel=2"
        await send(rig, grafana("firing"))
        await send(rig, grafana("resolved", "2026-01-01T00:10:00Z"))
        assert (await only(rig)).status == "resolved"

    rigged(steps)


@pytest.mark.parametrize(
    ("kind", "down", "up", "title"),
    [
        (
            "healthchecks",
            {"name": "backup", "slug": "backup", "tags": "prod db", "status": "down", "unique_key": "ab12"},
            {"name": "backup", "slug": "backup", "tags": "prod db", "status": "up", "unique_key": "ab12"},
            "backup is down",
        ),
        (
            "kuma",
            {
                "heartbeat": {"monitorID": 4, "status": 0, "msg": "timeout", "ping": None},
                "monitor": {"id": 4, "name": "shop", "url": "https://shop.example", "type": "http", "tags": []},
                "msg": "[shop] [Down] timeout",
            },
            {"heartbeat": {"monitorID": 4, "status": 1}, "monitor": {"id": 4, "name": "shop"}, "msg": "[shop] [Up]"},
            "shop is down",
        ),
        (
            "gatus",
            {"name": "api", "group": "core", "status": "TRIGGERED", "errors": "status 500"},
            {"name": "api", "group": "core", "status": "RESOLVED"},
            "api is down",
        ),
    ],
)
def test_other_monitoring(kind: str, down: Any, up: Any, title: str) -> None:
    source(kind, severity={"down": "P0"}, default_severity="P1", labels={"from": kind})

    async def steps(rig: Rig) -> None:
        await send(rig, up)
        assert await rig.read(alerts) == []
        await send(rig, down)
        found = await only(rig)
        assert (found.title, found.severity, found.labels["from"]) == (title, "P1", kind)
        await send(rig, up)
        assert (await only(rig)).status == "resolved"

    rigged(steps)


def test_any_json() -> None:
    source("json", each="$.items", labels={"service": "$.svc", "shop": "west"}, severity={"$.sev": {"fatal": "P0"}},
           ends="$.ok", title="$.text")  # fmt: skip

    async def steps(rig: Rig) -> None:
        item = {"svc": "pay", "sev": "fatal", "text": "no payments", "ok": False}
        assert await send(rig, {"items": [item]}) == {"alerts": 1, "changes": 0}
        found = await only(rig)
        assert (found.title, found.severity) == ("no payments", "P0")
        assert found.labels == {"service": "pay", "shop": "west", "severity": "P0"}
        await send(rig, {"items": [{**item, "ok": True}]})
        assert (await only(rig)).status == "resolved"
        assert "nothing at $.items" in (await send(rig, {}, 400))["error"]

    rigged(steps)


def test_a_part_that_cannot_be_read_is_told_and_the_rest_is_taken() -> None:
    source("json", labels={"service": "$.svc"})

    async def steps(rig: Rig) -> None:
        told = await send(rig, [{"svc": "a"}, {"other": 1}, {"svc": ["x"]}], 400)
        assert told["alerts"] == 1
        assert (await only(rig)).labels["service"] == "a"

    rigged(steps)


def test_cloudevents() -> None:
    source("cloudevents")
    event = {
        "specversion": "1.0", "id": "1", "source": "/disks", "type": "example.disk.full", "subject": "sda",
        "data": {"severity": "critical", "message": "98 %"},
    }  # fmt: skip
    one, many = "application/cloudevents+json", "application/cloudevents-batch+json"

    async def steps(rig: Rig) -> None:
        await send(rig, event, content_type=one)
        found = await only(rig)
        assert (found.severity, found.message, found.labels["subject"]) == ("P1", "98 %", "sda")
        await send(rig, [event, {**event, "type": "example.disk.resolved"}], content_type=many)
        assert (await only(rig)).status == "resolved"
        headers = {"ce_specversion": "1.0", "ce_id": "2", "ce_source": "/disks", "ce_type": "example.disk.full"}
        await send(rig, {"status": "bad"}, content_type="application/json", **headers)
        assert len(await rig.read(alerts)) == 2
        deploy = {**event, "type": "dev.cdevents.service.deployed.0.1.0", "subject": "shop"}
        await send(rig, deploy, content_type=one)
        assert [one.summary for one in await rig.read(changes)] == ["service deployed: shop"]
        await send(rig, {"specversion": "1.0"}, 400, content_type=one)
        await send(rig, {**event, "specversion": "7"}, 400, content_type=one)
        await send(rig, event, 400, content_type=many)

    rigged(steps)


def test_the_key_may_be_shown_in_any_of_these_ways() -> None:
    source("json", labels={"service": "$.svc"})

    async def steps(rig: Rig) -> None:
        for shown in (
            {"headers": {"authorization": f"Bearer {HOOK_KEY}"}},
            {"headers": KEY},
            {"auth": ("any", HOOK_KEY)},
            {"params": {"key": HOOK_KEY}},
        ):
            assert (await rig.client.post("/in/hook", json={"svc": "a"}, **shown)).status_code == 202
        for wrong in ({}, {"headers": {"x-key": "wrong"}}, {"headers": {"authorization": "Basic %%%"}}):
            assert (await rig.client.post("/in/hook", json={"svc": "a"}, **wrong)).status_code == 401
        assert (await rig.client.post("/in/nobody", json={}, headers=KEY)).status_code == 401

    rigged(steps)


@pytest.mark.parametrize("kind", ["grafana", "healthchecks", "kuma", "gatus", "json", "cloudevents"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"[" * 50_000, b"null", b"5", b'"text"', b"[]", b"[[]]", b'{"alerts": 5}',
        b'{"alerts": [5, null, {"labels": {"a": "b"}, "startsAt": "soon"}]}', b'{"name": {}, "status": []}',
        b'{"msg": 1, "monitor": [], "heartbeat": "x"}', b'{"status": "down", "name": "\\u0000"}',
        b'{"specversion": 1, "id": [], "source": {}, "type": true}', b'{"svc": 1e999}', b'{"svc": "\\u0000x"}',
    ],
)  # fmt: skip
def test_hostile_bodies_are_refused_or_mean_nothing(kind: str, body: bytes) -> None:
    source(kind, **({"labels": {"service": "$.svc"}} if kind == "json" else {}))

    async def steps(rig: Rig) -> None:
        sent = {"content-type": "application/cloudevents+json", **KEY}
        answer = await rig.client.post("/in/hook", content=body, headers=sent)
        assert answer.status_code in (202, 400)
        assert all("\0" not in str(one.labels) for one in await rig.read(alerts))

    rigged(steps)
