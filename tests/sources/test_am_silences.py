"""Silences over Alertmanager's API: made, listed, edited and ended as there, and by the real amtool."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import declare
from tests.rigs.source_rig import Rig, rigged

from mainstay.kernel.clock import to_iso
from mainstay.runtime.server import Server
from mainstay.sources.doors.doors import source_doors
from mainstay.store.resources.queries import resources

pytestmark = pytest.mark.usefixtures("store")

MATCHERS = [{"name": "service", "value": "batch", "isRegex": False, "isEqual": True}]


def silence(starts: float, ends: float, **more: Any) -> dict[str, Any]:
    times = {"startsAt": to_iso(starts), "endsAt": to_iso(ends)}
    return {"matchers": MATCHERS, "createdBy": "ann", "comment": "load", **times, **more}


async def post(rig: Rig, sent: dict[str, Any], status: int = 200) -> Any:
    answer = await rig.client.post("/api/v2/silences", json=sent)
    assert answer.status_code == status, answer.text
    return answer.json()


async def listed(rig: Rig, query: str = "") -> list[tuple[str, str]]:
    found = (await rig.client.get(f"/api/v2/silences{query}")).json()
    return [(one["id"], one["status"]["state"]) for one in found]


def test_the_way_of_a_silence(clock: FakeClock) -> None:
    now = clock.now()

    async def steps(rig: Rig) -> None:
        made = (await post(rig, silence(now, now + 3600)))["silenceID"]
        assert await listed(rig) == [(made, "active")]
        one = (await rig.client.get(f"/api/v2/silence/{made}")).json()
        assert (one["comment"], one["createdBy"], one["matchers"]) == ("load", "ann", MATCHERS)
        assert one["endsAt"] == to_iso(now + 3600)
        # the end of an active one may move
        assert (await post(rig, silence(now, now + 7200, id=made)))["silenceID"] == made
        # other matchers make another
        other = [{"name": "service", "value": "b.*", "isRegex": True}]
        second = (await post(rig, silence(now, now + 7200, id=made, matchers=other)))["silenceID"]
        assert second != made
        assert await listed(rig) == [(second, "active")]
        # of a pending one the times may move
        third = (await post(rig, silence(now + 60, now + 90)))["silenceID"]
        assert (await post(rig, silence(now + 70, now + 95, id=third)))["silenceID"] == third
        assert await listed(rig) == [(second, "active"), (third, "pending")]
        assert (await rig.client.delete(f"/api/v2/silence/{second}")).status_code == 200
        assert await listed(rig) == [(third, "pending")]
        assert await listed(rig, "?filter=service%3Dbatch") == [(third, "pending")]
        assert await listed(rig, "?filter=service%3Dother") == []
        clock.advance(100)
        assert await listed(rig) == [(third, "expired")]

    rigged(steps, clock)


def test_declared_silences_are_listed_too(clock: FakeClock) -> None:
    match = ['service="batch"']
    day = to_iso(clock.now() + 5 * 86_400)[:10]
    declare("silence", "until-a-day", {"match": match, "until": day})
    declare("silence", "nightly", {"match": match, "rule": "daily 02:00-03:00", "timezone": "Europe/Berlin"})
    declare("silence", "two-sets", {"match": match, "or": [['team="core"']], "until": to_iso(clock.now() - 60)})

    async def steps(rig: Rig) -> None:
        found = (await rig.client.get("/api/v2/silences")).json()
        assert [one["status"]["state"] for one in found] == ["active", "pending", "expired", "expired"]
        assert found[0]["endsAt"] == f"{day}T00:00:00.000Z"

    rigged(steps, clock)


def test_an_alert_says_what_silences_it() -> None:
    declare("alert_source", "prometheus", {"alertmanager": {}})

    async def steps(rig: Rig) -> None:
        now = rig.clock.now()
        await rig.client.post("/api/v2/alerts", json=[{"labels": {"alertname": "A", "service": "batch"}}])
        made = (await post(rig, silence(now, now + 3600)))["silenceID"]
        (found,) = (await rig.client.get("/api/v2/alerts")).json()
        assert found["status"]["state"] == "suppressed"
        assert found["status"]["silencedBy"] == [made]
        assert (await rig.client.get("/api/v2/alerts?silenced=false")).json() == []

    rigged(steps)


@pytest.mark.parametrize(
    ("change", "status", "answer"),
    [
        ({"comment": ...}, 422, {"code": 602, "message": "comment in body is required"}),
        ({"matchers": []}, 422, {"code": 612, "message": "matchers in body should have at least 1 items"}),
        ({"endsAt": to_iso(1_700_000_000)}, 400, "Failed to create silence: start time must be before end time"),
        (
            {"startsAt": to_iso(1_600_000_000), "endsAt": to_iso(1_700_000_000)},
            400,
            "Failed to create silence: end time can't be in the past",
        ),
        (
            {"matchers": [{"name": "a", "value": "", "isRegex": False}]},
            400,
            "silence invalid: at least one matcher must not match the empty string",
        ),
        ({"id": "5f9b3ccb-4ff0-4dd6-8fe3-9fd4ea1b2cde"}, 404, "silence not found"),
    ],
)
def test_what_is_not_valid_is_refused_as_there(
    clock: FakeClock, change: dict[str, Any], status: int, answer: Any
) -> None:
    now = clock.now()
    sent = silence(now, now + 3600) | change
    sent = {name: value for name, value in sent.items() if value is not ...}

    async def steps(rig: Rig) -> None:
        assert await post(rig, sent, status) == answer
        assert await rig.read(lambda: resources("silence")) == []

    rigged(steps, clock)


def test_ids_that_are_none() -> None:
    async def steps(rig: Rig) -> None:
        for method in ("GET", "DELETE"):
            answer = await rig.client.request(method, "/api/v2/silence/abc")
            assert answer.status_code == 422
            assert answer.json() == {"code": 601, "message": 'silenceID in path must be of type uuid: "abc"'}
            known = await rig.client.request(method, "/api/v2/silence/5f9b3ccb-4ff0-4dd6-8fe3-9fd4ea1b2cde")
            assert known.status_code == 404

    rigged(steps)


async def _nowhere(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def served(rig: Rig) -> AsyncIterator[str]:
    """The doors at a real port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(Server(source_doors(rig.intake), _nowhere, https=False), lifespan="off", log_config=None)
        )
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def test_amtool_works_unchanged() -> None:
    declare("alert_source", "prometheus", {"alertmanager": {}})

    async def steps(rig: Rig) -> None:
        async with served(rig) as address:

            async def amtool(*words: str) -> str:
                command = ["amtool", f"--alertmanager.url={address}", *words]
                process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                out, error = await process.communicate()
                assert process.returncode == 0, error.decode()
                return out.decode().strip()

            await amtool("alert", "add", "alertname=Full", "service=batch", "severity=critical")
            found = json.loads(await amtool("alert", "query", "-o", "json", "service=batch"))
            assert [one["labels"]["alertname"] for one in found] == ["Full"]
            made = await amtool("silence", "add", "--author=ann", "--comment=load", "service=batch")
            assert await amtool("silence", "query", "-q") == made
            assert json.loads(await amtool("alert", "query", "-o", "json")) == []  # those in force only
            await amtool("silence", "update", "--duration=2h", made)
            await amtool("silence", "expire", made)
            assert await amtool("silence", "query", "-q") == ""
            assert "default-route" in await amtool("config", "routes")
            assert "disabled" in await amtool("cluster", "show")

    rigged(steps)
