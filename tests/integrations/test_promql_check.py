"""The check `promql` against a real Prometheus, and against servers that only look like one."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, free_port, order_for, run_check, tcp_server, until_closed
from tests.rigs.http_servers import always, answer, by_path

from mainstay.integrations.checks.promql.limits import Series, judge, parse_limit
from mainstay.kernel.probing import CheckResult
from mainstay.kernel.secret import resolve
from mainstay.watch.prober.dispatch import prepare

# bcrypt of `sesame`, of the lowest cost
_USERS = "basic_auth_users:\n  reader: $2b$04$KMFY/91mdsaPS0YE48ZVpenBjhlu6DE/DQQ/8ecrvC0gO1Dn0gtGa\n"


def _serve(folder: Path, *options: str) -> Iterator[str]:
    port = free_port()
    configuration = folder / "prometheus.yml"
    configuration.write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        *options,
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(url, process)
            yield url
        finally:
            process.kill()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """It answers 503 for a while; who is asked who they are says so, and who is not takes no notice."""
    word = base64.b64encode(b"reader:sesame").decode()
    asking = urllib.request.Request(f"{url}/-/ready", headers={"Authorization": f"Basic {word}"})
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(asking, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("prometheus does not start")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _serve(tmp_path_factory.mktemp("prometheus"))


def ask(url: str, query: str, expect: dict[str, Any] | None = None, **target: Any) -> CheckResult:
    return run_check("promql", {"url": url, "query": query, **target}, expect, context=context_with())


@pytest.mark.parametrize(
    ("query", "expect", "verdict", "code", "says"),
    [
        ("vector(1)", {}, "up", "", ""),
        ("vector(1)", {"warn": "> 1", "critical": "> 2"}, "up", "", ""),
        ("vector(1.5)", {"warn": "> 1", "critical": "> 2"}, "degraded", "expect.value", "is 1.5 (warning: > 1)"),
        ("vector(3)", {"warn": "> 1", "critical": "> 2"}, "down", "expect.value", "is 3 (critical: > 2)"),
        ("scalar(vector(0))", {"critical": "== 0"}, "down", "expect.value", "is 0 (critical: == 0)"),
        ("1/0", {"critical": "> 100"}, "down", "expect.value", "is +Inf"),
        ("vector(0)/vector(0)", {"critical": "> 100"}, "unknown", "expect.no_data", "no data"),
        ("no_such_metric", {"critical": "> 100"}, "unknown", "expect.no_data", "no data"),
        ("no_such_metric", {"no_data": "up"}, "up", "", ""),
        ("no_such_metric", {"no_data": "down"}, "down", "expect.no_data", "no data"),
        ("sum(", {}, "unknown", "check.bad_query", "the query was rejected: "),
        ("up[5m]", {}, "unknown", "check.bad_query", "returns a matrix"),
        ('"text"', {}, "unknown", "check.bad_query", "returns a string"),
    ],
)
def test_values_against_limits(
    prometheus: str, query: str, expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    result = ask(prometheus, query, expect)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message
    assert {"connect", "wait", "transfer"} <= set(result.phases)


def _several(values: dict[str, int]) -> str:
    return " or ".join(f'label_replace(vector({value}), "disk", "{name}", "", "")' for name, value in values.items())


def test_of_several_series_the_worst_decides_and_is_named(prometheus: str) -> None:
    result = ask(prometheus, _several({"a": 1, "b": 95, "c": 85}), {"warn": "> 80", "critical": "> 90"})
    assert (result.verdict, result.message) == (
        "down",
        '{disk="b"} is 95 (critical: > 90); 2 of 3 series are beyond a limit',
    )
    assert [one["value"] for one in result.evidence["values"]] == ["95", "85", "1"]


def test_all_series_must_be_beyond_where_one_good_one_is_enough(prometheus: str) -> None:
    expect = {"critical": "< 1", "series": "all"}
    assert ask(prometheus, _several({"a": 0, "b": 1}), expect).verdict == "up"
    assert ask(prometheus, _several({"a": 0, "b": 0}), expect).verdict == "down"


def test_what_it_scrapes_itself_is_seen(prometheus: str) -> None:
    until = time.monotonic() + 20
    result = ask(prometheus, "up", {"critical": "== 0"})
    while result.verdict != "up" and time.monotonic() < until:
        time.sleep(0.2)
        result = ask(prometheus, "up", {"critical": "== 0"})
    assert result.verdict == "up", result.message
    assert result.evidence["values"][0]["series"].startswith("up{instance=")


def test_signing_in(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(_USERS)
    for url in _serve(tmp_path, f"--web.config.file={tmp_path / 'web.yml'}"):
        target = {"url": url, "query": "vector(1)", "auth": {"basic": {"username": "reader", "password": "${env:P}"}}}
        order = order_for("promql", target)
        right = _with_password(order, "sesame")
        wrong = _with_password(order, "open-sesame")
        without = ask(url, "vector(1)")
    assert right.verdict == "up", right.message
    assert (wrong.verdict, wrong.code) == ("unknown", "check.credentials")
    assert "open-sesame" not in str(wrong)
    assert (without.verdict, without.code) == ("unknown", "check.credentials")


def _with_password(order: Any, value: str) -> CheckResult:
    filled = replace(order, options=resolve(order.options, lambda source, name: value), secrets=(value,))
    return asyncio.run(prepare(filled).run(context_with()))


_JSON = ("Content-Type: application/json",)


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (until_closed, "wait.timeout", "no answer within 300 ms"),
        (lambda connection: None, "wait.", "could not be reached"),
        (always(b"\x00\xff\x00garbage\r\n\r\n"), "wait.malformed", "could not be reached"),
        (always(answer(b"<html>a page</html>")), "wait.malformed", "not that of a Prometheus API"),
        (always(answer(b"no such page", "404 Not Found")), "check.bad_url", "no Prometheus API at this url"),
        (always(answer(b"down", "502 Bad Gateway")), "wait.malformed", "status 502"),
        (
            always(answer(b'{"status":"success","data":{"resultType":"vector"}}', headers=_JSON)),
            "wait.malformed",
            "200",
        ),
        (
            always(answer(b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}')),
            "wait.",
            "",
        ),
        (
            always(answer(b'{"status":"error","errorType":"timeout","error":"too slow"}', "503 Busy", _JSON)),
            "wait.query_failed",
            "the query failed (timeout): too slow",
        ),
        (always(answer(b"[" * 1_000_000)), "wait.malformed", "200"),
        (always(answer(b'"' + b"x" * 1_500_000 + b'"')), "expect.too_many", "over 1024 KiB"),
    ],
)
def test_an_api_that_cannot_be_asked_is_unknown(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        result = run_check("promql", {"url": f"http://127.0.0.1:{port}", "query": "up"}, limit=0.3)
    assert result.verdict == "unknown"
    assert result.code.startswith(code), (result.code, result.message)
    assert says in result.message


def test_refused_is_unknown_too() -> None:
    result = ask(f"http://127.0.0.1:{free_port()}", "up")
    assert (result.verdict, result.code) == ("unknown", "connect.refused")


def test_the_request_and_the_bounds_of_its_evidence() -> None:
    seen: list[Any] = []
    rows = [{"metric": {"__name__": "m", "i": f"{i}", "long": "y" * 5000}, "value": [1, str(i)]} for i in range(100)]
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}, "warnings": ["old"]})
    path = "/prom/api/v1/query?query=up%7Bjob%3D%22%C3%A9%22%7D&timeout=5s"
    with tcp_server(by_path({path: answer(body.encode())}, seen)) as port:
        result = ask(f"http://127.0.0.1:{port}/prom/", 'up{job="é"}', headers={"X-Scope-OrgID": "team"})
    assert result.verdict == "up", result.message
    assert seen[0][1]["x-scope-orgid"] == "team"
    assert (result.evidence["series"], len(result.evidence["values"])) == (100, 20)
    assert result.evidence["warnings"] == ["old"]
    assert len(str(result.evidence)) < 12_000


def test_falling_limits_name_the_lowest() -> None:
    judged = judge([Series("a", 3), Series("b", 1), Series("c", 9)], parse_limit("< 5"), parse_limit("< 2"))
    assert [(one.series.labels, one.verdict) for one in judged] == [("b", "down"), ("a", "degraded"), ("c", "up")]


@pytest.mark.parametrize(
    ("target", "expect", "says"),
    [
        ({}, {}, "query"),
        ({"query": " "}, {}, "the query is empty"),
        ({"query": "up", "url": "prometheus:9090"}, {}, "is not a URL"),
        ({"query": "up", "url": "http://p.example/api?x=1"}, {}, "the API alone"),
        ({"query": "up", "headers": {"Authorization": "Bearer abc"}}, {}, "holds a credential"),
        ({"query": "up", "auth": {"bearer": "abc"}}, {}, "must be a reference"),
        ({"query": "up"}, {"warn": "80"}, "write an operator and a number"),
        ({"query": "up"}, {"critical": "> much"}, "needs a number"),
        ({"query": "up"}, {"critical": "== down"}, "write an operator and a number"),
    ],
)
def test_wrong_documents_are_refused_with_a_reason(target: Any, expect: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        order_for("promql", target, expect)
