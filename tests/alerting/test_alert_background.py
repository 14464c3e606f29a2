"""What helps whoever is woken reaches them: the description, links in labels, a job's last output and exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.rigs.pinging import Served, heartbeat, serving
from tests.rigs.receivers import decide, declare, happen

from mainstay.alerting import queries
from mainstay.alerting.delivery import Room, claim_due
from mainstay.frames.boot import current_settings
from mainstay.integrations.channels.apprise.deliver import plain_text
from mainstay.integrations.channels.email.message import html_of
from mainstay.integrations.channels.pagerduty.deliver import document_of as pager_document
from mainstay.integrations.channels.slack.deliver import document_of as slack_document
from mainstay.integrations.channels.webhook.deliver import body_of
from mainstay.kernel.actor import system
from mainstay.kernel.ports import Notification

RUNBOOK = "https://wiki.example.com/run?a=1&b=2"
MORE = "https://wiki.example.com/more"


@pytest.fixture
def served(store: None, clock: Any) -> Iterator[Served]:
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    with serving(clock) as found:
        yield found


def _message(clock: Any) -> Notification:
    decide(clock)
    (claim,) = claim_due(system("lane"), current_settings(), Room(lambda *_: 9), 60, clock)
    return claim.message


def _everywhere(message: Notification, now: float) -> dict[str, str]:
    """The message as each kind of channel says it."""
    return {
        "webhook": body_of(message).decode(),
        "slack": json.dumps(slack_document(message, now)).replace("&amp;", "&"),
        "pagerduty": json.dumps(pager_document(message, now)),
        "plain text": plain_text(message, now),
        "mail": html_of(message, now).replace("&amp;", "&"),
    }


def test_a_failed_job_tells_its_exit_status_and_output_everywhere(served: Served, clock: Any) -> None:
    view = heartbeat("backup", description=f"Nightly dump, see {MORE}.", labels={"runbook_url": RUNBOOK})
    served.turn()
    served.client.post(f"/ping/{view.uuid}")
    served.client.post(f"/ping/{view.uuid}/3", content="step 1\ndisk is full\n")
    message = _message(clock)
    assert message.alert["title"] == "backup exited with 3"
    assert message.alert["summary"] == "the job ended with exit status 3"
    for kind, text in _everywhere(message, clock.now()).items():
        for part in ("disk is full", "Nightly dump", MORE, RUNBOOK):
            assert part in text, f"{kind} lacks {part}"
        assert "every 3600" not in text or kind == "webhook"
        assert "exit_3" not in text or kind in ("webhook", "pagerduty")  # their `code` and `class` are for programs
    text = plain_text(message, clock.now())
    assert "Exit status: 3\n" in text
    assert "Schedule: every 1 h\n" in text
    assert f"Runbook: {RUNBOOK}" in text


def test_addresses_in_a_description_are_links_in_mail_and_others_are_not(served: Served, clock: Any) -> None:
    uid = declare("monitor", "api", {"http": "https://api.example.com", "description": f"({RUNBOOK}), then\n{MORE}."})
    happen("monitor.went_down", "monitor/api", clock, uid=uid, message="see https://evil.example.com/ <b>")
    html = html_of(_message(clock), clock.now())
    assert f'<a href="{RUNBOOK.replace("&", "&amp;")}">' in html
    assert f'<a href="{MORE}">{MORE}</a>.' in html
    assert 'href="https://evil' not in html
    assert "<b>" not in html


def test_output_keeps_its_lines_and_adds_nothing_to_a_page(served: Served, clock: Any) -> None:
    view = heartbeat("backup")
    served.turn()
    served.client.post(f"/ping/{view.uuid}")
    served.client.post(f"/ping/{view.uuid}/fail", content=b"one\r\n\x1b[31mtwo\xff</span>\r\n.\r\nthree")
    message = _message(clock)
    assert message.alert["title"] == "backup reported a failure"
    assert "Output:\none\n [31mtwo\ufffd</span>\n.\nthree\n" in plain_text(message, clock.now())
    assert "two\ufffd&lt;/span&gt;" in html_of(message, clock.now())


def test_a_missed_ping_did_not_report_in_and_one_that_runs_on_did_not_end(served: Served, clock: Any) -> None:
    for name, path in (("missed", ""), ("overran", "/start")):
        view = heartbeat(name, every="1m", grace="30s")
        served.turn()
        served.client.get(f"/ping/{view.uuid}{path}")
    for _ in range(60):
        clock.advance(4)
        served.turn()
    titles = {alert.name: alert.title for alert in queries.alerts()}
    assert titles == {"missed": "missed did not report in", "overran": "overran did not end in time"}
