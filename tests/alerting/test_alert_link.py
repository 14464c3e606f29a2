"""The acknowledge link, from the message to the journal; and the API and command line of alerting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from tests.rigs.receivers import Reply, decide, declare, happen, receiver

from mainstay.accounts.verbs import create_token
from mainstay.alerting import delivery, links, queries, verbs
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import Actor, command, system
from mainstay.kernel.errors import NotFound
from mainstay.store.journal import entries

pytestmark = pytest.mark.usefixtures("store")
DAY = 86_400.0


def _client() -> Client:
    return Client(SERVER_NAME="127.0.0.1", SERVER_PORT="8800")


@pytest.fixture
def alert() -> queries.Alert:
    declare("monitor", "api", {"http": "https://api.example.com"})
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    happen("monitor.went_down", "monitor/api")
    return queries.alerts()[0]


def _link() -> str:
    claim = delivery.claim_due(system("lane"), current_settings(), delivery.Room(lambda *_: 1), 60)[0]
    return claim.message.links["acknowledge"].removeprefix(current_settings().base_url)


def test_only_the_button_acknowledges(alert: queries.Alert) -> None:
    client, link = _client(), _link()
    for _ in range(2):  # a mail scanner follows links
        page = client.get(link)
        assert page.status_code == 200
        assert client.head(link).status_code == 200
    assert queries.alert(alert.id).acknowledged_at is None
    text = page.content.decode()
    assert text.count("<button") == 1
    assert "api is down" in text
    assert "connection refused" in text
    assert page["Cache-Control"] == "no-store"
    assert page["Referrer-Policy"] == "no-referrer"
    done = client.post(link)
    assert "Acknowledged" in done.content.decode()
    assert "<button" not in done.content.decode()
    client.post(link)
    told = [entry for entry in entries() if entry.kind == "alert.acknowledged"]
    assert [entry.actor for entry in told] == ["link:message"]


def test_a_link_to_what_is_over_says_so(alert: queries.Alert) -> None:
    link = _link()
    happen("monitor.went_up", "monitor/api")
    page = _client().post(link)
    assert page.status_code == 200
    assert "It is resolved: it works again" in page.content.decode()
    assert queries.alert(alert.id).acknowledged_at is None


def test_forged_and_old_links_open_nothing(alert: queries.Alert) -> None:
    link = _link()
    token = link.removeprefix("/a/")
    alert_id, expiry, mac = token.split(".")
    forged = [
        f"{alert_id}.{expiry}.{'A' * len(mac)}",
        f"{alert_id}.zzzzzzzz.{mac}",
        f"01zzzzzzzzzzzzzzzzzzzzzzzz.{expiry}.{mac}",
        f"{alert_id}.{expiry}",
        f"{alert_id}.{expiry}.",
        f"{alert_id}.-1.{mac}",
        "x" * 5000,
        f"{alert_id}.{expiry}.\u00fc",
        "....",
    ]
    for text in forged:
        answer = _client().post(f"/a/{text}")
        assert answer.status_code == 404, text
        assert "This link has expired" in answer.content.decode()
    assert queries.alert(alert.id).acknowledged_at is None


def test_a_token_lives_for_a_week_and_is_the_same_for_a_repeat() -> None:
    token = links.sign("01alert", 1000.5, "key")
    assert token == links.sign("01alert", 1000.5, "key")
    assert links.verify(token, 1000 + 7 * DAY, "key") == "01alert"
    for now, key in ((1001 + 7 * DAY, "key"), (1000, "other")):
        with pytest.raises(NotFound):
            links.verify(token, now, key)


def test_hostile_names_stay_text_on_the_page() -> None:
    declare("monitor", "api", {"http": "https://api.example.com"})
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    happen("monitor.went_down", "monitor/api", message="<script>alert(1)</script>")
    text = _client().get(_link()).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def _api(*scopes: str) -> Any:
    token = create_token(command("test"), "test", list(scopes), 1)

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = _client().generic(
            method,
            f"/api/v1{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )
        return answer.status_code, json.loads(answer.content)

    return call


def test_the_api_reads_takes_and_mutes(alert: queries.Alert) -> None:
    call = _api("alerts:read", "alerts:write")
    status, found = call("GET", "/alerts?status=firing")
    assert (status, [one["id"] for one in found]) == (200, [alert.id])
    status, detail = call("GET", f"/alerts/{alert.id}")
    assert [one["channel"] for one in detail["notifications"]] == ["hook"]
    assert [one["kind"] for one in detail["journal"]] == ["monitor.went_down", "alert.fired", "alert.told"]
    assert call("POST", f"/alerts/{alert.id}/acknowledge")[1]["acknowledged_by"].startswith("token:test")
    assert call("POST", f"/alerts/{alert.id}/mute", {"for": "2h"})[1]["muted_until"]
    assert call("POST", f"/alerts/{alert.id}/unmute")[1]["muted_until"] is None
    decide()
    assert call("POST", f"/alerts/{alert.id}/mute", {})[0] == 400
    assert call("POST", f"/alerts/{alert.id}/mute", {"for": "200d"})[0] == 400
    assert call("POST", "/alerts/nonsense/acknowledge")[0] == 404
    assert call("GET", "/alerts?limit=100000")[0] == 422
    assert [one["state"] for one in call("GET", "/notifications?channel=hook")[1]] == ["pending", "suppressed"]
    assert call("POST", "/channels/hook/test")[0] == 403


def test_the_api_tests_channels() -> None:
    call = _api("channels:test", "alerts:read")
    with receiver() as hook:
        declare("channel", "hook", {"webhook": {"url": hook.url}})
        assert call("POST", "/channels/hook/test") == (200, {"detail": "200 ok", "data": {"status": 200}})
        hook.answer = lambda _: Reply(404, body=b"gone")
        status, body = call("POST", "/channels/hook/test")
    assert (status, body["error"]["code"]) == (502, "refused")
    status, channels = call("GET", "/channels")
    assert (channels[0]["name"], channels[0]["state"]) == ("hook", "down")
    assert call("POST", "/channels/hok/test")[1]["error"]["hint"] == "did you mean `hook`"


def test_acknowledging_by_anybody_needs_the_scope(alert: queries.Alert) -> None:
    assert _api("alerts:read")("POST", f"/alerts/{alert.id}/acknowledge")[0] == 403
    actor = Actor("link", "x", frozenset({"alerts:write"}))
    assert verbs.acknowledge_alert(actor, alert.id).acknowledged_by == "link:x"
