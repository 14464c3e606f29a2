"""10,000 alerts as Prometheus sends them, beside Debian's Alertmanager on the same input, one after the other."""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.figures import Figure, at_least, at_most, hand_over, told
from bench.server import RunningServer, free_port

_ALERTS = 10_000
_BATCH = 64  # as Prometheus sends them
_GROUPS = 10
_WAIT = 15.0  # seconds of group_wait: the storm fits in it


class _Hook(BaseHTTPRequestHandler):
    """Takes webhooks, and notes when each came and how many alerts it is about."""

    arrived: list[tuple[float, int]] = []
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.arrived.append((time.time(), body.get("group", {}).get("firing", 1)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """A benchmark of many requests prints none of them."""


def _batches() -> Iterator[bytes]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    every = [
        {
            "labels": {
                "alertname": "Storm",
                "service": f"service-{number % _GROUPS}",
                "instance": f"instance-{number}",
                "severity": "critical",
            },
            "annotations": {"summary": f"instance {number} is broken"},
            "startsAt": now,
        }
        for number in range(_ALERTS)
    ]
    for start in range(0, _ALERTS, _BATCH):
        yield json.dumps(every[start : start + _BATCH]).encode()


def _send(port: int) -> float:
    """Seconds until all were answered with 200, on one connection, as one Prometheus does."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    bodies = list(_batches())
    began = time.perf_counter()
    for body in bodies:
        connection.request("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {said[:200]!r}")
    return time.perf_counter() - began


@contextmanager
def _alertmanager() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        config, port = Path(folder, "config.yml"), free_port()
        config.write_text("route: {receiver: none, group_by: [service]}\nreceivers: [{name: none}]\n")
        flags = (f"--config.file={config}", f"--storage.path={folder}", "--cluster.listen-address=")
        process = subprocess.Popen(
            ["prometheus-alertmanager", *flags, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL
        )
        try:
            _wait_ready(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait_ready(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/-/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("Alertmanager did not start")


def measure() -> list[Figure]:
    with _alertmanager() as port:
        theirs = _send(port)
    hook = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    config = (
        "alert_sources: {prometheus: {alertmanager: {}}}\n"
        f"channels: {{hook: {{webhook: 'http://127.0.0.1:{hook.server_address[1]}/'}}}}\n"
        f"routes: [{{to: [hook], group_by: [service], group_wait: {_WAIT:g}s, group_interval: 5m}}]\n"
    )
    with RunningServer(config) as server:
        cpu, began = server.cpu_seconds(), time.time()
        ours = _send(server.port)
        spent = server.cpu_seconds() - cpu
        end = time.monotonic() + _WAIT + 60
        while len(_Hook.arrived) < _GROUPS and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(2.0)  # whatever more there is would come now
    hook.shutdown()
    late = max((at for at, _ in _Hook.arrived), default=float("inf")) - began - _WAIT
    return [
        at_most("10,000 alerts taken in, durable", ours, 10.0, "s"),
        told("CPU for that", spent, "s"),
        told("the same into Alertmanager, which keeps nothing", theirs, "s"),
        at_least("intake rate beside Alertmanager's", theirs / ours, 0.25, "times"),
        at_most("messages for 10 groups", len(_Hook.arrived), _GROUPS, ""),
        told("alerts that they are about", sum(count for _, count in _Hook.arrived), ""),
        at_most("last message, beyond group_wait", late, 1.0, "s"),
    ]


if __name__ == "__main__":
    hand_over(measure())
