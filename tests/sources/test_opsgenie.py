"""Opsgenie's Alert API: created, acknowledged, noted, snoozed, closed, read and listed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rigs.receivers import declare
from tests.rigs.source_rig import Rig, rigged
from tests.sources.conftest import OG_KEY

from mainstay.alerting.queries import Alert, alerts

pytestmark = pytest.mark.usefixtures("store", "source")
KEY = {"authorization": f"GenieKey {OG_KEY}"}


@pytest.fixture
def source() -> None:
    declare("alert_source", "og", {"opsgenie": {"key": "${env:OG_KEY}"}})


async def post(rig: Rig, path: str, **sent: Any) -> Any:
    return await rig.client.post(f"/v2/alerts{path}", json=sent, headers=KEY)


async def only(rig: Rig) -> Alert:
    (found,) = await rig.read(alerts)
    assert isinstance(found, Alert)
    return found


def test_the_way_of_an_alert() -> None:
    async def steps(rig: Rig) -> None:
        answer = await post(rig, "", message="queue full", alias="q/1", priority="P1", details={"team": "core"})
        assert answer.status_code == 202
        assert answer.json()["result"] == "Request will be processed"
        request = (await rig.client.get(f"/v2/alerts/requests/{answer.json()['requestId']}", headers=KEY)).json()
        assert (request["data"]["success"], request["data"]["alias"]) == (True, "q/1")
        found = await only(rig)
        assert (found.title, found.severity, found.labels["team"]) == ("queue full", "P1", "core")
        shown = (await rig.client.get(f"/v2/alerts/{request['data']['alertId']}", headers=KEY)).json()["data"]
        assert (shown["alias"], shown["status"], shown["acknowledged"]) == ("q/1", "open", False)

        await post(rig, "/q%2F1/acknowledge?identifierType=alias", user="ann", note="on it")
        found = await only(rig)
        assert found.acknowledged_by == "token:ann by og"
        assert found.note == "on it"
        await post(rig, f"/{shown['id']}/notes", note="nearly")
        assert (await only(rig)).note == "nearly"
        await post(rig, f"/{shown['id']}/snooze", endTime="2100-01-01T00:00:00Z")  # longer than a mute may last
        assert (await only(rig)).muted_until is None
        listed = (await rig.client.get("/v2/alerts?query=queue", headers=KEY)).json()["data"]
        assert [one["id"] for one in listed] == [shown["id"]]
        await post(rig, "/q%2F1/close?identifierType=alias")
        assert (await only(rig)).status == "resolved"
        assert (await rig.client.get("/v2/alerts", headers=KEY)).json()["data"] == []
        closed = (await rig.client.get(f"/v2/alerts/{shown['id']}", headers=KEY)).json()["data"]
        assert closed["status"] == "closed"

    rigged(steps)


def test_without_an_alias_each_is_an_alert_of_its_own() -> None:
    async def steps(rig: Rig) -> None:
        for _ in range(2):
            await post(rig, "", message="again")
        assert len(await rig.read(alerts)) == 2

    rigged(steps)


@pytest.mark.parametrize("header", ["", "GenieKey wrong", "Bearer genie-0815", "GenieKey"])
def test_strangers_are_refused(header: str) -> None:
    async def steps(rig: Rig) -> None:
        answer = await rig.client.post("/v2/alerts", json={"message": "m"}, headers={"authorization": header})
        assert (answer.status_code, answer.json()["message"]) == (401, "Could not authenticate")

    rigged(steps)


@pytest.mark.parametrize(
    ("sent", "field"),
    [({}, "message"), ({"message": ""}, "message"), ({"message": "m", "priority": "P9"}, "priority")],
)
def test_what_is_not_valid_is_refused_as_there(sent: dict[str, Any], field: str) -> None:
    async def steps(rig: Rig) -> None:
        answer = await post(rig, "", **sent)
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == [field]

    rigged(steps)


def test_what_is_not_there() -> None:
    async def steps(rig: Rig) -> None:
        for path in ("nothing", "x?identifierType=alias", "requests/nothing"):
            assert (await rig.client.get(f"/v2/alerts/{path}", headers=KEY)).status_code == 404
        assert (await post(rig, "/x/explode")).status_code == 404
        assert (await post(rig, "/x/close?identifierType=alias")).status_code == 202  # as there: told later

    rigged(steps)
