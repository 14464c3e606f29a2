"""From the confirming check to the hand-over at the channel: p50 and p99 over many outages."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.figures import Figure, at_most, hand_over, percentile, told
from bench.server import RunningServer

_MONITORS = 40
_ROUNDS = 5
_CONFIRMING = 2  # checks in a row that confirm an outage, and a recovery


class _Target(BaseHTTPRequestHandler):
    """Answers 200 or 503, and remembers when each path got which answer."""

    healthy = True
    asked: defaultdict[str, list[tuple[bool, float]]] = defaultdict(list)
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        healthy = _Target.healthy
        self.send_response(200 if healthy else 503)
        self.end_headers()
        self.asked[self.path].append((healthy, time.time()))

    def log_message(self, *args: object) -> None:
        """A benchmark of a thousand requests prints none of them."""


class _Hook(BaseHTTPRequestHandler):
    """Takes webhooks and notes when each came."""

    arrived: list[tuple[str, str, float]] = []
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        now = time.time()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.arrived.append((body["status"], body["alert"]["monitor"], now))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """As above."""


def _serve(handler: type[BaseHTTPRequestHandler]) -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.request_queue_size = 256
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def _wait(status: str, already: int) -> list[tuple[str, str, float]]:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = [item for item in _Hook.arrived[already:] if item[0] == status]
        if len(found) >= _MONITORS:
            return found
        time.sleep(0.05)
    raise RuntimeError(f"only {len(found)} of {_MONITORS} messages came")


def measure() -> list[Figure]:
    target, hook = _serve(_Target), _serve(_Hook)
    monitors = "\n".join(
        f"  m{number}: {{http: '{target}/m{number}', every: 2s, confirm: {{failures: 2, recheck: 1s}}, "
        "flapping: {falls: 100}}"
        for number in range(_MONITORS)
    )
    config = f"monitors:\n{monitors}\nchannels:\n  hook: {{webhook: '{hook}/'}}\nroutes:\n  - {{to: [hook]}}\n"
    delays: list[float] = []
    with RunningServer(config) as server:
        while len(_Target.asked) < _MONITORS:
            time.sleep(0.1)
        time.sleep(5)
        for _ in range(_ROUNDS):
            for healthy, status in ((False, "firing"), (True, "resolved")):
                already = len(_Hook.arrived)
                _Target.asked.clear()
                _Target.healthy = healthy
                for _, name, at in _wait(status, already):
                    answered = [when for state, when in _Target.asked[f"/{name}"] if state is healthy]
                    delays.append(at - answered[_CONFIRMING - 1])
                time.sleep(3)
        server.wait_healthy()
    return [
        told("outages and recoveries", len(delays), ""),
        told("p50 after the confirming check", percentile(delays, 0.5), "s"),
        at_most("p99 after the confirming check", percentile(delays, 0.99), 1.0, "s"),
    ]


if __name__ == "__main__":
    hand_over(measure())
