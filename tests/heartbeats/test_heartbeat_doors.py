"""Heartbeats through the API and the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.rigs.pinging import ACTOR, heartbeat, serving

from mainstay.heartbeats import queries

typer_testing = pytest.importorskip("typer.testing")


@pytest.fixture
def pinged(store: None, clock: Any) -> queries.HeartbeatView:
    with serving(clock) as served:
        heartbeat("backup", labels={"team": "core"}, tags=["nightly"], description="dumps the database")
        heartbeat("quiet")
        served.turn()
        view = queries.heartbeat("backup")
        served.client.post(f"/ping/{view.uuid}/start")
        clock.advance(2)
        served.client.post(f"/ping/{view.uuid}/3", content=b"disk full <b>")
    return queries.heartbeat("backup")


def as_json(*arguments: str) -> Any:
    import typer

    from mainstay.heartbeats.commands import heartbeats

    app = typer.Typer()
    app.command()(heartbeats)
    done = typer_testing.CliRunner().invoke(app, [*arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def test_the_command_lists_what_is_wrong_first(pinged: queries.HeartbeatView) -> None:
    found = as_json("--json")
    assert [(one["name"], one["state"]) for one in found] == [("backup", "down"), ("quiet", "new")]
    assert found[0]["ping_url"].endswith(f"/ping/{pinged.uuid}")
    assert found[0]["last_duration"] == 2.0
    assert [one["name"] for one in as_json("--json", "--state", "new")] == ["quiet"]
    assert "backup" in as_json()


def test_the_command_shows_one_with_its_pings(pinged: queries.HeartbeatView) -> None:
    found = as_json("backup", "--json")
    assert [(ping["kind"], ping["exit_status"]) for ping in found["last_pings"]] == [("fail", 3), ("start", None)]
    assert pinged.uuid in as_json("backup")


class TestApi:
    @pytest.fixture
    def call(self, pinged: queries.HeartbeatView) -> Any:
        from django.test import Client

        from mainstay.accounts.verbs import create_token

        def call(method: str, path: str, *scopes: str) -> Any:
            token = create_token(ACTOR, "test", list(scopes), 1)
            headers = {"Authorization": f"Bearer {token}"}
            return Client(headers=headers).generic(method, f"/api/v1/heartbeats{path}", SERVER_NAME="127.0.0.1")

        return call

    def test_reads(self, call: Any, pinged: queries.HeartbeatView) -> None:
        found = call("GET", "", "monitors:read").json()
        assert [one["name"] for one in found] == ["backup", "quiet"]
        assert found[0]["ping_url"] is None
        one = call("GET", "/backup", "monitors:read", "monitors:check").json()
        assert one["ping_url"].endswith(pinged.uuid)
        page = call("GET", "/backup/pings?limit=1", "monitors:read").json()
        assert ([ping["n"] for ping in page["pings"]], page["next"]) == ([2], 2)
        assert call("GET", "/backup/pings?limit=1&before=2", "monitors:read").json()["next"] is None
        body = call("GET", "/backup/pings/2/body", "monitors:read")
        assert body.content == b"disk full <b>"
        assert body["X-Content-Type-Options"] == "nosniff"

    def test_pause_and_resume_need_their_scope(self, call: Any) -> None:
        assert call("POST", "/backup/pause", "monitors:read").status_code == 403
        assert call("POST", "/backup/pause", "monitors:check").json() == {"changed": True}
        assert call("POST", "/backup/pause", "monitors:check").json() == {"changed": False}
        assert queries.heartbeat("backup").state == "paused"
        assert call("POST", "/backup/resume", "monitors:check").json() == {"changed": True}

    @pytest.mark.parametrize("path", ["/nope", "/nope/pings", "/backup/pings/99/body", "/backup/pings/" + "9" * 30])
    def test_what_is_not_there(self, call: Any, path: str) -> None:
        assert call("GET", path, "monitors:read").status_code == 404
