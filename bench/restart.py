"""After a restart: how long until each of 1,000 monitors was checked, and until the first result stands."""

from __future__ import annotations

import re
import time
import urllib.request

from bench.figures import Figure, at_most, hand_over
from bench.server import RunningServer
from bench.targets import nginx

_MONITORS = 1_000
_METRIC = re.compile(r"^mainstay_monitor_checked_seconds\{[^}]*\} (\S+)$", re.MULTILINE)


def _checked_since(server: RunningServer, token: str, moment: float) -> int:
    request = urllib.request.Request(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return sum(float(at) >= moment for at in _METRIC.findall(answer.read().decode()))


def measure() -> list[Figure]:
    with nginx() as url:
        lines = [f"  m{number}: {{http: '{url}{number}', every: 5m}}" for number in range(_MONITORS)]
        with RunningServer("monitors:\n" + "\n".join(lines) + "\n") as server:
            token = server.token()
            server.kill()
            moment, first, done = time.time(), 0.0, 0
            server.start()
            while done < _MONITORS and time.time() - moment < 180:
                time.sleep(0.5)
                done = _checked_since(server, token, moment)
                first = first or (time.time() - moment if done else 0.0)
            return [
                at_most("first result after the start of the process", first, 10, "s"),
                at_most("all 1,000 checked after the start", time.time() - moment, 60, "s"),
            ]


if __name__ == "__main__":
    hand_over(measure())
