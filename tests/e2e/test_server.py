"""The whole server as a user starts it: one process group, real targets, a real hook."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.server import RunningServer
from tests.rigs.changeable import Hook, Target, wait_for

from mainstay.frames.web.assets import asset_url

SECRET = "a secret of this test"


def _get(url: str, token: str = "") -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    served = Target(["/api", "/gateway"])
    yield served
    served.close()


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    served = Hook()
    yield served
    served.close()


@pytest.fixture(scope="module")
def server(target: Target, hook: Hook) -> Iterator[RunningServer]:
    config = f"""
monitors:
  api:
    http: {target.url}/api
    every: 2s
    confirm: {{failures: 2, recheck: 300ms}}
    recover: {{successes: 2}}
    severity: P0
    labels: {{service: api}}
channels:
  hook: {{webhook: {{url: {hook.url}/x, secret: "${{env:HOOK_SECRET}}"}}}}
routes:
  - {{match: ['severity=~"P0|P1"'], to: [hook]}}
heartbeats:
  job: {{every: 1h}}
status_pages:
  public: {{title: Example, components: [{{name: API, monitors: [api]}}]}}
"""
    with RunningServer(config, HOOK_SECRET=SECRET) as running:
        yield running


@pytest.fixture(scope="module")
def token(server: RunningServer) -> str:
    return server.token()


def test_the_first_result_comes_within_ten_seconds_of_the_start(server: RunningServer, token: str) -> None:
    wait_for(lambda: _get(f"{server.url}/api/status", token)["monitors"].get("up") == 2, 10, "both monitors are up")
    assert time.monotonic() - server.started < 10 or os.environ.get("CI")  # a shared machine may be slow


def test_commands_know_where_the_running_server_listens(server: RunningServer) -> None:
    job = json.loads(server.command("heartbeats", "job", "--json"))
    assert job["ping_url"].startswith(f"{server.url}/ping/")
    server.command("exec", "--heartbeat", job["ping_url"].rpartition("/")[2], "--", "true")
    assert json.loads(server.command("heartbeats", "job", "--json"))["last_pings"][0]["kind"] == "success"
    assert server.command("access", "setup").startswith(f"{server.url}/setup/")
    assert f"mainstay --data {server.environment['MAINSTAY_DATA']} " in server.log


def test_health_has_exactly_the_promised_shape(server: RunningServer) -> None:
    health = _get(f"{server.url}/api/health")
    assert set(health) == {"status", "timestamp", "services", "version"}
    assert health["status"] == "healthy"
    assert health["services"]["database"] == "ok"


def test_an_outage_is_told_once_with_evidence_and_so_is_its_end(
    server: RunningServer, token: str, target: Target, hook: Hook
) -> None:
    wait_for(lambda: _get(f"{server.url}/api/status", token)["monitors"].get("up") == 2)
    target.healthy.discard("/api")
    wait_for(lambda: hook.of("api") == ["firing"], what="the outage is told")
    public = f"{server.url}/api/v2/summary.json?page=public"
    wait_for(lambda: _get(public)["components"][0]["status"] == "major_outage", what="the public page shows it")
    target.healthy.add("/api")
    wait_for(lambda: hook.of("api") == ["firing", "resolved"], what="its end is told")
    wait_for(lambda: _get(public)["components"][0]["status"] == "operational", what="the public page is calm again")

    message = next(found for found in hook.messages if found.what == ("api", "firing"))
    assert set(message.body) >= {"status", "alert", "evidence", "links"}
    assert set(message.body["alert"]) >= {"id", "monitor", "severity", "labels", "since", "until"}
    assert message.body["alert"]["severity"] == "P0"
    assert message.body["alert"]["labels"]["service"] == "api"
    assert "503" in json.dumps(message.body["evidence"])
    body = json.dumps(message.body)
    assert SECRET not in body
    assert message.headers["X-Mainstay-Signature"].startswith("v1=")


def test_the_signature_is_the_hmac_of_the_bytes_sent(server: RunningServer, hook: Hook) -> None:
    signed: list[tuple[bytes, str]] = []
    handler = hook._server.RequestHandlerClass

    def keep(self: Any) -> None:
        signed.append((self.rfile.read(int(self.headers["Content-Length"])), self.headers["X-Mainstay-Signature"]))
        self.answer(204)

    original = handler.do_POST  # type: ignore[attr-defined]
    handler.do_POST = keep  # type: ignore[attr-defined]
    try:
        server.command("notify", "test", "hook")
    finally:
        handler.do_POST = original  # type: ignore[attr-defined]
    body, signature = signed[0]
    assert signature == "v1=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def test_what_happened_is_in_a_journal_that_verifies(server: RunningServer) -> None:
    entries = [json.loads(line) for line in server.command("journal", "export").splitlines()]
    kinds = [
        entry["kind"] for entry in entries if entry["subject"] == "monitor/api" and entry["kind"].startswith("monitor.")
    ]
    assert kinds[-2:] == ["monitor.went_down", "monitor.went_up"]
    assert {"alert.fired", "alert.resolved", "notification.delivered"} <= {entry["kind"] for entry in entries}
    assert SECRET not in json.dumps(entries)
    server.command("journal", "verify")


def test_a_changed_file_is_taken_up_and_a_broken_one_changes_nothing(server: RunningServer, token: str) -> None:
    before = server.config_file.read_text()
    server.config_file.write_text(before.replace("monitors:\n", "monitors:\n  second: {tcp: '127.0.0.1:1'}\n", 1))
    wait_for(lambda: "second:" in server.command("export"), what="the change is applied")
    server.config_file.write_text(before.replace("severity: P0", "sevrity: P0"))
    wait_for(lambda: "config.rejected" in server.command("journal", "export"), what="the mistake is recorded")
    wait_for(lambda: "has mistakes" in _get(f"{server.url}/api/health")["services"]["configuration"], what="and told")
    health = _get(f"{server.url}/api/health")
    assert (health["status"], str(server.config_file) in str(health)) == ("healthy", False)
    assert "second:" in server.command("export")
    assert "did you mean `severity`" in server.command("journal", "export")
    server.config_file.write_text(before)
    wait_for(lambda: "second:" not in server.command("export"), what="what the file no longer declares is removed")


def test_nothing_but_the_public_doors_is_open(server: RunningServer) -> None:
    for path in ("/api/status", "/api/metrics", "/probe?target=x", "/api/v1/monitors", "/api/v1/openapi.json"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            _get(f"{server.url}{path}")
        caught.value.close()
        assert caught.value.code in (401, 403), path
    with urllib.request.urlopen(f"{server.url}/monitors/", timeout=10) as answer:
        assert "/accounts/login/" in answer.url


def test_static_files_come_with_a_404_for_what_there_is_not(server: RunningServer) -> None:
    with urllib.request.urlopen(f"{server.url}/static/mainstay.css", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/css")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-cache"
    with urllib.request.urlopen(server.url + asset_url("mainstay.css"), timeout=10) as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in ("/static/nothing.css", "/static/../../state.sqlite3", "/static/%2e%2e/urls.py", "/static/"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{server.url}{path}", timeout=10)
        caught.value.close()
        assert caught.value.code == 404, path


def test_metrics_know_the_monitor(server: RunningServer, token: str) -> None:
    request = urllib.request.Request(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    assert 'probe_success{monitor="api"' in text
    assert "mainstay_checks_total" in text


def test_sigterm_ends_it_with_its_children_within_ten_seconds(target: Target) -> None:
    with RunningServer(f"monitors: {{a: {{http: '{target.url}/api', every: 1s}}}}\n") as running:
        processes = running.processes()
        assert len(processes) >= 2
        start = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - start < 10
        wait_for(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in processes), 2, "no child is left")
        assert "Traceback" not in running.log


def test_a_second_server_on_the_same_folder_is_refused(server: RunningServer) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mainstay", "up", "--listen", "127.0.0.1:0"],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "another Mainstay" in done.stderr
