"""Every page with 1,000 monitors and 90 days of history, and how many visitors the status page serves.

Pages are timed through Django's test client (no network, everything else as in life), the status page by `wrk`
on a real socket, and without `wrk` by calling it on the event loop.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_least, at_most, hand_over, percentile, told

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

_MONITORS = 1000
_DAYS = 90
_ROUNDS = 25
_PAGES = {
    "overview": "/",
    "monitors": "/monitors/",
    "monitors, searched": "/monitors/?q=node-00",
    "monitors, slowest first": "/monitors/?sort=latency",
    "monitor, 24 h": "/monitors/{name}/",
    "monitor, 90 d": "/monitors/{name}/?range=90d",
    "heartbeats": "/heartbeats/",
    "heartbeat": "/heartbeats/nightly-backup/",
    "alerts": "/alerts/",
    "channels": "/channels/",
    "resources": "/resources/",
    "resource": "/resources/monitor/{name}/",
    "route": "/resources/route/rest/",
    "editor": "/resources/monitor/{name}/edit",
    "revisions": "/revisions/",
    "revision": "/revisions/1/",
    "journal": "/journal/",
    "health": "/health/",
}


def measure() -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="mainstay-bench-pages-"))
    try:
        return _measure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path) -> list[Figure]:
    from mainstay.frames.boot import load_settings, migrate, start_django

    start_django(load_settings(data=folder))
    migrate()
    from mainstay.watch.results import set_current
    from mainstay.watch.results.results import Results

    telemetry = Results.embedded(folder / "telemetry.duckdb")
    set_current(telemetry)
    try:
        name = _seed(telemetry)
        return [*_time_pages(name), *_status_page()]
    finally:
        set_current(None)
        telemetry.close()


def _seed(telemetry: Any) -> str:
    from tests.rigs import seeding

    from mainstay.store.resources.apply import declare
    from mainstay.watch.results.history import HISTORY

    now = time.time()
    seeding.declare_company(now)
    monitors = [one for one in seeding.declare_many(_MONITORS) if one.name.startswith("service-")]
    seeding.settle_company(telemetry, now, hours=1)
    seeding.fill_history(telemetry, [one.uid for one in monitors], now, _DAYS)
    chance = random.Random(11)
    for one in monitors:
        telemetry.append(seeding.samples_of(one.uid, now, count=60, step=60.0, chance=chance))
        state = chance.choices(("up", "down", "degraded"), (0.985, 0.01, 0.005))[0]
        seeding.set_state(one.uid, state, now - 3600, now, message="" if state == "up" else "it does not answer")
    telemetry.flush()
    telemetry.maintain(now)
    components = [
        {"name": f"Service {number}", "monitors": [one.name for one in monitors[number::40]]} for number in range(40)
    ]
    declare(seeding.SEED, "status_page", "fleet", {"title": "Fleet", "components": components}, manager="page")
    HISTORY.forget()
    return str(monitors[0].name)


def _visitor() -> Any:
    from django.test import Client

    from mainstay.accounts import verbs
    from mainstay.accounts.models import User
    from mainstay.kernel.actor import system

    verbs.create_user(system("bench"), "bench@example.com", "admin")
    client = Client(headers={"host": "localhost"})
    person = User.objects.get(email="bench@example.com")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def _time_pages(name: str) -> list[Figure]:
    client = _visitor()
    figures, everything = [], []
    for title, address in _PAGES.items():
        url = address.format(name=name)
        times, size = [], 0
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            response = client.get(url)
            size = len(response.content)
            times.append((time.perf_counter() - began) * 1000)
            if response.status_code != 200:
                raise RuntimeError(f"{url} answered {response.status_code}")
        everything += times[1:]
        print(f"{title:<26} first {times[0]:6.0f} ms  {size / 1000:7.1f} kB", file=sys.stderr)
        figures.append(at_most(f"{title}: p95", percentile(times[1:], 0.95), 200, "ms"))
    return [*figures, at_most("all pages: p95", percentile(everything, 0.95), 200, "ms")]


def _status_page() -> list[Figure]:
    from mainstay.statuspage.serving import StatusPages

    pages = StatusPages()
    began = time.perf_counter()
    asyncio.run(pages.refresh())
    built = time.perf_counter() - began
    rate = _over_http(pages) if shutil.which("wrk") else _on_the_loop(pages)
    return [
        told("status pages: read and rendered, first time", built, "s"),
        at_least("status page of 1,000 monitors", rate, 2000, "req/s"),
    ]


def _over_http(pages: Any) -> float:
    import uvicorn
    import uvloop

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(pages, log_config=None, lifespan="off", access_log=False))
    thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        command = ["wrk", "-t1", "-c16", "-d4s", "-H", "Accept-Encoding: gzip"]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/status/fleet/"], capture_output=True, text=True, check=True
        )
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout:
        raise RuntimeError(f"wrk said {done.stdout[-500:]}")
    return float(found[1])


def _on_the_loop(pages: Any) -> float:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/status/fleet/",
        "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip")],
    }

    async def nowhere(*_message: Any) -> None: ...

    async def ask() -> float:
        began = time.perf_counter()
        for _ in range(20_000):
            await pages(scope, nowhere, nowhere)
        return 20_000 / (time.perf_counter() - began)

    return asyncio.run(ask())


if __name__ == "__main__":
    hand_over(measure())
