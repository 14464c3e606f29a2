"""What can be done about alerts, by page, API and command: one by one and many at once."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from tests.rigs.accounts_browser import TEST, browser
from tests.rigs.receivers import decide, declare, happen
from typer.testing import CliRunner

from mainstay.accounts import verbs as accounts
from mainstay.accounts.models import User
from mainstay.alerting import channel_commands as channels_command
from mainstay.alerting import commands as alerts_command
from mainstay.alerting import delivery, queries, verbs
from mainstay.alerting.models import AlertRow
from mainstay.alerting.rules import Failure
from mainstay.alerting.showing import step_of, told_of
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Unavailable
from mainstay.store.journal import Entry
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results

pytestmark = pytest.mark.usefixtures("store")
LANE = system("lane")


@pytest.fixture
def ids() -> dict[str, str]:
    """Three monitors that are down; by name the ids of their alerts."""
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    for name in ("api", "db", "web"):
        uid = declare("monitor", name, {"http": "https://a.example", "description": "See https://wiki.example.com/x"})
        happen("monitor.went_down", f"monitor/{name}", uid=uid)
    return {alert.name: alert.id for alert in queries.alerts()}


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Client]:
    telemetry = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(telemetry)
    accounts.create_user(TEST, "ops@example.com", "admin")
    client = browser()
    person = User.objects.get(email="ops@example.com")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    yield client
    set_current(None)
    telemetry.close()


def _api(path: str, body: Any = None) -> Any:
    token = accounts.create_token(TEST, "ci", ["alerts:read", "alerts:write"])
    client = Client(headers={"Authorization": f"Bearer {token}", "host": "localhost"})
    answer = client.post(f"/api/v1/{path}", json.dumps(body or {}), content_type="application/json")
    return answer.json() if answer.status_code == 200 else answer.status_code


def _state(alert_id: str) -> str:
    return queries.alert(alert_id).state(time.time())


def test_several_alerts_are_ordered_at_once_and_what_is_over_holds_up_nothing(ids: dict[str, str]) -> None:
    happen("monitor.went_up", "monitor/web")
    found = _api("alerts/bulk", {"order": "acknowledge", "ids": [*ids.values(), "nothing"]})
    assert sorted(found["done"]) == sorted([ids["api"], ids["db"]])
    assert sorted(found["refused"]) == sorted([ids["web"], "nothing"])
    assert _state(ids["api"]) == _state(ids["db"]) == "acknowledged"
    assert _api("alerts/bulk", {"order": "mute", "ids": [ids["api"]]}) == 400
    assert _api("alerts/bulk", {"order": "mute", "ids": [ids["api"]], "for": "1h"})["done"] == [ids["api"]]
    assert _state(ids["api"]) == "muted"
    assert _api("alerts/bulk", {"order": "resolve", "ids": [ids["db"]]}) == 400
    assert _api("alerts/bulk", {"order": "resolve", "ids": [ids["db"]], "reason": "moved"})["done"] == [ids["db"]]
    assert _api("alerts/bulk", {"order": "acknowledge", "ids": ["x"] * 501}) == 422


def test_one_alert_by_the_api(ids: dict[str, str]) -> None:
    api = ids["api"]
    assert _api(f"alerts/{api}/acknowledge")["acknowledged_by"]
    assert _api(f"alerts/{api}/unacknowledge")["acknowledged_by"] == ""
    assert _api(f"alerts/{api}/note", {"note": "on it"})["note"] == "on it"
    declare("channel", "later", {"webhook": {"url": "https://hooks.example.com/y"}})
    assert _api(f"alerts/{api}/send") == {"channels": ["later"]}
    assert _api(f"alerts/{api}/resolve", {"reason": "moved"})["status"] == "resolved"
    assert _api(f"alerts/{api}/send") == 409


def test_routes_are_asked_what_labels_would_take(ids: dict[str, str]) -> None:
    declare("route", "urgent", {"match": ["severity=P0"], "to": ["hook"]})
    assert _api("routes/test", {"labels": {"severity": "P0"}}) == {"channels": {"hook": "route urgent"}, "untold": ""}
    assert _api("routes/test", {"labels": {"severity": "P3"}})["untold"] == "no route matches its labels"
    assert _api("routes/test", {"labels": {"not a name": "x"}}) == 422


def test_the_card_does_all_of_it_on_the_pages_of_alert_and_monitor(ids: dict[str, str], visitor: Client) -> None:
    for page in (f"/alerts/{ids['api']}/", "/monitors/api/"):
        text = visitor.get(page).content.decode()
        for order in ("acknowledge", "mute", "note", "resolve", "send"):
            assert f'action="/alerts/{ids["api"]}/{order}"' in text
        assert '<a href="https://wiki.example.com/x"' in text
    url = f"/alerts/{ids['api']}/"
    visitor.post(f"{url}acknowledge")
    visitor.post(f"{url}mute", {"for": "2h"})
    visitor.post(f"{url}note", {"note": "the pool is full"})
    text = visitor.get("/monitors/api/").content.decode()
    for part in ("ops@example.com, since", "Muted until", "the pool is full", "Unacknowledge", "Unmute"):
        assert part in text
    assert "user:ops@example.com" not in text
    visitor.post(f"{url}unacknowledge")
    visitor.post(f"{url}resolve", {"reason": "moved"})
    assert queries.alert(ids["api"]).acknowledged_at is None
    assert _state(ids["api"]) == "resolved"


def test_ticked_alerts_are_ordered_on_their_page(ids: dict[str, str], visitor: Client) -> None:
    text = visitor.get("/alerts/").content.decode()
    assert text.count('name="ids"') == 3
    visitor.post("/alerts/orders", {"order": "acknowledge", "ids": [ids["api"], ids["db"]]})
    assert [_state(ids[name]) for name in ("api", "db", "web")] == ["acknowledged", "acknowledged", "firing"]
    visitor.post("/alerts/orders", {"order": "resolve", "ids": [ids["web"]], "reason": "moved"})
    assert _state(ids["web"]) == "resolved"
    assert visitor.post("/alerts/orders", {"order": "burn", "ids": [ids["api"]]}).status_code == 400


def test_commands_do_the_same(ids: dict[str, str]) -> None:
    run = CliRunner()
    assert run.invoke(alerts_command.alerts, ["ack", ids["api"], ids["db"]]).exit_code == 0
    assert _state(ids["db"]) == "acknowledged"
    happen("monitor.went_up", "monitor/web")
    refused = run.invoke(alerts_command.alerts, ["unack", ids["api"], ids["web"]])
    assert (refused.exit_code, _state(ids["api"])) == (1, "firing")
    assert "is resolved" in refused.output
    run.invoke(alerts_command.alerts, ["note", ids["api"], "on it"])
    shown = run.invoke(alerts_command.alerts, ["show", ids["api"]]).output
    for part in (
        "Target: https://api.example.com/health",
        "Note: on it",
        "Who was notified",
        "Timeline",
        "Alert opened",
    ):
        assert part in shown
    found = run.invoke(channels_command.routes, ["test", "severity=P1"])
    assert (found.exit_code, "hook" in found.output) == (0, True)
    assert run.invoke(channels_command.routes, ["test", "severity"]).exit_code == 1


def test_a_message_that_waits_says_when_it_is_tried_and_never_in_the_past(ids: dict[str, str]) -> None:
    claims = delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 1), 60)
    now = time.time()
    by_state = {one.state: told_of(one, now) for one in queries.notifications()}
    assert (by_state["pending"].next_at, by_state["pending"].waits) == (None, "now")
    assert (by_state["delivering"].next_at, by_state["delivering"].waits) == (None, "now")
    delivery.mark_failed(LANE, claims[0], Unavailable("busy"), Failure(240, "later"))
    later = next(told_of(one, now) for one in queries.notifications() if one.attempts)
    assert later.next_at is not None
    assert later.next_at > now
    assert told_of(later.delivery, later.next_at + 5).waits == "now"
    assert {one.monitor for one in queries.notifications()} == {"api", "db", "web"}
    verbs.resolve_alert(LANE, ids["api"], "moved")
    decide()
    waiting = next(one for one in queries.notifications() if one.kind == "resolved")
    assert told_of(waiting, now).waits == "after the message before it"


@pytest.mark.parametrize("name", ["seconds", "seconds_open"])
def test_a_timeline_says_how_long_an_alert_was_open_in_old_entries_too(name: str) -> None:
    entry = Entry(1, 0.0, "system:watch", "alert.resolved", "monitor/api", {"reason": "it works again", name: 90.0}, "")
    assert step_of(entry).text == "it works again, after 1 min"


def test_evidence_and_a_mute_are_told_in_words(ids: dict[str, str], visitor: Client) -> None:
    found = {"http_version": "1.1", "headers": {"age": "0", "server": "nginx"}}
    AlertRow.objects.filter(id=ids["api"]).update(evidence=found)
    visitor.post(f"/alerts/{ids['api']}/mute", {"for": "2h"})
    text = visitor.get(f"/alerts/{ids['api']}/").content.decode()
    for part in ("<dt>HTTP version</dt>", "age: 0; server: nginx"):
        assert part in text
    timeline = text[text.index('id="timeline"') :]
    assert re.search(r"Muted.*?until 20\d\d-", timeline, re.DOTALL)
