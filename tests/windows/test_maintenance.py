"""Maintenance of one thing from now on: the verb, the API and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from tests.rigs.receivers import declare
from tests.rigs.watching import ACTOR

from mainstay.accounts.verbs import create_token
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.runtime.app import run
from mainstay.store.journal import entries
from mainstay.store.resources.queries import resources
from mainstay.windows.queries import covering
from mainstay.windows.verbs import begin_maintenance, end_maintenance, end_window

pytestmark = pytest.mark.usefixtures("store")

NOW = 1_800_000_000.0
PERSON = Actor("user", "kim@example.com", frozenset({"monitors:check"}))


class At:
    def __init__(self, now: float = NOW) -> None:
        self.at = now

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture(autouse=True)
def watched() -> None:
    declare("monitor", "api", {"http": "https://api.example.com", "labels": {"team": "web"}})
    declare("heartbeat", "backup", {"every": "1d"})


def _covers(name: str, at: float, kind: str = "monitor") -> str:
    found = covering({kind: name, "severity": "P2"}, at)
    return found.name if found else ""


def test_it_covers_that_monitor_alone_from_now_until_its_end() -> None:
    made = begin_maintenance(PERSON, "api", 3600, "new disks", clock=At())
    assert (made.window, made.start, made.end, made.description) == ("maintenance-api", NOW, NOW + 3600, "new disks")
    assert [_covers("api", NOW + at) for at in (-1, 0, 3599, 3600)] == ["", *["maintenance-api"] * 2, ""]
    assert _covers("web", NOW) == _covers("api", NOW, "heartbeat") == ""
    applied = next(iter(entries()))
    assert (applied.kind, applied.actor) == ("resources.applied", "user:kim@example.com")
    assert [(one.name, one.manager) for one in resources("window")] == [("maintenance-api", "page")]


def test_a_repeat_moves_the_end_and_the_end_may_come_early() -> None:
    begin_maintenance(PERSON, "api", 3600, clock=At())
    begin_maintenance(PERSON, "api", 7200, clock=At(NOW + 60))
    assert len(resources("window")) == 1
    assert _covers("api", NOW + 7259) == "maintenance-api"
    assert [end_maintenance(PERSON, "api") for _ in range(2)] == [True, False]
    assert _covers("api", NOW + 61) == ""


def test_a_heartbeat_is_covered_by_its_own_label() -> None:
    begin_maintenance(PERSON, "backup", 60, kind="heartbeat", clock=At())
    assert _covers("backup", NOW, "heartbeat") == "maintenance-backup"
    assert end_maintenance(PERSON, "backup", kind="heartbeat")


@pytest.mark.parametrize(
    ("actor", "name", "seconds", "error"),
    [
        (replace(PERSON, scopes=frozenset({"monitors:read"})), "api", 3600, Forbidden),
        (replace(PERSON, limits=('team="core"',)), "api", 3600, NotFound),
        (PERSON, "apo", 3600, NotFound),
        (PERSON, "api", 59, UserError),
        (PERSON, "api", 31 * 86_400, UserError),
    ],
)
def test_what_is_refused_declares_nothing(actor: Actor, name: str, seconds: float, error: type[Exception]) -> None:
    with pytest.raises(error):
        begin_maintenance(actor, name, seconds)
    assert resources("window") == []


def test_an_actor_with_limits_may_do_it_where_it_sees() -> None:
    limited = replace(PERSON, limits=('team="web"',))
    begin_maintenance(limited, "api", 60, clock=At())
    with pytest.raises(NotFound):
        end_maintenance(limited, "nothing")
    assert end_maintenance(limited, "api")
    with pytest.raises(Forbidden):
        end_maintenance(replace(PERSON, scopes=frozenset()), "api")


def test_what_a_file_keeps_is_left_to_the_file() -> None:
    from mainstay.store.resources.apply import declare as keep

    times = {"from": "2030-01-01T00:00:00Z", "until": "2030-01-02T00:00:00Z"}
    keep(ACTOR, "window", "maintenance-api", {**times, "covers": ['monitor="api"']}, manager="file", source="a.yaml")
    with pytest.raises(Conflict):
        begin_maintenance(PERSON, "api", 3600)


def test_a_monitor_and_a_heartbeat_of_one_name_have_windows_of_their_own() -> None:
    declare("heartbeat", "api", {"every": "1d", "labels": {"team": "core"}})
    begin_maintenance(PERSON, "api", 3600, clock=At())
    begin_maintenance(replace(PERSON, limits=('team="core"',)), "api", 60, kind="heartbeat", clock=At())
    assert (_covers("api", NOW + 59) != "", _covers("api", NOW + 59, "heartbeat") != "") == (True, True)
    assert (_covers("api", NOW + 61) != "", _covers("api", NOW + 61, "heartbeat") != "") == (True, False)
    assert [end_maintenance(PERSON, "api", kind="heartbeat") for _ in range(2)] == [True, False]
    assert _covers("api", NOW + 59) == "maintenance-api", "whoever ends one ends no other"


@pytest.mark.parametrize("document", [{"rule": "daily 02:00-03:00"}, {"rule": "daily 02:00-03:00", "covers": ["a=b"]}])
def test_a_declared_window_that_has_the_name_by_chance_is_left_alone(document: dict[str, Any]) -> None:
    declare("window", "maintenance-api", document)
    assert end_maintenance(PERSON, "api") is False
    begin_maintenance(PERSON, "api", 3600, clock=At())
    assert _covers("api", NOW + 59) != ""
    assert end_maintenance(PERSON, "api")
    assert [one.document for one in resources("window")] == [document]


def test_the_api_begins_lists_and_ends_it() -> None:
    token = create_token(ACTOR, "ci", ["monitors:check", "monitors:read"])
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})
    body = {"name": "api", "seconds": "1h", "reason": "new disks"}
    made = client.post("/api/v1/windows", json.dumps(body), "application/json")
    assert (made.status_code, made.json()["window"]) == (200, "maintenance-api")
    assert [(one["window"], one["active"]) for one in client.get("/api/v1/windows").json()] == [
        ("maintenance-api", True)
    ]
    assert client.delete("/api/v1/windows?name=api").json() == {"changed": True}
    assert client.post("/api/v1/windows", json.dumps(body | {"seconds": "1s"}), "application/json").status_code == 400


def test_the_command_begins_lists_and_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            run(list(arguments))
        assert not ended.value.code
        return capsys.readouterr().out

    made = json.loads(said("windows", "begin", "api", "--for", "1h", "--reason", "new disks", "--json"))
    assert [(one["window"], one["description"]) for one in made] == [("maintenance-api", "new disks")]
    assert 'monitor="api"' in said("windows")
    assert said("windows", "end", "api") == "ended\n"
    assert "no maintenance" in said("windows")


KEEPER = Actor("user", "lee@example.com", frozenset({"resources:read", "resources:write"}))


def test_a_window_that_does_not_recur_ends_now_and_one_that_recurs_does_not() -> None:
    planned = {"from": to_iso(NOW - 600), "until": to_iso(NOW + 600), "covers": ['monitor="api"']}
    declare("window", "switch", planned)
    declare("window", "monthly", {"rule": "first tuesday 02:00-04:00"})
    with pytest.raises(Forbidden):
        end_window(PERSON, "switch", clock=At())
    assert end_window(KEEPER, "switch", clock=At())
    assert _covers("api", NOW - 1) == "switch"
    assert _covers("api", NOW + 1) == ""
    assert not end_window(KEEPER, "switch", clock=At(NOW + 2))
    with pytest.raises(UserError, match="recurs"):
        end_window(KEEPER, "monthly", clock=At())
