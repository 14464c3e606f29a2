"""Every field of every type of Uptime Kuma's monitors: what is said to be carried makes a difference in the file."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rigs.kuma_source import MONITOR

from mainstay.foreign.commands import _register as registered
from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.kuma import import_kuma
from mainstay.foreign.importing.report import Row
from mainstay.foreign.importing.source import root
from mainstay.kernel.diagnostics import Place

# What 2.x adds to MONITOR.
LATER: dict[str, Any] = {
    "bearer_token": None,
    "cacheBust": False,
    "ipFamily": None,
    "domainExpiryNotification": False,
    "retryOnlyOnStatusCodeFailure": False,
    "saveErrorResponse": False,
    "wsSubprotocol": "",
    "wsIgnoreSecWebsocketAcceptHeader": False,
    "mqttCheckType": "keyword",
    "mqttWebsocketPath": None,
    "jsonPathOperator": None,
    "smtpSecurity": None,
    "conditions": [],
    "ntpStratumThreshold": 5,
    "ntpTimeOffsetThreshold": 1000,
    "ntpRootDispersionThreshold": 500,
    "expectedTlsAlert": None,
    "remote_browser": None,
    "screenshot_delay": 0,
    "ping_count": 1,
    "ping_numeric": True,
    "radiusPassword": None,
}
TYPES: dict[str, dict[str, Any]] = {
    "http": {"url": "https://a.example"},
    "keyword": {"url": "https://a.example", "keyword": "ok"},
    "json-query": {"url": "https://a.example", "jsonPath": "$.a", "expectedValue": "x"},
    "port": {"hostname": "a.example", "port": 25},
    "ping": {"hostname": "a.example"},
    "dns": {"hostname": "a.example", "port": 53},
    "docker": {"docker_container": "web", "docker_host": 1},
    "postgres": {"databaseConnectionString": "postgres://me@a.example/shop"},
    "mysql": {"databaseConnectionString": "mysql://me@a.example/shop"},
    "redis": {"databaseConnectionString": "rediss://a.example"},
    "mongodb": {"databaseConnectionString": "mongodb://a.example/shop"},
    "grpc-keyword": {"grpcUrl": "a.example:9000"},
    "websocket-upgrade": {"url": "wss://a.example"},
    "smtp": {"hostname": "a.example"},
    "mqtt": {"hostname": "a.example", "mqttTopic": "t", "mqttSuccessMessage": "ok"},
    "ntp": {"hostname": "a.example"},
    "real-browser": {"url": "https://a.example"},
    "push": {"pushToken": "abc"},
}
CHANGED: dict[str, Any] = {
    "description": "words",
    "url": "https://b.example",
    "method": "POST",
    "hostname": "b.example",
    "port": 587,
    "maxretries": 3,
    "active": False,
    "timeout": 7,
    "interval": 90,
    "keyword": "fine",
    "invertKeyword": True,
    "expiryNotification": True,
    "ignoreTls": True,
    "packetSize": 99,
    "maxredirects": 0,
    "accepted_statuscodes": ["418"],
    "dns_resolve_type": "MX",
    "dns_resolve_server": "9.9.9.9",
    "docker_container": "other",
    "docker_host": 2,
    "mqttTopic": "u",
    "mqttSuccessMessage": "well",
    "databaseQuery": '{"count": "jobs"}',
    "authMethod": "ntlm",
    "grpcUrl": "b.example:9000",
    "grpcServiceName": "s",
    "grpcEnableTls": True,
    "jsonPath": "$.b",
    "expectedValue": "y",
    "headers": '{"X-A": "b"}',
    "body": '{"a": 1}',
    "tlsCa": "PEM",
    "databaseConnectionString": "postgres://you@b.example/shop",
    "mqttUsername": "me",
    "mqttPassword": "secret",
    "pushToken": "def",
    "cacheBust": True,
    "ipFamily": "ipv4",
    "domainExpiryNotification": True,
    "retryOnlyOnStatusCodeFailure": True,
    "saveErrorResponse": True,
    "wsSubprotocol": "a, b",
    "wsIgnoreSecWebsocketAcceptHeader": True,
    "mqttCheckType": "json-query",
    "mqttWebsocketPath": "/mqtt",
    "jsonPathOperator": ">",
    "smtpSecurity": "starttls",
    "conditions": [{"type": "expression", "variable": "record", "operator": "equals", "value": "192.0.2.1"}],
    "ntpStratumThreshold": 3,
    "ntpTimeOffsetThreshold": 100,
    "ntpRootDispersionThreshold": 100,
    "expectedTlsAlert": "certificate_required",
    "remote_browser": 1,
    "screenshot_delay": 5,
    "ping_count": 3,
    "ping_numeric": False,
    "radiusPassword": "secret",
}
# Kuma uses these, and they say something: they may be carried or not, but are never without effect.
USED = {
    "http": {"cacheBust", "domainExpiryNotification", "expiryNotification", "ignoreTls", "ipFamily"},
    "json-query": {"retryOnlyOnStatusCodeFailure", "jsonPath", "expectedValue", "jsonPathOperator"},
    "port": {"smtpSecurity", "expectedTlsAlert", "domainExpiryNotification"},
    "dns": {"conditions", "timeout"},
    "postgres": {"conditions", "databaseQuery"},
    "redis": {"ignoreTls"},
    "mongodb": {"databaseQuery", "jsonPath", "expectedValue"},
    "websocket-upgrade": {"wsSubprotocol", "accepted_statuscodes", "wsIgnoreSecWebsocketAcceptHeader"},
    "mqtt": {"mqttCheckType", "conditions", "mqttWebsocketPath"},
    "ntp": {"ntpStratumThreshold", "ntpTimeOffsetThreshold", "ntpRootDispersionThreshold"},
    "real-browser": {"remote_browser", "screenshot_delay"},
}
KINDS = registered()


def imported(fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Row]]:
    """The file, and the row of each field of the one monitor."""
    data = {"monitor": {"1": {"id": 1, "name": "m", **MONITOR, **LATER, **fields}}}
    node = root("kuma", data, lambda _path: Place("kuma"))
    draft = Draft(node.report, "kuma", KINDS)
    import_kuma(node, draft)
    node.report.diagnostics.raise_if_errors()
    document = draft.finish()
    return document, {row.path.removeprefix("monitor.1."): row for row in node.report.rows()}


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_carried_is_in_the_file(kind: str) -> None:
    base = {"type": kind, **TYPES[kind]}
    before, _ = imported(base)
    assert before
    for name, value in CHANGED.items():
        after, rows = imported(base | {name: value})
        row = next(row for path, row in rows.items() if path == name or path.startswith(f"{name}."))
        if row.status in ("carried", "approximated"):
            assert after != before or row.to[0].endswith(("password", "push_token")), (name, row)
        if name in USED.get(kind, ()):
            assert row.status != "without effect", (name, row)


def made(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = imported(fields)[0]["monitors"]["m"]
    return {name: value for name, value in found.items() if name not in ("every", "timeout", "confirm", "recover")}


def test_the_expiry_of_a_domain_is_told_by_one_monitor_for_all_that_are_in_it() -> None:
    monitors = {
        str(number): {
            "id": number,
            "name": f"m{number}",
            **MONITOR,
            **WEB,
            "url": url,
            "domainExpiryNotification": True,
        }
        for number, url in enumerate(
            ["https://www.example.org/a", "https://example.org:8443", "https://api.example.org", "https://box.lan"]
        )
    }
    node = root("kuma", {"monitor": monitors}, lambda _path: Place("kuma"))
    draft = Draft(node.report, "kuma", KINDS)
    import_kuma(node, draft)
    found = draft.finish()["monitors"]
    own = {"domain": "example.org", "expect": {"days": 21}, "alert_on": ["down", "degraded"]}
    assert {name: one for name, one in found.items() if "domain" in one} == {"domain-example.org": own}
    rows = {row.path: row.status for row in node.report.rows()}
    told = [rows[f"monitor.{number}.domainExpiryNotification"] for number in range(4)]
    assert told == ["approximated", "approximated", "not carried", "not carried"]


def condition(operator: str, value: str, variable: str = "record", join: str = "and") -> dict[str, str]:
    return {"type": "expression", "andOr": join, "variable": variable, "operator": operator, "value": value}


WEB = {"type": "http", "url": "https://a.example"}
NAMED = {"type": "dns", "hostname": "a.example", "port": 53, "dns_resolve_type": "MX"}
DATABASE = {"type": "postgres", "databaseConnectionString": "postgres://a.example/shop", "databaseQuery": "SELECT 5"}
MQTT = {"type": "mqtt", "hostname": "a.example", "port": 1883, "mqttTopic": "t"}
MONGO = {"type": "mongodb", "databaseConnectionString": "mongodb://a.example/shop"}
CARRIED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        WEB | {"authMethod": "bearer", "bearer_token": "secret"},
        {"http": {"url": "https://a.example", "auth": {"bearer": "${env:KUMA_M_TOKEN}"}}},
    ),
    (WEB | {"cacheBust": True}, {"http": {"url": "https://a.example", "cache_bust": True}}),
    (WEB | {"url": "http://a.example", "expiryNotification": True}, {"http": "http://a.example"}),
    (
        NAMED | {"conditions": [condition("equals", "mx.a.example"), condition("contains", "b", join="or")]},
        {
            "dns": {"name": "a.example", "type": "MX", "resolver": "1.1.1.1"},
            "expect": {"answer": {"some": [r"\tMX\t\d+ mx\.a\.example\.?$", r"\tMX\t.*b"]}},
        },
    ),
    (DATABASE | {"conditions": [condition("equals", "5", "result")]}, {"expect": {"value": "== 5"}}),
    (DATABASE | {"conditions": [condition("starts_with", "a.b", "result")]}, {"expect": {"value": r"=~ ^a\.b"}}),
    (
        MONGO | {"databaseQuery": '{"count": "jobs"}', "jsonPath": "n", "expectedValue": "0"},
        {"mongodb": {"address": "a.example:27017", "database": "shop", "command": {"count": "jobs"}},
         "expect": {"json": {"$.n": "== 0"}}},
    ),
    (
        {"type": "port", "hostname": "a.example", "port": 465, "smtpSecurity": "secure", "expiryNotification": True},
        {"tls": "a.example:465", "expect": {"days": 21}, "alert_on": ["down", "degraded"]},
    ),
    (
        {"type": "port", "hostname": "a.example", "port": 143, "smtpSecurity": "starttls"},
        {"imap": {"address": "a.example:143", "security": "starttls"}},
    ),
    (
        {"type": "websocket-upgrade", "url": "wss://a.example", "wsSubprotocol": "a, b"},
        {"websocket": {"url": "wss://a.example", "subprotocols": ["a", "b"]}},
    ),
    (
        {"type": "websocket-upgrade", "url": "wss://a.example", "accepted_statuscodes": ["1000", "3000"]},
        {"websocket": "wss://a.example", "expect": {"close": [1000, 3000]}},
    ),
    (
        MQTT | {"mqttCheckType": "json-query", "jsonPath": "state.open", "expectedValue": "true"},
        {"mqtt": {"address": "a.example:1883", "topic": "t"}, "expect": {"json": {"$.state.open": "== true"}}},
    ),
    (
        MQTT | {"jsonPath": "$.n", "conditions": [condition("lt", "5", "json_value")]},
        {"expect": {"json": {"$.n": "< 5"}}},
    ),
    (
        {"type": "redis", "databaseConnectionString": "rediss://a.example", "ignoreTls": True},
        {"redis": {"address": "a.example:6379", "tls": True, "verify": False}},
    ),
    (
        {"type": "ntp", "hostname": "a.example", "ntpStratumThreshold": 4, "ntpTimeOffsetThreshold": 250},
        {"ntp": "a.example:123", "expect": {"stratum": 3, "offset": "250ms"}},
    ),
    ({"type": "real-browser", "url": "https://a.example"}, {"browser": "https://a.example"}),
    ({"type": "smtp", "hostname": "a.example"}, {"smtp": {"address": "a.example:25", "security": "none"}}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "wanted"), CARRIED)
def test_fields_go_where_they_belong(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    found = made(**fields)
    assert {name: found.get(name) for name in wanted} == wanted
    assert "expect" in wanted or "expect" not in found


def test_notifications_may_be_a_list() -> None:
    data: dict[str, Any] = {
        "monitor": {"1": {"id": 1, "name": "m", **MONITOR, **WEB, "notificationIDList": [7]}},
        "notification": {"7": {"id": 7, "name": "hook", "config": {"type": "webhook", "webhookURL": "https://h"}}},
    }
    node = root("kuma", data, lambda _path: Place("kuma"))
    draft = Draft(node.report, "kuma", KINDS)
    import_kuma(node, draft)
    assert draft.finish()["routes"] == [{"name": "to-hook", "to": ["hook"]}]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, {"port": 587, "security": "opportunistic"}),
        ({"smtpPort": 25, "smtpSecure": False}, {"port": 25, "security": "opportunistic"}),
        ({"smtpPort": 25, "smtpIgnoreSTARTTLS": True}, {"port": 25, "security": "none"}),
        ({"smtpSecure": True}, {"port": 465, "security": "tls"}),
    ],
)
def test_mail_goes_out_as_it_did(settings: dict[str, Any], wanted: dict[str, Any]) -> None:
    config = {"type": "smtp", "smtpHost": "mail.example", "smtpTo": "a@a.example", "smtpCC": "b@a.example", **settings}
    node = root("kuma", {"notification": {"1": {"id": 1, "name": "mail", "config": config}}}, lambda _path: Place("k"))
    draft = Draft(node.report, "kuma", KINDS)
    import_kuma(node, draft)
    email = draft.finish()["channels"]["mail"]["email"]
    assert email == {"to": ["a@a.example", "b@a.example"], "smtp": {"host": "mail.example", **wanted}}
