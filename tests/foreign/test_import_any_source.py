"""Whatever a source holds: either all its mistakes are told, or a file that can be applied, a word on every field,
and no secret in either."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.foreign.commands import _register as registered
from mainstay.foreign.importing.blackbox import import_blackbox
from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.gatus import import_gatus
from mainstay.foreign.importing.healthchecks import import_healthchecks
from mainstay.foreign.importing.kuma import import_kuma
from mainstay.foreign.importing.kuma_source import read_kuma
from mainstay.foreign.importing.prometheus import import_prometheus
from mainstay.foreign.importing.report import dotted, leaves
from mainstay.foreign.importing.source import Node, read_document, root
from mainstay.foreign.importing.uptimerobot import import_uptimerobot, read_uptimerobot
from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.kernel.errors import InvalidInput, UserError
from mainstay.store.resources.declarations import declared
from mainstay.store.resources.documents import Document, read_text
from mainstay.store.resources.export import to_yaml
from mainstay.store.resources.references import check_references

KINDS = registered()
SECRET = "hunter2-S3CR3T"
Fill = Callable[[Node, Draft], object]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 100_000),
    st.floats(-10, 1e6, allow_nan=False),
    st.sampled_from(
        [
            "",
            "x",
            "30s",
            "5m",
            "https://example.org/a?b=c",
            "example.org",
            "10.0.0.1:53",
            "tcp://a.example:1",
            "#",
            "a b",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=12),
)


def around(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings that look like the real thing, with anything in the place of some values and unknown fields."""
    junk = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.text(max_size=5), scalars, max_size=2))
    fields = {
        key: st.one_of(value if isinstance(value, st.SearchStrategy) else st.just(value), junk)
        for key, value in known.items()
    }
    return st.fixed_dictionaries({}, optional={**fields, "unknown-field": junk})


conditions = st.lists(
    st.sampled_from(
        [
            "[STATUS] == 200",
            "[BODY].a == b",
            "len([BODY]) > 1",
            "[BODY] == pat(*x*)",
            "[IP] == 1",
            "nonsense",
            "[BODY]. == x",
        ]
    ),
    max_size=3,
)
gatus = around(
    {
        "endpoints": st.lists(
            around(
                {
                    "name": "one",
                    "group": "core",
                    "url": st.sampled_from(
                        [
                            "https://e.org",
                            "icmp://e.org",
                            "tcp://e.org:1",
                            "8.8.8.8",
                            "ssh://e.org:22",
                            "wss://e.org",
                            "tls://e.org:443",
                        ]
                    ),
                    "interval": "30s",
                    "conditions": conditions,
                    "headers": {"Authorization": SECRET},
                    "body": "x",
                    "client": around({"timeout": "5s", "insecure": True, "proxy-url": f"http://u:{SECRET}@p:1"}),
                    "dns": around({"query-name": "e.org", "query-type": "MX"}),
                    "alerts": st.lists(
                        around({"type": "slack", "failure-threshold": 2, "description": "x"}), max_size=2
                    ),
                    "maintenance-windows": st.lists(around({"start": "02:00", "duration": "1h"}), max_size=1),
                }
            ),
            max_size=3,
        ),
        "external-endpoints": st.lists(
            around({"name": "ext", "token": SECRET, "heartbeat": around({"interval": "1m"})}), max_size=2
        ),
        "alerting": around(
            {
                "slack": around(
                    {"webhook-url": f"https://hooks.slack.com/{SECRET}", "default-alert": around({"enabled": True})}
                ),
                "email": around({"to": "a@e.org", "host": "m", "port": 25, "username": "u", "password": SECRET}),
            }
        ),
        "maintenance": around({"start": "02:00", "duration": "1h", "every": ["Monday"], "timezone": "UTC"}),
    }
)
kuma = st.fixed_dictionaries(
    {
        "monitorList": st.lists(
            around(
                {
                    "id": st.integers(1, 4),
                    "name": "m",
                    "type": st.sampled_from(
                        [
                            "http",
                            "keyword",
                            "json-query",
                            "port",
                            "ping",
                            "dns",
                            "push",
                            "group",
                            "mysql",
                            "redis",
                            "docker",
                            "mqtt",
                        ]
                    ),
                    "url": f"https://u:{SECRET}@e.org",
                    "hostname": "e.org",
                    "port": 53,
                    "interval": 60,
                    "maxretries": 2,
                    "pushToken": SECRET,
                    "headers": json.dumps({"X-Key": SECRET}),
                    "accepted_statuscodes": ["200-299"],
                    "databaseConnectionString": f"mysql://u:{SECRET}@e.org:1/d",
                    "databaseQuery": "SELECT 1",
                    "mqttPassword": SECRET,
                    "parent": 1,
                    "tags": st.lists(around({"name": "t", "value": "v"}), max_size=2),
                    "notificationIDList": {"1": True},
                    "basic_auth_user": "u",
                    "basic_auth_pass": SECRET,
                    "jsonPath": "$.a",
                    "expectedValue": "1",
                }
            ),
            max_size=4,
        )
    },
    optional={
        "notificationList": st.lists(
            around(
                {
                    "id": 1,
                    "name": "n",
                    "config": json.dumps({"type": "slack", "slackwebhookURL": f"https://x/{SECRET}"}),
                }
            ),
            max_size=2,
        )
    },
)
blackbox = around(
    {
        "modules": st.dictionaries(
            st.sampled_from(["a", "b", "c"]),
            around(
                {
                    "prober": st.sampled_from(["http", "tcp", "dns", "icmp", "grpc", "unix"]),
                    "timeout": "5s",
                    "http": around(
                        {
                            "valid_status_codes": [200, 301],
                            "headers": {"X-Token": SECRET},
                            "fail_if_body_matches_regexp": ["(?i)x", "("],
                            "basic_auth": {"username": "u", "password": SECRET},
                            "tls_config": around({"ca_file": "/x", "insecure_skip_verify": True}),
                        }
                    ),
                    "tcp": around(
                        {"query_response": st.lists(around({"send": "a", "expect": "b", "starttls": True}), max_size=3)}
                    ),
                    "dns": around({"query_name": "e.org", "query_type": "A", "valid_rcodes": ["NOERROR"]}),
                }
            ),
            max_size=3,
        )
    }
)
prometheus = around(
    {
        "global": around({"scrape_interval": "1m"}),
        "scrape_configs": st.lists(
            around(
                {
                    "job_name": "j",
                    "metrics_path": "/probe",
                    "params": around({"module": ["http_2xx"]}),
                    "static_configs": st.lists(
                        around({"targets": ["https://e.org", f"https://u:{SECRET}@e.org"], "labels": {"a": "b"}}),
                        max_size=2,
                    ),
                }
            ),
            max_size=2,
        ),
    }
)
checks = st.fixed_dictionaries(
    {
        "checks": st.lists(
            around(
                {
                    "name": "c",
                    "slug": "c",
                    "uuid": "31365bce-8da9-4729-8ff3-aaa71d56b712",
                    "timeout": 60,
                    "grace": 60,
                    "schedule": "0 2 * * *",
                    "tz": "UTC",
                    "tags": "a b",
                    "channels": "1",
                }
            ),
            max_size=3,
        ),
        "channels": st.lists(around({"id": "1", "name": "n", "kind": "email"}), max_size=2),
    }
)
robot = st.fixed_dictionaries(
    {
        "monitors": st.lists(
            around(
                {
                    "friendly_name": "r",
                    "type": st.sampled_from([1, 2, 3, 4, 5, "HTTP"]),
                    "url": "https://e.org",
                    "port": 25,
                    "interval": 60,
                    "keyword_value": "k",
                    "http_username": "u",
                    "http_password": SECRET,
                    "alert_contacts": st.lists(
                        around({"id": "1", "type": 11, "value": f"https://x/{SECRET}"}), max_size=1
                    ),
                }
            ),
            max_size=3,
        )
    }
)


def holds(node: Node, fill: Fill, data: Any) -> None:
    """The property itself."""
    draft = Draft(node.report, "test", KINDS)
    try:
        fill(node, draft)
        node.report.diagnostics.raise_if_errors()
    except InvalidInput:
        return
    document = draft.finish()
    text = to_yaml(document) if document else "{}"
    diagnostics = Diagnostics()
    found = declared(read_text(text, "out", diagnostics) or [Document("out", {})], "file", diagnostics)
    check_references({own.key: own for own in found}, set(), diagnostics)
    assert diagnostics.errors == []
    rows = {row.path: row for row in node.report.rows()}
    assert {dotted(path) for path, _ in leaves(data)} <= rows.keys()
    assert all(row.why for row in rows.values() if row.status != "carried")
    assert SECRET not in text + "".join(node.report.to_json())


def from_yaml(tool: str, data: Any) -> Node | None:
    try:
        return read_document(tool, yaml.safe_dump(data, allow_unicode=True).encode(), "source")
    except InvalidInput:
        return None  # such as names that YAML 1.1 reads as something else


EXAMPLES = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example]
)


@EXAMPLES
@given(gatus)
def test_gatus(data: dict[str, Any]) -> None:
    node = from_yaml("gatus", data)
    if node is not None:
        holds(node, import_gatus, node.value)


@EXAMPLES
@given(blackbox)
def test_blackbox(data: dict[str, Any]) -> None:
    node = from_yaml("blackbox", data)
    if node is not None:
        modules = data.get("modules")
        targets = [f"{name}=https://e.org" for name in modules] if isinstance(modules, dict) else []

        def fill(node: Node, draft: Draft) -> None:
            try:
                import_blackbox(node, draft, targets)
            except UserError:  # a target of a module that is none
                import_blackbox(node, draft, [])

        holds(node, fill, node.value)


@EXAMPLES
@given(prometheus)
def test_prometheus(data: dict[str, Any]) -> None:
    node = from_yaml("prometheus", data)
    if node is not None:
        holds(node, import_prometheus, node.value)


@EXAMPLES
@given(checks)
def test_healthchecks(data: dict[str, Any]) -> None:
    holds(root("healthchecks", data, lambda _path: Place("api")), import_healthchecks, data)


@EXAMPLES
@given(kuma)
def test_kuma(data: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(data, file)
        file.flush()
        try:
            node = read_kuma(file.name)
        except InvalidInput:
            return
        holds(node, import_kuma, node.value)


@EXAMPLES
@given(robot)
def test_uptimerobot(data: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(data, file)
        file.flush()
        node = read_uptimerobot(file.name)
        holds(node, import_uptimerobot, node.value)


@EXAMPLES
@given(st.binary(max_size=200))
def test_bytes_that_are_anything(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source"
        path.write_bytes(raw)
        for read in (read_kuma, read_uptimerobot, lambda name: read_document("gatus", Path(name).read_bytes(), name)):
            with suppress(UserError):
                read(str(path))


def test_a_torn_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE monitor (id INTEGER PRIMARY KEY, name TEXT)")
    connection.executemany("INSERT INTO monitor (name) VALUES (?)", [("x" * 500,)] * 50)
    connection.commit()
    connection.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * 100)
    with pytest.raises(UserError):
        read_kuma(str(path))
