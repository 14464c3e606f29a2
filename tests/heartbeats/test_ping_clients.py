"""The command lines that Healthchecks documents, with nothing but the host changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.rigs.pinging import heartbeat, serving

from mainstay.heartbeats import queries


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_documented_curl_lines(store: None, clock: object, tmp_path: Path) -> None:
    with serving(clock) as served:
        view = heartbeat("backup")
        served.turn()
        url = f"http://127.0.0.1:{served.port}/ping/{view.uuid}"
        (tmp_path / "big").write_bytes(b"x" * 3_000_000)  # large enough for curl to say Expect: 100-continue
        lines = [
            f"curl -fsS -m 10 --retry 5 -o /dev/null {url}",
            f"curl -fsS -m 10 --retry 5 {url}/start",
            f'm=$(echo out; false); curl -fsS -m 10 --retry 5 --data-raw "$m" {url}/$?',
            f"curl -fsS -m 10 --head {url}",
            f"curl -fsS -m 10 --data-binary @{tmp_path}/big {url}/log",
            f"curl -fsS -m 10 'http://127.0.0.1:{served.port}/ping/{served.key}/new-job?create=1&rid={view.uuid}'",
        ]
        for line in lines:
            subprocess.run(["bash", "-c", line], check=True, capture_output=True, timeout=30)
        kinds = [(ping.kind, ping.exit_status, ping.body_size) for ping in reversed(queries.pings(view.uid))]
        assert kinds == [
            ("success", None, 0),
            ("start", None, 0),
            ("fail", 1, 3),
            ("success", None, 0),
            ("log", None, 3_000_000),
        ]
        assert queries.heartbeat("new-job").pings == 1
        refused = subprocess.run(["curl", "-fsS", f"{url[:-1]}x"], capture_output=True, check=False)
        assert refused.returncode == 22
