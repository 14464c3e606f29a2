"""Slack, PagerDuty and Apprise: what they publish about their formats, held against what is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.channel_rigs import notification
from tests.rigs.receivers import Receiver, Reply, Request, receiver

from mainstay.frames.boot import current_settings
from mainstay.integrations.channels.apprise import deliver as apprise_channel
from mainstay.integrations.channels.pagerduty import deliver as pagerduty
from mainstay.integrations.channels.slack import deliver as slack
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext
from mainstay.kernel.resource import KINDS

NOW = 1_800_000_000.0


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def _context() -> DeliveryContext:
    return DeliveryContext(current_settings(), NOW, 5.0)


def _check_blocks(blocks: list[dict[str, Any]]) -> None:
    """The limits of Block Kit's reference."""
    assert len(blocks) <= 50
    for block in blocks:
        if block["type"] == "header":
            assert block["text"]["type"] == "plain_text"
            assert 1 <= len(block["text"]["text"]) <= 150
        elif block["type"] == "section":
            assert ("text" in block) != ("fields" in block)
            assert len(block.get("text", {"text": ""})["text"]) <= 3000
            assert len(block.get("fields", [])) <= 10
            assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))
        else:
            assert block["type"] == "actions"
            assert 1 <= len(block["elements"]) <= 25
            for button in block["elements"]:
                assert button["type"] == "button"
                assert len(button["text"]["text"]) <= 75
                assert len(button["url"]) <= 3000


@pytest.mark.parametrize("status", ["firing", "resolved", "test"])
@pytest.mark.parametrize("summary", ["short", "x" * 20_000, ""])
def test_slack_messages_keep_within_the_limits(server: Receiver, status: str, summary: str) -> None:
    slack.deliver({"url": server.url}, notification(status, summary=summary, title=summary or "t"), _context())
    body = server.requests[0].json
    assert set(body) == {"text", "attachments"}
    assert 1 <= len(body["text"]) <= 3000
    (attachment,) = body["attachments"]
    assert attachment["color"].startswith("#")
    _check_blocks(attachment["blocks"])


def test_slack_texts_cannot_mention_or_link(server: Receiver) -> None:
    slack.deliver({"url": server.url}, notification(), _context())
    said = server.requests[0].body.decode()
    assert "<!channel>" not in said
    assert "&lt;!channel&gt;" in said
    elements = server.requests[0].json["attachments"][0]["blocks"][-1]["elements"]
    assert [button["url"] for button in elements if button["action_id"] == "mainstay_acknowledge"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [(404, b"no_service", Refused), (410, b"channel_is_archived", Refused), (500, b"rollup_error", Unavailable)],
)
def test_slack_says_in_words_what_is_wrong(server: Receiver, status: int, body: bytes, expected: Any) -> None:
    server.answer = lambda _: Reply(status, body=body)
    with pytest.raises(expected, match=body.decode()):
        slack.deliver({"url": server.url}, notification(), _context())


def _pagerduty(request: Request) -> Reply:
    """Answers as the Events API v2 does: 202, or 400 for an event that lacks something."""
    event = request.json
    complete = {"routing_key", "event_action", "dedup_key"} <= set(event) and len(event["dedup_key"]) <= 255
    if event["event_action"] == "trigger":
        payload = event["payload"]
        complete &= {"summary", "source", "severity"} <= set(payload)
        complete &= 1 <= len(payload["summary"]) <= 1024
        complete &= payload["severity"] in ("critical", "error", "warning", "info")
        complete &= all(set(link) <= {"href", "text"} and link["href"] for link in event["links"])
    if not complete or event["event_action"] not in ("trigger", "acknowledge", "resolve"):
        return Reply(400, body=b'{"status":"invalid event"}')
    return Reply(202, body=b'{"status":"success","message":"Event processed"}')


@pytest.mark.parametrize(
    ("severity", "expected"), [("P0", "critical"), ("P1", "error"), ("P2", "warning"), ("P3", "info")]
)
def test_pagerduty_severities(server: Receiver, severity: str, expected: str) -> None:
    server.answer = _pagerduty
    target = {"url": server.url, "routing_key": "R" * 32}
    pagerduty.deliver(target, notification(severity=severity, summary="x" * 5000), _context())
    event = server.requests[0].json
    assert event["payload"]["severity"] == expected
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == ("trigger", "01alert", "R" * 32)
    assert event["payload"]["timestamp"] == "2027-01-15T07:57:00.000Z"


def test_pagerduty_ends_what_it_began_and_closes_tests_itself(server: Receiver) -> None:
    server.answer = _pagerduty
    target = {"url": server.url, "routing_key": "key"}
    pagerduty.deliver(target, notification("resolved"), _context())
    assert server.requests[0].json == {"routing_key": "key", "event_action": "resolve", "dedup_key": "01alert"}
    pagerduty.deliver(target, notification("test"), _context())
    assert [request.json["event_action"] for request in server.requests[1:]] == ["trigger", "resolve"]
    assert server.requests[1].json["payload"]["severity"] == "error"


def test_apprise_sends_title_text_and_kind(server: Receiver) -> None:
    url = server.url.replace("http://", "json://")
    apprise_channel.deliver({"url": url}, notification(), _context())
    apprise_channel.deliver({"url": url}, notification("resolved"), _context())
    first, second = (request.json for request in server.requests)
    assert (first["title"], first["type"]) == ("[P1] api is down", "failure")
    assert "Since: 2027-01-15 07:57:00 UTC (3 min ago)" in first["message"]
    assert second["type"] == "success"


def test_apprise_does_not_follow_redirects(server: Receiver) -> None:
    server.answer = lambda request: Reply(307, {"Location": f"{server.url}/elsewhere"})
    with pytest.raises(Unavailable):
        apprise_channel.deliver({"url": server.url.replace("http://", "json://")}, notification(), _context())
    assert [request.path for request in server.requests] == ["/"]


@pytest.mark.parametrize("url", ["nonsense", "garbage://x", "slack://bad", ""])
def test_apprise_refuses_what_it_does_not_understand_without_repeating_it(url: str) -> None:
    with pytest.raises(Refused, match="does not recognise") as caught:
        apprise_channel.deliver({"url": url}, notification(), _context())
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        {"slack": "https://hooks.slack.com/services/T/B/x"},
        {"slack": "http://127.0.0.1.example.com/x"},
        {"pagerduty": "0123456789abcdef0123456789abcdef"},
        {"apprise": "tgram://123456:token/42"},
        {"apprise": "json://user:password@h.example/"},
        {"apprise": "json://h.example/?+X-Token=abc"},
        {"apprise": "json://${env:HOST}/x?${env:Q}"},
    ],
)
def test_credentials_written_out_are_refused_with_what_to_write(document: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"\$\{env:"):
        KINDS["channel"].validate(document)


@pytest.mark.parametrize(
    "document",
    [
        {"slack": "${env:SLACK_URL}"},
        {"slack": "http://127.0.0.1:8080/x"},
        {"pagerduty": "${file:pagerduty}"},
        {"apprise": "${env:CHAT_URL}"},
        {"apprise": "jsons://h.example/hook"},
    ],
)
def test_references_and_keyless_addresses_are_welcome(document: dict[str, str]) -> None:
    assert KINDS["channel"].validate(document)
