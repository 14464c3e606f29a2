"""What teams have in their scripts for other tools, against a running server, with nothing but the host changed."""

from __future__ import annotations

import json
import shutil
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from bench.server import RunningServer, free_port
from tests.rigs.changeable import wait_for

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")

CONFIG = """
heartbeats:
  pushed: {every: 1h, grace: 5m, labels: {group: core}, push_token: "${env:PUSH_TOKEN}"}
channels:
  hook: {webhook: {url: "http://127.0.0.1:9/x"}}
status_pages:
  public: {title: Example, components: [{name: Jobs, heartbeats: [pushed]}]}
"""
TOKEN = "h6Nw2kQz81"

DECORATED = """
from healthchecks_decorator import healthcheck

@healthcheck(url="{url}", send_start=True, send_diagnostics=True)
def job(fails):
    if fails:
        raise RuntimeError("the job broke")
    return {{"rows": 7}}

job(False)
try:
    job(True)
except RuntimeError:
    pass
"""


class Sender:
    """Runs command lines as people write them, with SITE_ROOT, your-api-key and so on filled in."""

    def __init__(self, server: RunningServer, mail_port: int) -> None:
        self.server = server
        self.mail_port = mail_port
        self.key = server.token()

    def __call__(self, line: str) -> str:
        filled = line.replace("SITE_ROOT", self.server.url).replace("your-api-key", self.key)
        done = subprocess.run(["bash", "-c", filled], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, line: str) -> Any:
        return json.loads(self(line))


@pytest.fixture(scope="module")
def send() -> Iterator[Sender]:
    port = free_port()
    with RunningServer(CONFIG, PUSH_TOKEN=TOKEN, MAINSTAY_MAIL_LISTEN=f"127.0.0.1:{port}") as server:
        yield Sender(server, port)


def test_the_documented_curl_lines_of_the_management_api(send: Sender) -> None:
    check = send.json(
        "curl -fsS SITE_ROOT/api/v3/checks/ --header 'X-Api-Key: your-api-key' "
        """--data '{"name": "Backups", "tags": "prod www", "timeout": 3600, "grace": 60}'"""
    )
    again = send.json(
        "curl -fsS SITE_ROOT/api/v3/checks/ "
        """--data '{"api_key": "your-api-key", "name": "Backups", "unique": ["name"], "grace": 120}'"""
    )
    assert (again["uuid"], again["grace"]) == (check["uuid"], 120)
    send(f"curl -fsS -m 10 --retry 5 {check['ping_url']}")  # at once: whoever makes a check pings it
    own = f"SITE_ROOT/api/v3/checks/{check['uuid']}"
    header = '--header "X-Api-Key: your-api-key"'
    assert send.json(f"curl -fsS {header} {own}")["status"] == "up"
    assert send.json(f'curl -fsS {own}/pause --request POST {header} --data ""')["status"] == "paused"
    assert send.json(f'curl -fsS {own}/resume --request POST {header} --data ""')["status"] == "new"
    assert len(send.json(f"curl -fsS {own}/pings/ {header}")["pings"]) == 1
    assert send.json(f"curl -fsS {own}/flips/ {header}")[0]["up"] == 1
    assert send.json(f"curl -fsS {header} SITE_ROOT/api/v3/channels/")["channels"][0]["name"] == "hook"
    badge = send.json(f"curl -fsS {header} SITE_ROOT/api/v3/badges/")["badges"]["prod"]["svg"]
    assert send(f"curl -fsS '{badge}'").startswith("<svg ")
    assert "hc_checks_total 2" in send(f"curl -fsS SITE_ROOT/projects/{check['uuid']}/metrics/your-api-key")
    assert send.json(f"curl -fsS {own} --request DELETE {header}")["uuid"] == check["uuid"]
    assert send(f"curl -s -o /dev/null -w '%{{http_code}}' {header} {own}") == "404"
    journal = send.server.command("journal", "export")
    assert '"manager": "api"' in journal or '"manager":"api"' in journal
    assert send.key not in journal


def test_the_decorator_client_reports_runs(send: Sender) -> None:
    check = send.json("curl -fsS SITE_ROOT/api/v1/checks/ -H 'X-Api-Key: your-api-key' --data '{\"name\": \"job\"}'")
    program = DECORATED.format(url=check["ping_url"])
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    address = f"SITE_ROOT/api/v1/checks/{check['uuid']}/pings/"
    pings = send.json(f"curl -fsS -H 'X-Api-Key: your-api-key' {address}")["pings"]
    assert [ping["type"] for ping in reversed(pings)] == ["start", "success", "start", "fail"]
    success = next(ping for ping in pings if ping["type"] == "success")
    assert success["duration"] > 0
    body = success["body_url"].replace(send.server.url, "SITE_ROOT")
    assert send(f"curl -fsS -H 'X-Api-Key: your-api-key' {body}") == "rows=7"


def test_pushes_of_uptime_kuma_and_gatus(send: Sender) -> None:
    assert send.json(f"curl -fsS 'SITE_ROOT/api/push/{TOKEN}?status=up&msg=OK&ping='") == {"ok": True}
    unknown = send("curl -s -w '%{http_code}' SITE_ROOT/api/push/nobody")
    assert unknown == '{"ok":false,"msg":"Monitor not found or not active."}404'
    external = "SITE_ROOT/api/v1/endpoints/core_pushed/external"
    send(f"curl -fsS -X POST '{external}?success=false&error=broke&duration=2s' -H 'Authorization: Bearer {TOKEN}'")
    public = "curl -fsS SITE_ROOT/api/v1/endpoints/core_pushed/health/badge.shields"
    wait_for(lambda: send.json(public)["message"] == "down", what="the badge tells it")
    statuses = send.json("curl -fsS SITE_ROOT/api/v1/endpoints/statuses -H 'Authorization: Bearer your-api-key'")
    pushed = next(one for one in statuses if one["key"] == "core_pushed")
    assert [result["success"] for result in pushed["results"]] == [True, False]
    assert pushed["results"][-1]["duration"] == 2_000_000_000

    def told() -> list[int]:
        beats = send.json("curl -fsS SITE_ROOT/api/status-page/heartbeat/public")["heartbeatList"]
        return [beat["status"] for beats in beats.values() for beat in beats]

    wait_for(lambda: told() == [0], what="the status page tells it")
    metrics = send("curl -fsS -u prometheus:your-api-key SITE_ROOT/metrics")
    assert 'monitor_name="pushed",monitor_type="push"' in metrics
    assert send("curl -s -o /dev/null -w '%{http_code}' SITE_ROOT/metrics") == "401"
    assert TOKEN not in send.server.command("export")


def test_mail_is_a_ping(send: Sender) -> None:
    check = send.json(
        "curl -fsS SITE_ROOT/api/v2/checks/ -H 'X-Api-Key: your-api-key' "
        """--data '{"name": "mailed", "filter_subject": true, "success_kw": "DONE", "failure_kw": "FAILED"}'"""
    )
    with smtplib.SMTP("127.0.0.1", send.mail_port, timeout=20) as client:
        for subject in ("backup DONE", "backup FAILED", "newsletter"):
            message = EmailMessage()
            message["From"], message["To"] = "cron@example.org", f"{check['uuid']}@example.org"
            message["Subject"] = subject
            message.set_content("the output\n")
            client.send_message(message)
    own = f"SITE_ROOT/api/v2/checks/{check['uuid']}"
    pings = send.json(f"curl -fsS -H 'X-Api-Key: your-api-key' {own}/pings/")["pings"]
    assert [(ping["type"], ping["scheme"]) for ping in reversed(pings)] == [
        ("success", "email"),
        ("fail", "email"),
        ("ign", "email"),
    ]
    assert send.json(f"curl -fsS -H 'X-Api-Key: your-api-key' {own}")["status"] == "down"


def test_programs_that_make_checks_at_once_do_not_hinder_each_other(send: Sender) -> None:
    """Deployments start on many machines at the same second, all with the same `unique`."""
    line = (
        "seq 12 | xargs -P 12 -I @@ curl -s -o /dev/null -w '%{http_code} ' SITE_ROOT/api/v3/checks/ "
        """-H 'X-Api-Key: your-api-key' --data '{"name": "NAME", "tags": "crowd", "unique": ["name"]}'"""
    )
    same = send(line.replace("NAME", "the same")).split()
    assert sorted(same) == ["200"] * 11 + ["201"]
    assert send(line.replace("NAME", "number @@")).split() == ["201"] * 12
    crowd = send.json("curl -fsS -H 'X-Api-Key: your-api-key' 'SITE_ROOT/api/v3/checks/?tag=crowd'")["checks"]
    assert len({check["name"] for check in crowd}) == len(crowd) == 13
