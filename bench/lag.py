"""10,000 monitors every 60 s: how late checks start, and what memory and CPU it takes."""

from __future__ import annotations

import re
import time
import urllib.request

from bench.figures import Figure, at_most, hand_over, told
from bench.server import RunningServer
from bench.targets import nginx

_MONITORS = 10_000
_WARM_UP = 75.0
_MEASURED = 70.0


def _metric(server: RunningServer, token: str, name: str) -> list[float]:
    request = urllib.request.Request(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    return [float(found[1]) for found in re.finditer(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)]


def measure() -> list[Figure]:
    with nginx() as url:
        lines = [f"  m{number}: {{http: '{url}{number}', every: 60s}}" for number in range(_MONITORS)]
        with RunningServer("monitors:\n" + "\n".join(lines) + "\n") as server:
            token = server.token()
            time.sleep(_WARM_UP)
            cpu, start = server.cpu_seconds(), time.monotonic()
            checks = sum(_metric(server, token, "mainstay_checks_total"))
            time.sleep(_MEASURED)
            taken = time.monotonic() - start
            done = sum(_metric(server, token, "mainstay_checks_total")) - checks
            lag = max(_metric(server, token, "mainstay_prober_lag_p99_seconds"))
            resident, proportional = server.memory()
            return [
                at_most("start lag p99", lag, 1.0, "s"),
                told("checks per second", done / taken, "/s"),
                told("CPU of all processes", (server.cpu_seconds() - cpu) / taken * 100, "% core"),
                told("CPU per check, all processes", (server.cpu_seconds() - cpu) / max(done, 1) * 1000, "ms"),
                told("memory per 1,000 monitors (proportional)", proportional / _MONITORS * 1000 / 2**20, "MiB"),
                told("memory of all processes (resident)", resident / 2**20, "MiB"),
            ]


if __name__ == "__main__":
    hand_over(measure())
