"""PagerDuty's Events API: triggered, acknowledged, resolved; refused in its own words; changes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rigs.receivers import declare
from tests.rigs.source_rig import Rig, rigged
from tests.sources.conftest import PD_KEY

from mainstay.alerting.queries import alerts
from mainstay.sources.models import BodyRow
from mainstay.sources.queries import changes

pytestmark = pytest.mark.usefixtures("store", "source")


@pytest.fixture
def source() -> None:
    declare("alert_source", "pd", {"pagerduty": {"key": "${env:PD_KEY}"}})


def event(action: str = "trigger", **more: Any) -> dict[str, Any]:
    payload = {"summary": "disk full", "source": "db1", "severity": "critical", "component": "disk"}
    return {"routing_key": PD_KEY, "event_action": action, "dedup_key": "k1", "payload": payload, **more}


def seen() -> list[tuple[str, str, str, bool]]:
    return [(one.title, one.severity, one.status, one.acknowledged_at is not None) for one in alerts()]


async def enqueue(rig: Rig, sent: Any, path: str = "/v2/enqueue") -> Any:
    return await rig.client.post(path, json=sent)


def test_the_way_of_an_event() -> None:
    async def steps(rig: Rig) -> None:
        answer = await enqueue(rig, event())
        assert answer.status_code == 202
        assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "k1"}
        assert await rig.read(seen) == [("disk full", "P1", "firing", False)]
        assert (await enqueue(rig, event("acknowledge"))).status_code == 202
        assert await rig.read(seen) == [("disk full", "P1", "firing", True)]
        await enqueue(rig, event(payload={"summary": "disk nearly full", "source": "db1", "severity": "info"}))
        assert len(await rig.read(seen)) == 1
        await enqueue(rig, event("resolve"))
        assert [one[2] for one in await rig.read(seen)] == ["resolved"]
        await enqueue(rig, event())  # after its end it is another alert
        assert [one[2] for one in await rig.read(seen)] == ["firing", "resolved"]

    rigged(steps)


def test_orders_for_what_is_not_open_are_dropped() -> None:
    async def steps(rig: Rig) -> None:
        for action in ("resolve", "acknowledge"):
            assert (await enqueue(rig, event(action))).status_code == 202
        assert await rig.read(seen) == []

    rigged(steps)


def test_an_event_without_a_key_gets_one() -> None:
    async def steps(rig: Rig) -> None:
        keys = {(await enqueue(rig, event(dedup_key=""))).json()["dedup_key"] for _ in range(2)}
        assert len(keys) == 2
        assert all(len(key) == 32 for key in keys)

    rigged(steps)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (event(routing_key="f" * 32), "'routing_key' is invalid: no alert source has it"),
        (event(routing_key=""), "'routing_key' is missing or blank"),
        (event(routing_key=["x"]), "'routing_key' is missing or blank"),
        (event(""), "'event_action' is missing or blank"),
        (event("explode"), "'event_action' is invalid"),
        (event("resolve", dedup_key=""), "'dedup_key' is missing or blank"),
        (event(dedup_key="k" * 256), "'dedup_key' is invalid (must be a string of at most 255 characters)"),
        (event(payload=None), "'payload.summary' is missing or blank"),
        (
            event(payload={"summary": "s", "source": "x", "severity": "bad"}),
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')",
        ),
        (
            event(payload={"summary": "s", "source": "x", "severity": "info", "timestamp": "soon"}),
            "'payload.timestamp' is invalid (must be in ISO 8601 format)",
        ),
        ([], "the event is no JSON object"),
    ],
)
def test_what_is_not_valid_is_refused_as_there(sent: Any, error: str) -> None:
    async def steps(rig: Rig) -> None:
        answer = await enqueue(rig, sent)
        assert answer.status_code == 400
        document = answer.json()
        assert (document["status"], document["message"]) == ("invalid event", "Event object is invalid")
        assert document["errors"][0] == error

    rigged(steps)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'"\\ud800"'])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    async def steps(rig: Rig) -> None:
        assert (await rig.client.post("/v2/enqueue", content=body)).status_code == 400

    rigged(steps)


def test_a_large_body_is_refused() -> None:
    async def steps(rig: Rig) -> None:
        assert (await rig.client.post("/v2/enqueue", content=b"x" * 524_289)).status_code == 413

    rigged(steps)


def test_too_many_are_told_to_wait() -> None:
    async def steps(rig: Rig) -> None:
        answers = [await enqueue(rig, event()) for _ in range(12)]
        assert [one.status_code for one in answers[:10]] == [202] * 10
        assert answers[-1].status_code == 429
        assert answers[-1].json()["status"] == "throttle exceeded"
        assert int(answers[-1].headers["retry-after"]) >= 1

    rigged(steps, reports_per_key=1)


def test_changes_are_kept() -> None:
    async def steps(rig: Rig) -> None:
        payload = {"summary": "shop 1.2 deployed", "source": "ci", "custom_details": {"service": "shop", "build": 7}}
        sent = {"routing_key": PD_KEY, "payload": payload, "links": [{"href": "https://ci.example/7", "text": "build"}]}
        answer = await enqueue(rig, sent, "/v2/change/enqueue")
        assert (answer.status_code, answer.json()["message"]) == (202, "Change event processed")
        (found,) = await rig.read(changes)
        assert (found.summary, found.labels) == ("shop 1.2 deployed", {"source": "ci", "service": "shop"})
        assert found.links == [["build", "https://ci.example/7"]]
        assert (await enqueue(rig, {"routing_key": PD_KEY}, "/v2/change/enqueue")).status_code == 400

    rigged(steps)


def test_the_key_is_masked_in_what_is_kept() -> None:
    async def steps(rig: Rig) -> None:
        await enqueue(rig, event())
        await enqueue(rig, event("explode"))
        kept = await rig.read(lambda: list(BodyRow.objects.order_by("id").values_list("body", "outcome", "refused")))
        assert [one[1:] for one in kept] == [("1 alert", False), ("'event_action' is invalid", True)]
        assert not any(PD_KEY in one[0] for one in kept)

    rigged(steps)
