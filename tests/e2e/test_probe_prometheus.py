"""Debian's Prometheus scrapes a running server: its own metrics, and targets through /probe by modules of a file."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.server import RunningServer, free_port
from tests.rigs.changeable import Target, wait_for

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="apt-get install prometheus")

MODULES = """modules:
  good_page: {prober: http, timeout: 5s, http: {fail_if_ssl: true, preferred_ip_protocol: ip4}}
  port: {prober: tcp}
"""
BROKEN = "  broken: {prober: http, http: {oauth2: {client_id: x}}}\n"
SCRAPES = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: mainstay
    metrics_path: /api/metrics
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["{address}"]}}]
  - job_name: page
    metrics_path: /probe
    params: {{module: [good_page]}}
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["{target}/ok", "{target}/not-there"]}}]
    relabel_configs: &through
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{address}"}}
  - job_name: port
    metrics_path: /probe
    params: {{module: [port]}}
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["{address}"]}}]
    relabel_configs: *through
  - job_name: broken
    metrics_path: /probe
    params: {{module: [broken]}}
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["{target}/ok"]}}]
    relabel_configs: *through
  - job_name: stranger
    metrics_path: /api/metrics
    static_configs: [{{targets: ["{address}"]}}]
"""


class Prometheus:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **query: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):
            return None

    def value(self, expression: str) -> float | None:
        found = self.get("query", query=expression)
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def health(self) -> dict[str, tuple[str, str]]:
        """Job and path of the target -> health, error."""
        found = self.get("targets", state="active")
        targets = found["activeTargets"] if found else []
        return {
            f"{one['labels']['job']}/{one['labels']['instance'].rpartition('/')[2]}": (one["health"], one["lastError"])
            for one in targets
        }


@contextmanager
def prometheus(folder: Path, configuration: str) -> Iterator[Prometheus]:
    port = free_port()
    (folder / "prometheus.yml").write_text(configuration)
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'samples'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield Prometheus(port)
        finally:
            process.terminate()
            process.wait(20)


def _health(server: RunningServer) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"{server.url}/api/health", timeout=5) as answer:
            return answer.status, json.load(answer)["services"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["services"]


def test_prometheus_scrapes_probes_and_metrics(tmp_path: Path) -> None:
    modules, target = tmp_path / "modules.yml", Target(["/ok"])
    modules.write_text(MODULES)
    monitors = f"monitors: {{page: {{http: {target.url}/ok, every: 5s}}}}"
    with RunningServer(monitors, MAINSTAY_BLACKBOX_MODULES=str(modules)) as server:
        assert _health(server)[1]["blackbox_modules"] == "ok"
        modules.write_text(MODULES + BROKEN)
        wait_for(lambda: "oauth2" in _health(server)[1]["blackbox_modules"], what="health tells the mistake")
        status, services = _health(server)
        problem = f"{modules}:4:33: error: `oauth2` is not supported"
        assert (status, services["blackbox_modules"][: len(problem)]) == (200, problem), (
            "it is told, and the server stays in service"
        )
        assert f"{modules}:4:33" in server.log
        token = tmp_path / "token"
        scopes = ("--scope", "metrics:read", "--scope", "monitors:check")
        token.write_text(json.loads(server.command("token", "create", "prometheus", *scopes, "--json"))["token"])
        address = server.url.removeprefix("http://")
        with prometheus(tmp_path, SCRAPES.format(token=token, address=address, target=target.url)) as asked:
            _scraped(asked, address.rpartition("/")[2])
    target.close()


def _scraped(asked: Prometheus, own: str) -> None:
    wanted = {f"mainstay/{own}": "up", "page/ok": "up", "page/not-there": "up", f"port/{own}": "up"}
    refused = {"broken/ok": "down", f"stranger/{own}": "down"}
    wait_for(lambda: {name: health for name, (health, _) in asked.health().items()} == wanted | refused, 60, "targets")
    errors = {name: error for name, (health, error) in asked.health().items() if health == "down"}
    assert "400" in errors["broken/ok"]
    assert "401" in errors[f"stranger/{own}"]
    assert {error for health, error in asked.health().values() if health == "up"} == {""}
    for expression, value in {
        'probe_success{job="page",instance=~".*/ok"}': 1.0,
        'probe_success{job="page",instance=~".*/not-there"}': 0.0,
        'probe_http_status_code{job="page",instance=~".*/not-there"}': 503.0,
        'probe_success{job="port"}': 1.0,
        'probe_ip_protocol{job="port"}': 4.0,
        'mainstay_monitor_state{job="mainstay",monitor="page",state="up"}': 1.0,
        'probe_success{job="mainstay",monitor="page"}': 1.0,
        'count(up{job="page"} == 1)': 2.0,
    }.items():
        wait_for(lambda e=expression, v=value: asked.value(e) == v, what=f"{expression} is {value}")  # type: ignore[misc]
