"""Gatus: endpoints, conditions, alerting, maintenance, and what it does not carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.rigs.importing import Imported, holds_none_of, import_file, tells_every_leaf

from mainstay.kernel.patterns import compile_pattern, search

pytestmark = pytest.mark.usefixtures("store")
Capture = pytest.CaptureFixture[str]
SAMPLE = Path("tests/data/imports/gatus.yaml")


def imported(tmp_path: Path, capfd: Capture, text: str) -> Imported:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return import_file(tmp_path, capfd, "gatus", str(path))


def endpoint(tmp_path: Path, capfd: Capture, conditions: list[str], **fields: Any) -> Imported:
    document = {"name": "one", "url": "https://example.org", "conditions": conditions, **fields}
    return imported(tmp_path, capfd, yaml.safe_dump({"endpoints": [document]}))


def test_the_sample_is_carried(tmp_path: Path, capfd: Capture) -> None:
    found = import_file(tmp_path, capfd, "gatus", str(SAMPLE))
    monitors = found.file["monitors"]
    website = monitors["website"]
    assert website["http"] == {
        "url": "https://example.org/health",
        "headers": {"Accept": "application/json", "Authorization": "${env:GATUS_WEBSITE_AUTHORIZATION}"},
        "tls": {"verify": False},
        "redirects": {"follow": False},
    }
    assert website["expect"] == {
        "status": 200,
        "json": {
            "$.status": "UP",
            "$.data[0].id": "== 1",
            "$.users": "!= null",
            "$.name": r"=~ ^john[\s\S]*$",
            "$.kind": "=~ ^(?:a|b)$",
            "$.age": "> 3",
        },
        "certificate_days": 2.0,
        "down_after": "300ms",
    }
    assert website["confirm"] == {"failures": 2, "recheck": "5m"}
    assert website["labels"] == {
        "group": "core",
        "team": "web",
        "notify_slack_core": "yes",
        "notify_pagerduty": "yes",
    }
    shop = monitors["shop-website"]
    assert shop["enabled"] is False
    assert shop["expect"] == {
        "contains": "<h1>Example Domain</h1>",
        "not_contains": "error",
        "status": ["100-203", "205-399"],
    }
    assert monitors["graph"]["http"]["json"] == {"query": "{ users { name } }"}
    assert monitors["Größe-Maß"]["tcp"] == {"address": "127.0.0.1:6379", "send": "PING"}
    assert monitors["packets"] == {
        "icmp": "example.org",
        "expect": {"down_after": "50ms"},
        **{key: monitors["packets"][key] for key in monitors["packets"].keys() - {"icmp", "expect"}},
    }
    assert monitors["names"]["dns"] == {"name": "example.org", "resolver": "8.8.8.8"}
    assert monitors["names"]["expect"] == {"values": ["93.184.216.34", "93.184.216.35"], "match": "any"}
    assert monitors["certificate"]["expect"] == {"days": 30.0}
    assert monitors["mail"]["smtp"] == {"address": "mail.example.org:587", "security": "starttls"}
    assert found.file["heartbeats"]["ext-ep-test"] == {
        "title": "ext ep test",
        "every": "30m",
        "grace": "1s",
        "push_token": "${env:GATUS_EXT_EP_TEST_TOKEN}",
        "labels": {"group": "core", "notify_slack_core": "yes"},
        "description": "no report",
    }
    assert found.file["windows"] == {
        "website-maintenance": {"rule": "daily 02:30-03:30", "covers": ['monitor="website"']},
        "maintenance-monday": {"rule": "monday 23:00-03:00", "timezone": "Europe/Berlin"},
        "maintenance-thursday": {"rule": "thursday 23:00-03:00", "timezone": "Europe/Berlin"},
    }
    channels = found.file["channels"]
    assert channels["slack-core"] == {"slack": {"url": "${env:GATUS_SLACK_CORE_URL}"}}
    assert channels["pagerduty"] == {"pagerduty": {"routing_key": "${env:PAGERDUTY_KEY}"}, "resolved": False}
    assert channels["telegram"]["apprise"] == "${env:GATUS_TELEGRAM_URL}"
    assert channels["email"]["email"]["smtp"]["password"] == "${env:GATUS_EMAIL_PASSWORD}"


def test_the_report_tells_everything_but_secrets(tmp_path: Path, capfd: Capture) -> None:
    found = import_file(tmp_path, capfd, "gatus", str(SAMPLE))
    tells_every_leaf(found, yaml.safe_load(SAMPLE.read_text()))
    words = (
        "slack",
        "core",
        "telegram",
        "mail",
        "custom",
        "unused",
        "header",
        "url",
        "query",
        "ssh",
        "external",
        "other",
    )
    holds_none_of(found, [*(f"{word}secret" for word in words), "hunter2"])
    assert found.why("endpoints.3.surprising-field.inner") == "not carried: this import does not know the field"
    assert found.why("endpoints.10.url").startswith("not carried: needs the check kind `sctp`")
    assert found.why("alerting.discord.webhook-url") == "not carried: no endpoint alerts through it"
    assert found.why("endpoints.0.conditions.11") == "not carried: Mainstay has no expectation about [IP]"
    assert found.rows()["endpoints.0.conditions.3"]["line"] == 53
    assert found.secrets["GATUS_SHOP_WEBSITE_PASSWORD"] == "endpoints.1.url"
    assert "GATUS_TELEGRAM_URL: alerting.telegram" in found.told
    assert "tgram://<bot token>/<chat id>" in found.told


CONDITIONS: list[tuple[str, dict[str, Any]]] = [
    ("[STATUS] == 200", {"status": 200}),
    ("200 == [STATUS]", {"status": 200}),
    ("[STATUS] < 300", {"status": "100-299"}),
    ("[STATUS] <= 299", {"status": "100-299"}),
    ("[STATUS] > 400", {"status": "401-599"}),
    ("400 > [STATUS]", {"status": "100-399"}),
    ("[STATUS] == any(200, 429)", {"status": [200, 429]}),
    ("[STATUS] == pat(2*)", {"status": "200-299"}),
    ("[STATUS] != 500", {"status": ["100-499", "501-599"]}),
    ("[BODY] == 1", {"status": "100-599", "regex": r"\A\s*1\s*\z"}),
    ("[BODY] != a.b", {"status": "100-599", "not_regex": r"\A\s*a\.b\s*\z"}),
    ("[BODY] == any(a, b)", {"status": "100-599", "regex": r"\A\s*(?:a|b)\s*\z"}),
    ("[BODY] == pat(a*c)", {"status": "100-599", "regex": r"\A\s*a[\s\S]*c\s*\z"}),
    ("[BODY] == pat(?[a-c]x)", {"status": "100-599", "regex": r"\A\s*[\s\S][a-c]x\s*\z"}),
    ("[BODY] == pat(*a?*)", {"status": "100-599", "regex": r"\A\s*[\s\S]*a[\s\S][\s\S]*\s*\z"}),
    ("[BODY].a-b == x", {"status": "100-599", "json": {"$.a-b": "x"}}),
    ("[BODY][0].id == 7", {"status": "100-599", "json": {"$[0].id": "== 7"}}),
    ("[BODY].x == true", {"status": "100-599", "json": {"$.x": "== true"}}),
    ("[BODY].x == 1.5", {"status": "100-599", "json": {"$.x": "== 1.5"}}),
    ("[BODY].x != 5", {"status": "100-599", "json": {"$.x": "!= 5"}}),
    ("[BODY].x == any(1, two)", {"status": "100-599", "json": {"$.x": "=~ ^(?:1|two)$"}}),
    ("[BODY].x == >= 1", {"status": "100-599", "json": {"$.x": '== ">= 1"'}}),
    ("[BODY].x != y", {"status": "100-599", "json": {"$.x": '!= "y"'}}),
    ("[BODY].x <= 5", {"status": "100-599", "json": {"$.x": "<= 5"}}),
    ("[RESPONSE_TIME] < 1s", {"status": "100-599", "down_after": "1s"}),
    ("[CERTIFICATE_EXPIRATION] > 36h", {"status": "100-599", "certificate_days": 1.5}),
]


@pytest.mark.parametrize(("condition", "expect"), CONDITIONS)
def test_conditions_become_expectations(tmp_path: Path, capfd: Capture, condition: str, expect: dict[str, Any]) -> None:
    found = endpoint(tmp_path, capfd, [condition])
    assert found.file["monitors"]["one"]["expect"] == expect
    assert found.rows()["endpoints.0.conditions.0"]["status"] in ("carried", "approximated")


@pytest.mark.parametrize(
    "condition",
    [
        "[IP] == 127.0.0.1",
        "len([BODY].x) > 3",
        "has([BODY].x) == false",
        "[BODY].items[*].ok == true",
        "[BODY].a == [BODY].b",
        "[BODY].x < many",
        "[RESPONSE_TIME] > 5",
        "[CONNECTED] == false",
        "[CERTIFICATE_EXPIRATION] < 5h",
        "[DNS_RCODE] == NOERROR",
        "[STATUS] == abc",
        "[CONTEXT].x == 1",
    ],
)
def test_what_cannot_be_said_is_told(tmp_path: Path, capfd: Capture, condition: str) -> None:
    found = endpoint(tmp_path, capfd, [condition])
    row = found.rows()["endpoints.0.conditions.0"]
    assert (row["status"], bool(row["why"])) == ("not carried", True)
    assert found.file["monitors"]["one"]["expect"] == {"status": "100-599"}


def test_several_patterns_on_a_body_all_count(tmp_path: Path, capfd: Capture) -> None:
    found = endpoint(tmp_path, capfd, ["[BODY] == pat(a*)", "[BODY] != abc", "[BODY] == pat(*c)"])
    expect = found.file["monitors"]["one"]["expect"]

    def holds(body: str) -> bool:
        wanted = all(search(compile_pattern(pattern), body) for pattern in expect["regex"])
        return wanted and not search(compile_pattern(expect["not_regex"]), body)

    assert [holds(body) for body in ("a\nbc", "abbc\n", "abc", "abc\n", "xc", "ab")] == [True, True, *[False] * 4]


def test_a_condition_that_every_check_meets_is_without_effect(tmp_path: Path, capfd: Capture) -> None:
    found = endpoint(tmp_path, capfd, ["[CONNECTED] == true"])
    assert found.why("endpoints.0.conditions.0") == "without effect: every check needs the connection"


def test_a_plain_address_is_not_asked_for_a_certificate(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "gatus.yaml"
    condition = '"[CERTIFICATE_EXPIRATION] > 48h"'
    path.write_text(f"endpoints: [{{name: one, url: 'http://a.example', conditions: [{condition}]}}]")
    found = import_file(tmp_path, capfd, "gatus", str(path))
    assert "alert_on" not in found.file["monitors"]["one"]
    assert found.file["monitors"]["one"]["expect"] == {"status": "100-599"}
    assert found.why("endpoints.0.conditions.0").startswith("not carried: a plain address has no certificate")


def test_udp_needs_an_answer_only_where_one_is_looked_at(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "gatus.yaml"
    path.write_text("""
endpoints:
  - {name: log, url: "udp://a.example:514", conditions: ["[CONNECTED] == true"]}
  - {name: echo, url: "udp://a.example:7", body: hello, conditions: ["[BODY] == hello"]}
""")
    found = import_file(tmp_path, capfd, "gatus", str(path)).file["monitors"]
    assert found["log"]["expect"] == {"answer": False}
    assert found["echo"]["expect"] == {"regex": r"\A\s*hello\s*\z"}


def test_variables_of_the_environment_become_references(tmp_path: Path, capfd: Capture) -> None:
    text = """
endpoints:
  - name: one
    url: "https://${HOST}/a$$b?token=$TOKEN"
    headers: {Authorization: "Bearer ${API_TOKEN}"}
    interval: ${INTERVAL}
    conditions: ["[STATUS] == 200"]
"""
    found = imported(tmp_path, capfd, text)
    http = found.file["monitors"]["one"]["http"]
    assert http["url"] == "https://${env:HOST}/a$b?token=${env:TOKEN}"
    assert http["headers"]["Authorization"] in ("Bearer ${env:API_TOKEN}", "${env:GATUS_ONE_AUTHORIZATION}")
    assert found.why("endpoints.0.interval").startswith("not carried: it comes from the environment")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("endpoints: [", "config.yaml:2:1: error: this is not YAML"),
        ("", "config.yaml: error: the file is empty"),
        ("- 1", "config.yaml:1:1: error: the file must be a mapping"),
        ("endpoints: 5", "config.yaml:1:12: error: `endpoints` must be a list, not a number"),
        ("endpoints:\n  - 5", "config.yaml:2:5: error: an entry of `endpoints` must be a mapping"),
        ("endpoints:\n  - {url: x}", "config.yaml:2:5: error: an endpoint needs a `name`"),
        (
            "endpoints:\n  - {name: a, url: 'https://x.org', interval: soon}",
            "config.yaml:2:47: error: `soon` is not a duration such as 30s or 5m",
        ),
        (
            "endpoints:\n  - {name: a, url: 'https://x.org', conditions: [nonsense]}",
            "`nonsense` is not a condition such as `[STATUS] == 200`",
        ),
        ("maintenance: {start: noon, duration: 1h}", "`start` must be a time such as 23:00"),
        ("endpoints: !!python/object:os.system {}", "is not allowed"),
    ],
)
def test_broken_input_is_told_with_its_place(tmp_path: Path, capfd: Capture, text: str, words: str) -> None:
    found = imported(tmp_path, capfd, text)
    assert found.code == 2
    assert words in found.told
    assert "nothing was written" in found.told


def test_all_mistakes_are_told_at_once(tmp_path: Path, capfd: Capture) -> None:
    text = "endpoints:\n" + "".join(f"  - {{name: n{n}, url: 'https://x.org', interval: bad}}\n" for n in range(5))
    assert imported(tmp_path, capfd, text).told.count("is not a duration") == 5


def test_what_a_monitor_cannot_hold_is_left_out_and_told(tmp_path: Path, capfd: Capture) -> None:
    text = """
endpoints:
  - {name: bad address, url: "tcp://no port", conditions: []}
  - {name: long, url: "https://example.org", client: {timeout: 10m}, interval: 100h, conditions: []}
  - {name: method, url: "https://example.org", method: BREW, conditions: []}
"""
    found = imported(tmp_path, capfd, text)
    assert found.file["monitors"].keys() == {"long", "method"}
    assert found.why("endpoints.0.url").startswith("not carried: it cannot become a monitor")
    assert found.file["monitors"]["long"]["timeout"] == "2m"
    assert found.why("endpoints.1.interval").startswith("approximated: it must be between")
    assert found.why("endpoints.2.method").startswith("not carried: Mainstay sends GET")


def test_a_domain_becomes_a_monitor_of_its_own_where_there_is_the_kind(tmp_path: Path, capfd: Capture) -> None:
    from mainstay.runtime.kinds import check_kinds

    found = endpoint(tmp_path, capfd, ["[DOMAIN_EXPIRATION] > 720h"], interval="1h")
    if "domain" in check_kinds():
        assert found.file["monitors"]["one-domain"] == {
            "domain": "example.org",
            "expect": {"days": 30.0, "down_days": 30.0},
        }
    else:
        assert found.why("endpoints.0.conditions.0").startswith("not carried: needs the check kind `domain`")


def test_providers_of_every_sort(tmp_path: Path, capfd: Capture) -> None:
    providers = {
        "discord": {"webhook-url": "https://discord.com/api/webhooks/1/x", "title": "Down!"},
        "opsgenie": {"api-key": "k"},
        "clickup": {"token": "t", "list-id": "1"},
        "custom": {"url": "https://x.org/hook", "method": "POST"},
    }
    alerts = [{"type": name} for name in providers] + [
        {"type": "slack", "provider-override": {"webhook-url": "https://hooks.slack.com/own"}},
        {"type": "discord", "enabled": False},
    ]
    providers["slack"] = {"webhook-url": "https://hooks.slack.com/all"}
    document = {
        "alerting": providers,
        "endpoints": [{"name": "one", "url": "https://x.org", "conditions": ["[STATUS] == 200"], "alerts": alerts}],
    }
    found = imported(tmp_path, capfd, yaml.safe_dump(document))
    channels = found.file["channels"]
    assert channels.keys() == {"discord", "opsgenie", "custom", "slack-one"}
    assert channels["discord"]["apprise"] == "${env:GATUS_DISCORD_URL}"
    assert [route["to"] for route in found.file["routes"]] == [["discord"], ["opsgenie"], ["custom"], ["slack-one"]]
    assert not any("match" in route for route in found.file["routes"])
    assert found.why("alerting.clickup.token").startswith("not carried: Mainstay has no channel for clickup")
    assert found.why("alerting.discord.title") == "not carried: Mainstay words its messages itself"
    assert found.why("endpoints.0.alerts.5.type") == "not carried: the alert is switched off"


DNS_CONDITIONS = [
    ("[DNS_RCODE] == NXDOMAIN", "carried", {"rcode": "NXDOMAIN"}),
    ("[DNS_RCODE] == any(NOERROR, NXDOMAIN)", "carried", {"rcode": ["NOERROR", "NXDOMAIN"]}),
    ("[DNS_RCODE] != SERVFAIL", "approximated", {"rcode": ["NOERROR", "FORMERR", "NXDOMAIN", "NOTIMP", "REFUSED"]}),
    ("[DNS_RCODE] == BADSIG", "not carried", {}),
    ("[DNS_RCODE] > 3", "not carried", {}),
    ("[BODY] == 192.0.2.1", "carried", {"values": ["192.0.2.1"]}),
    ("[BODY] == pat(*.example.com)", "approximated", {"answer": {"some": [r"\t(?:[\s\S]*\.example\.com)\.?\z"]}}),
    ("[BODY] != 192.0.2.1", "approximated", {"answer": {"none": [r"\t(?:192\.0\.2\.1)\.?\z"]}}),
    ("[BODY] != any(a.example, b.example)", "approximated",
     {"answer": {"none": [r"\t(?:a\.example|b\.example)\.?\z"]}}),
    ("[BODY] > 3", "not carried", {}),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "status", "wanted"), DNS_CONDITIONS)
def test_conditions_on_answers_of_dns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], condition: str, status: str, wanted: dict[str, Any]
) -> None:
    query = {"query-name": "a.example", "query-type": "A"}
    endpoint = {"name": "dns", "url": "192.0.2.53", "dns": query, "conditions": [condition]}
    path = tmp_path / "gatus.yaml"
    path.write_text(yaml.safe_dump({"endpoints": [endpoint]}))
    found = import_file(tmp_path, capfd, "gatus", str(path))
    assert found.rows()["endpoints.0.conditions.0"]["status"] == status
    (monitor,) = found.file["monitors"].values()
    expect = monitor.get("expect", {})
    assert {key: value for key, value in expect.items() if key in ("rcode", "values", "answer")} == wanted
