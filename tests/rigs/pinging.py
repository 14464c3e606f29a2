"""A real web server on a loopback port with the ping door in it, for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from django.db import connections
from tests.rigs.settings import having

from mainstay.frames.boot import current_settings
from mainstay.heartbeats import queries
from mainstay.heartbeats.doors.pings import PingApp
from mainstay.heartbeats.lane import HeartbeatLane
from mainstay.heartbeats.verbs import rotate_ping_key
from mainstay.kernel.actor import command
from mainstay.store.resources.apply import declare
from mainstay.store.writer import Writer

ACTOR = command("tests")


def heartbeat(name: str, **document: Any) -> queries.HeartbeatView:
    """Declare a heartbeat (every hour, five minutes of grace) and read it back."""
    declare(ACTOR, "heartbeat", name, {"every": "1h", **document}, manager="api")
    return queries.heartbeat(name)


def uncovered(_labels: Mapping[str, str], _now: float) -> str:
    return ""


@dataclass(slots=True)
class Served:
    """`key` is the ping key; `client` speaks to the server."""

    client: httpx.Client
    port: int
    key: str
    app: PingApp
    lane: HeartbeatLane
    writer: Writer
    loop: asyncio.AbstractEventLoop

    def turn(self) -> None:
        """One turn of the lane."""
        asyncio.run_coroutine_threadsafe(self.lane.turn(), self.loop).result(30)


@contextmanager
def serving(clock: Any, covering: Callable[..., str] = uncovered, **settings: Any) -> Iterator[Served]:
    """The lane and the door around one writer, behind uvicorn, until the block ends."""

    chosen = having(current_settings(), **settings)
    writer = Writer()
    lane = HeartbeatLane(chosen, writer, clock, covering)
    app = PingApp(writer, lane.directory, chosen, clock, covering)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", log_level="warning", proxy_headers=False, access_log=False
    )
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await lane.start()
        await server.serve()

    key = rotate_ping_key(ACTOR)
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            threading.Event().wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Served(client, port, key, app, lane, writer, loops[0])
    finally:
        server.should_exit = True
        thread.join(20)
        lane.close()
        writer._thread.submit(connections.close_all).result(10)
        writer.stop()
