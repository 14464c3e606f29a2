"""From one Mainstay to another over the API of Healthchecks that it speaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml
from bench.server import RunningServer

CONFIG = """
heartbeats:
  Nightly-Report: {title: "Nightly report", cron: "0 2 * * *", timezone: Europe/Berlin, grace: 30m, tags: [a, b]}
  sync: {every: 30m, grace: 10m, description: "half an hour", keywords: {failure: ERROR, http_body: true}}
channels:
  ops: {email: {to: [ops@example.org]}}
routes: [{to: [ops]}]
"""


def test_heartbeats_move_from_one_install_to_another(tmp_path: Path) -> None:
    with RunningServer(CONFIG) as server:
        out, report = tmp_path / "moved.yaml", tmp_path / "report.json"
        token = server.token()
        done = subprocess.run(
            [*server.program, "import", "healthchecks", "--url", server.url, "-o", str(out), "--report", str(report)],
            env={**server.environment, "HEALTHCHECKS_API_KEY": token},
            capture_output=True,
            text=True,
            check=True,
        )
        assert token not in done.stdout + done.stderr + out.read_text() + report.read_text()
        moved = yaml.safe_load(out.read_text())["heartbeats"]
        assert len(moved) == 2
        report_job = next(one for one in moved.values() if one.get("title") == "Nightly report" or "cron" in one)
        assert (report_job["cron"], report_job["timezone"], report_job["grace"]) == (
            "0 2 * * *",
            "Europe/Berlin",
            "30m",
        )
        assert report_job["tags"] == ["a", "b"]
        assert moved["sync"]["every"] == "30m"
        assert moved["sync"]["keywords"] == {"failure": "ERROR", "http_body": True}
        planned = subprocess.run(
            [sys.executable, "-m", "mainstay", "--data", str(tmp_path / "other"), "plan", str(out)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "to create, 0 to change" in planned.stdout
