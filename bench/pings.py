"""Durable pings per second: a real server, real HTTP from wrk, and a count of the rows afterwards.

`--door` leaves everything but the ping door out, to see what the door itself costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_least, hand_over, told
from bench.server import RunningServer

_HEARTBEATS = 1000
_SECONDS = 10
_CONNECTIONS = 64
_TARGET = 2000

_SCRIPT = """
local addresses = {}
for line in io.lines(os.getenv("PING_ADDRESSES")) do addresses[#addresses + 1] = line end
math.randomseed(os.time())
request = function()
  return wrk.format("GET", "/ping/" .. addresses[math.random(#addresses)])
end
done = function(summary, latency, requests)
  io.write(string.format('{"requests": %d, "failed": %d, "microseconds": %d, "p50": %d, "p99": %d, "max": %d}',
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99), latency.max))
end
"""


def _addresses() -> list[str]:
    return [str(uuid.uuid4()) for _ in range(_HEARTBEATS)]


def _config(addresses: list[str]) -> str:
    lines = [f"  h{number}: {{every: 1h, uuid: {address}}}" for number, address in enumerate(addresses)]
    return "heartbeats:\n" + "\n".join(lines) + "\n"


def load(port: int, addresses: list[str], seconds: int, connections: int) -> dict[str, Any]:
    """What wrk saw."""
    folder = Path(tempfile.mkdtemp(prefix="mainstay-wrk-"))
    (folder / "pings.lua").write_text(_SCRIPT)
    (folder / "addresses").write_text("\n".join(addresses))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(folder / "pings.lua")]
    environment = {**os.environ, "PING_ADDRESSES": str(folder / "addresses")}
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], env=environment, capture_output=True, text=True, check=True
    )
    shutil.rmtree(folder)
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.rindex("{") :])
    return found


@contextmanager
def _door(addresses: list[str]) -> Iterator[RunningServer]:
    """A process with nothing but the writer, the lane and the door."""
    server = RunningServer()
    command = [sys.executable, "-m", "bench.pings", "--serve", str(server.port)]
    process = subprocess.Popen(command, env=server.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    server._process = process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_config(addresses).encode())
    process.stdin.close()
    process.stdout.readline()
    try:
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _serve(port: int) -> None:
    from mainstay.frames.boot import load_settings, migrate, start_django

    settings = load_settings()
    start_django(settings)
    migrate()

    import uvicorn
    import uvloop

    from mainstay.frames.lanes import forever
    from mainstay.heartbeats.doors.pings import PingApp
    from mainstay.heartbeats.lane import EVERY, HeartbeatLane
    from mainstay.kernel.actor import command
    from mainstay.kernel.clock import SystemClock
    from mainstay.store.resources.apply import declare_all
    from mainstay.store.writer import Writer

    lines = [line.strip().split() for line in sys.stdin.read().splitlines()[1:]]
    wanted = [("heartbeat", line[0].rstrip(":"), {"every": "1h", "uuid": line[4].rstrip("}")}) for line in lines]
    declare_all(command("bench"), wanted, manager="command")

    async def run() -> None:
        writer = Writer()
        lane = HeartbeatLane(settings, writer, SystemClock())
        await lane.start()
        app = PingApp(writer, lane.directory, settings)
        config = uvicorn.Config(
            app, port=port, lifespan="off", access_log=False, proxy_headers=False, log_level="error"
        )
        server = uvicorn.Server(config)
        turns = asyncio.create_task(forever("heartbeats", lane.turn, EVERY))
        asyncio.get_running_loop().call_later(0.5, lambda: print("ready", flush=True))
        await server.serve()
        turns.cancel()
        writer.stop()

    uvloop.run(run())


def _rows(server: RunningServer) -> tuple[int, int]:
    """(pings counted, rows kept) in the database, read from outside of the server."""
    import sqlite3

    with sqlite3.connect(server.folder / "data" / "state.sqlite3") as database:
        counted = database.execute("SELECT COALESCE(SUM(pings), 0) FROM heartbeat").fetchone()[0]
        kept = database.execute("SELECT COUNT(*) FROM ping").fetchone()[0]
    return counted, kept


def measure(door: bool = False) -> list[Figure]:
    addresses = _addresses()
    running = _door(addresses) if door else RunningServer(_config(addresses), MAINSTAY_PINGS_KEPT="1000000")
    with running as server:
        load(server.port, addresses, 1, 8)
        before, _ = _rows(server)
        cpu, start = server.cpu_seconds(), time.monotonic()
        seen = load(server.port, addresses, _SECONDS, _CONNECTIONS)
        taken = time.monotonic() - start
        used = server.cpu_seconds() - cpu
        time.sleep(1)
        after, kept = _rows(server)
    answered = seen["requests"] - seen["failed"]
    # wrk cuts what is under way when its time is over: such pings are written and not counted as answered.
    written = after - before
    whole = 0 <= written - answered <= 2 * _CONNECTIONS and (door or kept == after)
    if not whole:
        print(f"{answered} pings were answered with 200, {written} are in the database", file=sys.stderr)
    return [
        at_least("durable pings per second", answered / seen["microseconds"] * 1e6, _TARGET, "/s"),
        told("answered and not in the database", max(0, answered - written), "pings"),
        told("refused or failed", seen["failed"], "pings"),
        told("latency p50", seen["p50"] / 1000, "ms"),
        told("latency p99", seen["p99"] / 1000, "ms"),
        told("CPU of all processes", used / taken * 100, "% core"),
        told("CPU per ping", used / max(1, written) * 1000, "ms"),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--door", action="store_true", help="the ping door alone")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        _serve(chosen.serve)
    else:
        hand_over(measure(chosen.door))
