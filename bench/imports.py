"""Import of 1,000 monitors and plan of 10,000 resources: wall clock of the real commands, start-up included.

No server runs beside them: it would begin to check what is applied.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bench.figures import Figure, at_most, hand_over, told

_MONITORS = 1000
_RESOURCES = 10_000
_IMPORT_LIMIT, _PLAN_LIMIT = 5.0, 3.0  # seconds
_CPU: list[float] = [0.0]  # of all commands so far, in seconds: beside a busy neighbour the wall clock says little


def _gatus(folder: Path) -> list[str]:
    endpoints = [
        {
            "name": f"service {number}",
            "group": f"team-{number % 20}",
            "url": f"https://s{number}.example.org/health?full=1",
            "interval": "30s",
            "headers": {"Accept": "application/json", "X-Api-Key": f"key-{number}"},
            "client": {"timeout": "5s", "insecure": number % 7 == 0},
            "conditions": [
                "[STATUS] == 200",
                "[RESPONSE_TIME] < 500",
                "[BODY].status == UP",
                "[CERTIFICATE_EXPIRATION] > 240h",
            ],
            "alerts": [{"type": "slack", "failure-threshold": 3, "send-on-resolved": True}],
        }
        for number in range(_MONITORS)
    ]
    alerting = {"slack": {"webhook-url": "https://hooks.slack.example/services/x"}}
    path = folder / "gatus.yaml"
    path.write_text(yaml.safe_dump({"alerting": alerting, "endpoints": endpoints}, sort_keys=False))
    return ["gatus", str(path)]


def _kuma(folder: Path) -> list[str]:
    monitors: list[dict[str, Any]] = [
        {
            "id": number + 1,
            "name": f"Service {number}",
            "url": f"https://s{number}.example.org/health",
            "method": "GET",
            "hostname": None,
            "port": None,
            "maxretries": 2,
            "weight": 2000,
            "active": 1,
            "type": "keyword" if number % 2 else "http",
            "interval": 60,
            "retryInterval": 60,
            "resendInterval": 0,
            "keyword": "ok" if number % 2 else None,
            "expiryNotification": True,
            "ignoreTls": False,
            "upsideDown": False,
            "maxredirects": 10,
            "accepted_statuscodes": ["200-299"],
            "headers": '{"Accept": "application/json"}',
            "body": None,
            "notificationIDList": {"1": True},
            "tags": [{"name": "team", "value": f"t{number % 20}", "color": "#123456"}],
        }
        for number in range(_MONITORS)
    ]
    settings = {"type": "slack", "slackwebhookURL": "https://hooks.slack.example/services/x", "name": "Slack"}
    told_by = [{"id": 1, "name": "Slack", "active": True, "isDefault": True, "config": json.dumps(settings)}]
    path = folder / "kuma.json"
    path.write_text(json.dumps({"version": "1.23.16", "notificationList": told_by, "monitorList": monitors}, indent=4))
    return ["kuma", str(path)]


def _prometheus(folder: Path) -> list[str]:
    through = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": "127.0.0.1:9115"},
    ]
    jobs = [
        {
            "job_name": f"team-{job}",
            "metrics_path": "/probe",
            "params": {"module": ["http_2xx"]},
            "static_configs": [
                {"targets": [f"https://s{number}.example.org/health"], "labels": {"tier": "web"}}
                for number in range(job * 50, job * 50 + 50)
            ],
            "relabel_configs": through,
        }
        for job in range(_MONITORS // 50)
    ]
    modules, path = folder / "blackbox.yml", folder / "prometheus.yml"
    modules.write_text("modules: {http_2xx: {prober: http, timeout: 5s, http: {fail_if_not_ssl: true}}}\n")
    path.write_text(yaml.safe_dump({"scrape_configs": jobs}, sort_keys=False))
    return ["prometheus", str(path), "--blackbox", str(modules)]


def _resources() -> str:
    """A file as a team writes it: most monitors of HTTP with what is expected, some of other kinds, heartbeats."""
    lines = ["monitors:"]
    for number in range(_RESOURCES * 7 // 10):
        lines.append(f"  site-{number}:")
        lines.append(f"    http: {{url: 'https://s{number}.example.org/health', headers: {{Accept: text/html}}}}")
        lines.append(f"    every: {30 + number % 30}s")
        lines.append("    expect: {status: 200, contains: ok, degraded_after: 500ms}")
        lines.append(f"    labels: {{team: t{number % 20}, tier: web}}")
    lines += [f"  port-{n}: {{tcp: 'db{n}.example.org:5432', every: 30s}}" for n in range(_RESOURCES // 10)]
    lines.append("heartbeats:")
    lines += [f"  job-{n}: {{every: 1h, grace: 5m, labels: {{team: t{n % 20}}}}}" for n in range(_RESOURCES // 5 - 2)]
    lines += ["channels:", "  hook: {webhook: 'http://127.0.0.1:9/x'}", "routes:", "  - {to: [hook]}"]
    return "\n".join(lines) + "\n"


def _took(data: Path, *arguments: str, expects: str = "") -> float:
    """Seconds of one command; RuntimeError if it fails or does not say what it is to say."""
    command = [sys.executable, "-m", "mainstay", *arguments]
    began = time.perf_counter()
    environment = {**os.environ, "MAINSTAY_DATA": str(data)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - began
    if done.returncode or expects not in done.stdout + done.stderr:
        raise RuntimeError(f"{arguments[:2]}: exit code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    _CPU.append(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]))
    return taken


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="mainstay-bench-") as name:
        folder = Path(name)
        return [*_imports(folder), *_plans(folder)]


def _imports(folder: Path) -> Iterator[Figure]:
    for make in (_gatus, _kuma, _prometheus):
        source = make(folder)
        output = folder / f"{source[0]}.out.yaml"
        taken = _took(folder / "data", "import", *source, "--output", str(output))
        made = len(yaml.load(output.read_text(), Loader=yaml.CSafeLoader)["monitors"])
        if made != _MONITORS:
            raise RuntimeError(f"{source[0]}: {made} monitors were made of {_MONITORS}")
        yield at_most(f"import {source[0]}, 1,000 monitors", taken, _IMPORT_LIMIT, "s")
        yield told("  of it CPU", _CPU[-1] - _CPU[-2], "s")


def _plans(folder: Path) -> Iterator[Figure]:
    data, declared = folder / "data", folder / "declared.yaml"
    declared.write_text("{}")
    _took(data, "plan", str(declared))  # makes the tables
    declared.write_text(_resources())
    fresh = _took(data, "plan", str(declared), expects=f"Plan: {_RESOURCES} to create")
    yield at_most("plan of 10,000 resources, all new", fresh, _PLAN_LIMIT, "s")
    yield told("  of it CPU", _CPU[-1] - _CPU[-2], "s")
    yield told("apply of 10,000 resources", _took(data, "apply", "--yes", str(declared)), "s")
    same = _took(data, "plan", str(declared), expects=f"No difference: {_RESOURCES} resources")
    yield at_most("plan of 10,000 resources, none changed", same, _PLAN_LIMIT, "s")
    yield told("  of it CPU", _CPU[-1] - _CPU[-2], "s")
    declared.write_text(declared.read_text().replace("degraded_after: 500ms", "degraded_after: 600ms"))
    some = _took(data, "plan", str(declared), expects=f"{_RESOURCES * 7 // 10} to change")
    yield at_most("plan of 10,000 resources, 7,000 changed", some, _PLAN_LIMIT, "s")
    yield told("  of it CPU", _CPU[-1] - _CPU[-2], "s")


if __name__ == "__main__":
    hand_over(measure())
