"""From a passed deadline to the hand-over at the channel: 10,000 heartbeats, 1,000 pings a second, p99.

Most heartbeats are pinged over and over; some are pinged once and then missed, so many a second. The delay counts
from the moment before their ping was sent, plus interval and grace, to the moment the webhook has been read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_least, at_most, hand_over, percentile, told
from bench.server import RunningServer

_HEARTBEATS = 10_000
_MISSED = 300
_MISSES_A_SECOND = 10
_RATE = 1000  # pings a second
_CONNECTIONS = 20
_EVERY, _GRACE = 30.0, 10.0  # seconds, of those that are missed
_STEADY = 5.0  # seconds of load before anything is to be missed


class _Hook(BaseHTTPRequestHandler):
    """Takes webhooks and notes when each came."""

    arrived: dict[str, float] = {}
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.arrived.setdefault(body["alert"]["monitor"], time.time())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """A benchmark of hundreds of requests prints none of them."""


def _config(hook: str, kept: list[str], missed: list[str]) -> str:
    lines = [f"  k{number}: {{every: 10m, grace: 5m, uuid: {address}}}" for number, address in enumerate(kept)]
    lines += [
        f"  m{number}: {{every: {_EVERY:g}s, grace: {_GRACE:g}s, uuid: {address}}}"
        for number, address in enumerate(missed)
    ]
    declared = "\n".join(lines)
    return f"heartbeats:\n{declared}\nchannels:\n  hook: {{webhook: '{hook}/'}}\nroutes:\n  - {{to: [hook]}}\n"


async def _send(port: int, kept: list[str], missed: list[str], seconds: float) -> dict[str, Any]:
    """Pings at a steady rate whatever the answers take; when each of `missed` was pinged, and the latencies."""
    latencies: list[float] = []
    refused = 0
    sent_at: dict[str, float] = {}
    queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def work() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            address, name = await queue.get()
            began = time.time()
            if name:
                sent_at[name] = began
            writer.write(f"GET /ping/{address} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            refused += not head.startswith(b"HTTP/1.1 200")
            latencies.append(time.time() - began)
            queue.task_done()

    workers = [asyncio.create_task(work()) for _ in range(_CONNECTIONS)]
    began, given, told_missed = time.monotonic(), 0, 0
    while (passed := time.monotonic() - began) < seconds:
        while given < passed * _RATE:
            queue.put_nowait((kept[given % len(kept)], ""))
            given += 1
        while told_missed < min(len(missed), max(0.0, passed - _STEADY) * _MISSES_A_SECOND):
            queue.put_nowait((missed[told_missed], f"m{told_missed}"))
            told_missed += 1
        if any(worker.done() for worker in workers):
            break
        await asyncio.sleep(0.005)
    await asyncio.wait_for(queue.join(), 30)
    for worker in workers:
        worker.cancel()
    taken = time.monotonic() - began
    return {"sent_at": sent_at, "rate": len(latencies) / taken, "refused": refused, "latencies": latencies}


def _load(folder: Path, port: int, kept: list[str], missed: list[str], seconds: float) -> dict[str, Any]:
    """The sender in a process of its own."""
    (folder / "addresses.json").write_text(json.dumps([kept, missed]))
    command = [sys.executable, "-m", "bench.heartbeats", "--send", str(folder / "addresses.json")]
    done = subprocess.run([*command, str(port), str(seconds)], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure() -> list[Figure]:
    kept = [str(uuid.uuid4()) for _ in range(_HEARTBEATS - _MISSED)]
    missed = [str(uuid.uuid4()) for _ in range(_MISSED)]
    hook = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    config = _config(f"http://127.0.0.1:{hook.server_address[1]}", kept, missed)
    seconds = _STEADY + _MISSED / _MISSES_A_SECOND + _EVERY + _GRACE + 5.0
    with RunningServer(config) as server:
        cpu = server.cpu_seconds()
        seen = _load(server.folder, server.port, kept, missed, seconds)
        used = server.cpu_seconds() - cpu
        end = time.monotonic() + 60
        while len(_Hook.arrived) < _MISSED and time.monotonic() < end:
            time.sleep(0.1)
    due = {name: at + _EVERY + _GRACE for name, at in seen["sent_at"].items()}
    delays = [at - due[name] for name, at in _Hook.arrived.items() if name in due]
    wrong = [name for name in _Hook.arrived if name not in due]
    if len(delays) < _MISSED or wrong:
        print(f"{_MISSED - len(delays)} misses were not told; told and not missed: {wrong[:5]}", file=sys.stderr)
    return [
        told("heartbeats with deadlines", _HEARTBEATS, ""),
        at_least("pings per second meanwhile", seen["rate"], _RATE * 0.99, "/s"),
        told("pings refused", seen["refused"], ""),
        told("latency of a ping p99", percentile(seen["latencies"], 0.99) * 1000, "ms"),
        at_least("misses told", len(delays), _MISSED, ""),
        told("told and not missed", len(wrong), ""),
        told("p50 after deadline and grace", percentile(delays, 0.5), "s"),
        at_most("p99 after deadline and grace", percentile(delays, 0.99), 2.0, "s"),
        told("longest", max(delays), "s"),
        told("CPU of all processes", used / seconds * 100, "% core"),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--send", nargs=3, metavar=("FILE", "PORT", "SECONDS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.send:
        file, port, seconds = chosen.send
        addresses = json.loads(Path(file).read_text())
        print(json.dumps(asyncio.run(_send(int(port), *addresses, float(seconds)))))
    else:
        hand_over(measure())
