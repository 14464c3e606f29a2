"""Verbs and reads of watch: scopes, compare and set, search, counts, the API and the commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.test import Client
from tests.rigs.told import Told
from tests.rigs.watching import ACTOR, FakeTelemetry, monitor, moves

from mainstay.accounts.verbs import create_token
from mainstay.alerting.queries import alerts
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.kernel.probing import CheckResult
from mainstay.runtime.app import run
from mainstay.store.glance import glance
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare, remove
from mainstay.watch import glance as quick
from mainstay.watch import queries, results, verbs
from mainstay.watch.board import Moved
from mainstay.watch.models import MonitorRequestRow, MonitorStateRow
from mainstay.watch.results.values import Sample
from mainstay.watch.telling import NOTHING_FOUND, finding_of

pytestmark = pytest.mark.usefixtures("store")

NOBODY = Actor("token", "nobody", frozenset({"monitors:read"}))


def test_every_verb_wants_its_scope() -> None:
    monitor("api")
    for refused in (
        lambda: verbs.pause_monitors(NOBODY, ["api"]),
        lambda: verbs.resume_monitors(NOBODY, ["api"]),
        lambda: verbs.check_now(NOBODY, ["api"]),
        lambda: verbs.record_transitions(NOBODY, []),
        lambda: verbs.save_counters(NOBODY, []),
        lambda: verbs.take_requests(NOBODY),
        lambda: verbs.describe_monitors(NOBODY, []),
        lambda: verbs.forget_monitors(NOBODY, []),
        lambda: verbs.remember_reached(NOBODY, []),
    ):
        with pytest.raises(Forbidden, match="monitors:check"):
            refused()
    assert queries.monitor("api").state == "unknown"


def test_transitions_are_written_once_and_only_on_top_of_what_they_were_decided_on() -> None:
    monitor("api")
    found = moves("api", "up", "down", "down")
    assert verbs.record_transitions(ACTOR, found) == []
    uid = found[0].uid
    assert verbs.record_transitions(ACTOR, found) == [uid]  # a repeat finds the rows moved on and writes nothing
    kinds = [entry.kind for entry in entries(Filter(kind="monitor.*"), newest_first=False)]
    assert kinds == ["monitor.went_up", "monitor.went_down"]
    assert verbs.record_transitions(ACTOR, [Moved("gone", "gone", 1, found[0].state, NOTHING_FOUND, ())]) == []


def test_an_answer_with_a_nul_opens_its_alert_and_is_saved() -> None:
    """PostgreSQL keeps it in no text, and what an answer holds must keep nobody from hearing of it."""
    uid = monitor("api")
    wild = CheckResult(
        uid=uid, at=1.8e9, verdict="down", code="x.\0", message="it says \0", evidence={"\0": {"b\0": ["c\0"]}}
    )
    state = moves("api", "down", "down")[0].state
    data = {"uid": uid, "level": "down", "code": finding_of(wild).code, "message": finding_of(wild).message}
    event = Told("monitor.went_down", "monitor/api", data | {"evidence": finding_of(wild).evidence})
    assert verbs.record_transitions(ACTOR, [Moved(uid, "api", 1, state, finding_of(wild), (event,))]) == []
    (alert,) = alerts(status="firing")
    assert (alert.subject, alert.message, alert.evidence) == (
        "monitor/api",
        "it says \ufffd",
        {"\ufffd": {"b\ufffd": ["c\ufffd"]}},
    )
    verbs.save_counters(ACTOR, [verbs.Latest(uid, 2, state, wild)])
    last = queries.monitor("api").last
    assert last is not None
    assert last.message == "it says \ufffd"


def test_a_pause_overtakes_what_was_decided_before_it() -> None:
    monitor("api")
    found = moves("api", "up")
    assert verbs.pause_monitors(ACTOR, ["api"]) == 1
    assert verbs.record_transitions(ACTOR, found) == [found[0].uid]
    view = queries.monitor("api")
    assert (view.state, view.paused_by) == ("paused", str(ACTOR))
    assert [row.wish for row in MonitorRequestRow.objects.all()] == ["reload"]


def test_unknown_names_are_told_with_a_guess_and_nothing_is_done() -> None:
    monitor("gateway")
    with pytest.raises(NotFound, match="no monitor `gatewya`") as refusal:
        verbs.pause_monitors(ACTOR, ["gateway", "gatewya"])
    assert "gateway" in refusal.value.hint
    assert queries.monitor("gateway").state == "unknown"
    with pytest.raises(NotFound):
        queries.monitor("nothing")


def test_requests_are_taken_once() -> None:
    uid = monitor("api")
    assert verbs.check_now(ACTOR, ["api", "api"]) == 1
    assert verbs.take_requests(ACTOR) == [(uid, "check")]
    assert verbs.take_requests(ACTOR) == []


def test_rows_follow_what_is_declared_at_once() -> None:
    monitor("api", labels={"service": "shop"}, tags=["web"], severity="P1", every="30s")
    view = queries.monitor("api")
    assert (view.kind, view.address, view.interval) == ("http", "http://127.0.0.1:1/", 30.0)
    assert (view.labels, view.tags, view.severity) == ({"service": "shop"}, ["web"], "P1")
    verbs.record_transitions(ACTOR, moves("api", "up"))
    monitor("api", "http://127.0.0.1:2/")
    view = queries.monitor("api")
    assert (view.address, view.state, view.tags) == ("http://127.0.0.1:2/", "up", [])
    remove(ACTOR, "monitor", "api", manager="api")
    assert MonitorStateRow.objects.count() == 0


def test_lists_put_first_what_is_wrong_and_find_by_all_that_is_declared() -> None:
    monitor("zeta", tags=["web", "100%"], labels={"service": "shop"})
    monitor("alpha", "http://10.0.0.1/Path", tags=["web-2"], labels={"service": "shop-2", "team": "core"})
    monitor("omega", severity="P0")
    verbs.record_transitions(ACTOR, moves("zeta", "up", "down", "down"))
    verbs.record_transitions(ACTOR, moves("alpha", "up"))
    names = [view.name for view in queries.monitors()]
    assert names == ["zeta", "omega", "alpha"]
    page = queries.page(limit=1, offset=1)
    assert ([view.name for view in page.monitors], page.total) == (["omega"], 3)
    assert page.counts == {"down": 1, "degraded": 0, "unknown": 1, "up": 1, "maintenance": 0, "paused": 0}
    assert queries.counts() == page.counts
    assert queries.tags() == {"100%": 1, "web": 1, "web-2": 1}

    def found(**wanted: Any) -> list[str]:
        return [view.name for view in queries.monitors(queries.MonitorFilter(**wanted))]

    assert found(tag="web") == ["zeta"]
    assert found(tag="100%") == ["zeta"]
    assert found(labels={"service": "shop"}) == ["zeta"]
    assert found(labels={"service": "shop-2", "team": "core"}) == ["alpha"]
    assert found(labels={"service": 'shop"'}) == []
    assert found(text="PATH 10.0") == ["alpha"]
    assert found(text="%") == ["zeta"]
    assert found(text="_") == []
    assert found(severity="P0") == ["omega"]
    assert found(kind="tcp") == []
    narrowed = queries.page(queries.MonitorFilter(states=("down", "up"), text="http"))
    assert (narrowed.total, narrowed.counts["unknown"]) == (2, 1)
    assert set(queries.by_names(["zeta", "nothing"])) == {"zeta"}


def test_the_history_of_a_monitor() -> None:
    monitor("api")
    verbs.record_transitions(ACTOR, moves("api", "up", "down", "down"))
    verbs.pause_monitors(ACTOR, ["api"])
    verbs.resume_monitors(ACTOR, ["api"])
    told = queries.transitions("api")
    assert [one.kind for one in told] == ["resumed", "went_paused", "went_down", "went_up"]
    assert [one.state for one in told] == ["unknown", "paused", "down", "up"]
    assert told[1].actor == str(ACTOR)
    assert told[2].code == "x.y"
    assert [one.kind for one in queries.transitions("api", limit=1, before_seq=told[1].seq)] == ["went_down"]


class Recorded(FakeTelemetry):
    def latest(self, uid: str, limit: int = 50, location: str = "") -> list[Sample]:
        return [Sample(uid=uid, at=1.0, verdict="up", duration=0.2, charge="up", charged=1.0)][:limit]


def test_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_current", Recorded())
    monitor("api", labels={"service": "shop"})
    monitor("off", enabled=False)
    token = create_token(ACTOR, "ci", ["monitors:read", "monitors:check"])
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})
    listed = client.get("/api/v1/monitors?label=service=shop&state=unknown&state=up").json()
    assert [one["name"] for one in listed["monitors"]] == ["api"]
    assert listed["total"] == 1
    assert client.get("/api/v1/monitors/api").json()["last"] is None
    assert client.get("/api/v1/monitors/none").status_code == 404
    assert client.get("/api/v1/monitors?state=broken").status_code == 400
    assert client.get("/api/v1/monitors?label=broken").status_code == 400
    assert client.get("/api/v1/monitors?limit=0").status_code == 422
    (result,) = client.get("/api/v1/monitors/api/results?limit=5").json()
    assert (result["verdict"], result["duration"], result["at"]) == ("up", 0.2, "1970-01-01T00:00:01.000Z")
    assert client.post("/api/v1/monitors/api/pause").json() == {"changed": True}
    assert client.post("/api/v1/monitors/api/pause").json() == {"changed": False}
    assert client.post("/api/v1/monitors/api/check").status_code == 409
    assert client.post("/api/v1/monitors/api/resume").json() == {"changed": True}
    assert client.post("/api/v1/monitors/api/check").status_code == 202
    assert client.post("/api/v1/monitors/off/resume").status_code == 409
    kinds = [one["kind"] for one in client.get("/api/v1/monitors/api/transitions").json()]
    assert kinds == ["resumed", "went_paused"]
    reader = create_token(ACTOR, "reader", ["monitors:read"])
    reading = Client(headers={"host": "localhost", "authorization": f"Bearer {reader}"})
    assert reading.post("/api/v1/monitors/api/pause").status_code == 403
    assert reading.get("/api/v1/monitors").status_code == 200


def test_many_are_ordered_over_the_api_within_the_limits_of_the_token() -> None:
    for name, team in (("api", "core"), ("db", "core"), ("shop", "web"), ("bulk", "web")):
        monitor(name, labels={"team": team})

    def api(*scopes: str, limits: tuple[str, ...] = ()) -> Callable[..., Any]:
        token = create_token(ACTOR, "ci", scopes, limits=limits)
        client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})
        return partial(client.post, "/api/v1/monitors/bulk/orders", content_type="application/json")

    def states() -> dict[str, str]:
        return {view.name: view.state for view in queries.monitors() if view.state != "unknown"}

    ours = api("monitors:read", "monitors:check", limits=("team=core",))
    refused = ours({"order": "pause", "names": ["api", "shop"]})
    assert (refused.status_code, states()) == (404, {})
    assert ours({"order": "pause", "matching": {}}).json() == {"changed": 2}
    assert states() == {"api": "paused", "db": "paused"}
    assert ours({"order": "check", "names": ["db"]}).status_code == 409
    assert ours({"order": "resume", "names": ["db", "api", "db"]}).json() == {"changed": 2}
    assert ours({"order": "resume", "matching": {"state": ["paused"]}}).json() == {"changed": 0}
    every = api("monitors:read", "monitors:check")
    assert every({"order": "check", "matching": {"label": ["team=web"]}}).json() == {"changed": 2}
    for wrong in ({"order": "pause"}, {"order": "pause", "names": ["api"], "matching": {}}):
        assert every(wrong).status_code == 400
    assert every({"order": "explode", "names": ["api"]}).status_code == 422
    assert every({"order": "pause", "names": ["x"] * 10_001}).status_code == 422
    assert api("monitors:read")({"order": "pause", "names": ["api"]}).status_code == 403
    assert states() == {}


def outcome(*arguments: str) -> int:
    """The exit code of one command in this process, on this database."""
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    return int(ended.value.code or 0)


@pytest.fixture
def _on_this_database(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = current_settings()
    monkeypatch.setenv("MAINSTAY_DATA", str(settings.data))
    monkeypatch.setenv("MAINSTAY_DATABASE", settings.database)


@pytest.mark.usefixtures("_on_this_database")
def test_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome("status") == 0
    assert "nothing is declared yet" in capsys.readouterr().out
    monitor("api", labels={"service": "shop"}, tags=["web"])
    monitor("site", tags=["web-2"])
    verbs.record_transitions(ACTOR, moves("site", "up"))
    assert outcome("status") == 0
    text = capsys.readouterr().out
    assert "1 unknown" in text
    assert "1 up" in text
    verbs.record_transitions(ACTOR, moves("api", "up", "down", "down"))
    assert outcome("status") == 1
    assert "api" in capsys.readouterr().out
    assert outcome("status", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["down"] == 1
    assert [one["name"] for one in told["wrong"]] == ["api"]
    for arguments, names in (
        ((), ["api", "site"]),
        (("--state", "up"), ["site"]),
        (("--tag", "web"), ["api"]),
        (("--label", "service=shop"), ["api"]),
        (("--label", "service=other"), []),
        (("SITE",), ["site"]),
        (("100%",), []),
    ):
        assert outcome("monitors", "--json", *arguments) == 0
        assert [one["name"] for one in json.loads(capsys.readouterr().out)] == names
    assert outcome("monitors") == 0
    assert "site" in capsys.readouterr().out
    assert outcome("monitors", "--state", "broken") == 1
    assert "states are" in capsys.readouterr().err


@pytest.mark.usefixtures("_on_this_database")
def test_the_quick_reads_see_what_the_slow_ones_see() -> None:
    monitor("api", labels={"service": "shop"}, tags=["web"], severity="P1")
    monitor("site")
    verbs.record_transitions(ACTOR, moves("api", "up", "down", "down"))
    with glance(current_settings()) as database:
        seen = quick.monitors(database)
        assert quick.counts(database) == queries.counts()
    assert quick.STATES == queries.STATES
    for fast, slow in zip(seen, queries.monitors(), strict=True):
        for field in quick.Seen.__slots__:
            last = getattr(slow.last, field.removeprefix("last_"), 0.0)
            assert getattr(fast, field) == (last if field.startswith("last_") else getattr(slow, field)), field


def test_a_glance_at_nothing_says_what_to_do(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainstay.frames.boot import load_settings

    with pytest.raises(UserError, match="nothing in") as refusal, glance(load_settings(data=tmp_path)):
        pass
    assert "mainstay up" in refusal.value.hint
    (tmp_path / "state.sqlite3").touch()
    with glance(load_settings(data=tmp_path)) as database, pytest.raises(UserError, match="another version"):
        quick.counts(database)


def test_resuming_what_is_declared_as_off_is_refused() -> None:
    declare(ACTOR, "monitor", "off", {"http": "http://127.0.0.1:1/", "enabled": False}, manager="api")
    verbs.pause_monitors(ACTOR, ["off"])
    with pytest.raises(Conflict, match="enabled: false"):
        verbs.resume_monitors(ACTOR, ["off"])


def test_a_page_of_many_is_quick_enough_to_print() -> None:
    """Printed, never failed on: tests share their machine."""
    from mainstay.store.resources.apply import declare_all

    many = [("monitor", f"m-{number}", {"http": f"http://127.0.0.1:1/{number}"}) for number in range(300)]
    declare_all(ACTOR, many, manager="api")
    began = time.perf_counter()
    page = queries.page(limit=100)
    print(f"page of 100 of 300 monitors: {(time.perf_counter() - began) * 1000:.1f} ms")
    assert (len(page.monitors), page.total) == (100, 300)
