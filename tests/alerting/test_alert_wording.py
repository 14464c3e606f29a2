from __future__ import annotations

import pytest

from mainstay.kernel.ports import Notification
from mainstay.kernel.wording import ago, facts, heading, instant, lasting, one_line, percent, plain_text, who


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (185, "3 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
        (-5, "0 s"),
    ],
)
def test_lengths_as_people_say_them(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_ago_and_instants() -> None:
    assert ago(100, 280) == "3 min ago"
    assert ago(100, 100.5) == "just now"
    assert instant("1970-01-01T00:01:40.000Z") == 100
    assert instant(None) is None


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        ("user:ops@example.com", "ops@example.com"),
        ("token:deploy", "the token deploy"),
        ("command:root", "root at the command line"),
        ("system:watch", "Mainstay (watch)"),
        ("erased person", "erased person"),
        ("", ""),
    ],
)
def test_who_did_it_is_a_name_and_not_a_code(actor: str, words: str) -> None:
    assert who(actor) == words


@pytest.mark.parametrize(
    ("share", "digits", "figure"),
    [
        (1.0, 2, 100.0), (0.99996, 2, 99.99), (0.9999999999, 2, 99.99), (0.9999, 2, 99.99), (0.99999, 4, 99.999),
        (0.999, 1, 99.9), (0.57, 2, 57.0), (0.29, 2, 29.0), (0.75, 2, 75.0), (0.0, 2, 0.0), (0.996, 0, 99.0),
    ],
)  # fmt: skip
def test_an_uptime_is_cut_off_and_never_rounded_up(share: float, digits: int, figure: float) -> None:
    assert percent(share, digits) == figure


def test_one_line_takes_no_line_breaks_and_cuts() -> None:
    assert one_line("a\r\nBcc: x\x00\u2028b\tc") == "a Bcc: x b c"
    assert one_line("x" * 300, 10) == "x" * 9 + "\u2026"


def test_a_message_answers_what_since_when_why_and_what_changed() -> None:
    alert = {
        "id": "a1",
        "monitor": "api",
        "severity": "P1",
        "labels": {"monitor": "api", "severity": "P1", "team": "web"},
        "since": "2026-01-02T03:00:00.000Z",
        "until": None,
        "kind": "monitor",
        "title": "api is down",
        "summary": "connection refused",
    }
    evidence = {"phase": "connect", "code": "connect.refused", "error": "connection refused", "address": "https://x"}
    message = Notification("n1", "firing", alert, evidence, {"acknowledge": "https://m/a/t"}, ("changed by oncall",))
    now = instant("2026-01-02T03:03:00.000Z") or 0.0
    known = dict(facts(message, now))
    assert known["Since"] == "2026-01-02 03:00:00 UTC (3 min ago)"
    assert known["Code"] == "connect.refused"
    assert known["Labels"] == "team=web"
    assert known["Changed lately"] == "changed by oncall"
    assert "Until" not in known
    assert heading(message) == "[P1] api is down"
    assert plain_text(message, now).endswith("Acknowledge: https://m/a/t")
