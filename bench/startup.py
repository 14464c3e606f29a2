"""How long commands take to answer: median of several runs of the real command, beside Python itself."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench.figures import Figure, at_most, hand_over, told
from bench.server import RunningServer

_RUNS = 15
_LIMIT = 400.0


def _median_ms(arguments: list[str], environment: dict[str, str] | None = None) -> float:
    taken = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        subprocess.run(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def measure() -> list[Figure]:
    mainstay = [sys.executable, "-m", "mainstay"]
    with RunningServer() as server:
        target = f"{server.url}/api/health"
        return [
            told("python -c pass", _median_ms([sys.executable, "-c", "pass"]), "ms"),
            at_most("mainstay --help", _median_ms([*mainstay, "--help"]), _LIMIT, "ms"),
            at_most("mainstay check URL", _median_ms([*mainstay, "check", target]), _LIMIT, "ms"),
            at_most("mainstay status", _median_ms([*mainstay, "status"], server.environment), _LIMIT, "ms"),
        ]


if __name__ == "__main__":
    hand_over(measure())
