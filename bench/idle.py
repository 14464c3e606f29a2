"""Idle: memory and CPU of all processes together with 100 monitors every 60 s."""

from __future__ import annotations

import time

from bench.figures import Figure, at_most, hand_over, told
from bench.server import RunningServer
from bench.targets import nginx

_SETTLE = 45.0
_MEASURED = 60.0


def measure() -> list[Figure]:
    with nginx() as url:
        lines = [f"  m{number}: {{http: '{url}{number}', every: 60s}}" for number in range(100)]
        with RunningServer("monitors:\n" + "\n".join(lines) + "\n") as server:
            time.sleep(_SETTLE)
            cpu, start = server.cpu_seconds(), time.monotonic()
            time.sleep(_MEASURED)
            share = (server.cpu_seconds() - cpu) / (time.monotonic() - start) * 100
            resident, proportional = server.memory()
            return [
                at_most("memory (proportional set size)", proportional / 2**20, 200, "MiB"),
                told("memory (resident set sizes added up)", resident / 2**20, "MiB"),
                at_most("CPU", share, 3, "% core"),
            ]


if __name__ == "__main__":
    hand_over(measure())
