"""The doors of other tools' protocols on one event loop, with the ping door and its lane behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from django.db import connections
from tests.rigs.pinging import ACTOR, uncovered
from tests.rigs.settings import having

from mainstay.foreign.compat.doors import compat_doors
from mainstay.frames.boot import current_settings
from mainstay.heartbeats.doors.mail import MailDoor
from mainstay.heartbeats.doors.pings import PingApp
from mainstay.heartbeats.lane import HeartbeatLane
from mainstay.heartbeats.settings import MAIL_LISTEN
from mainstay.heartbeats.verbs import rotate_ping_key
from mainstay.runtime.server import Server
from mainstay.statuspage.view import PublicPage
from mainstay.store.writer import Writer


@dataclass(slots=True)
class Rig:
    """`pages` is what the public pages are taken to be; `key` is the ping key."""

    client: httpx.AsyncClient
    mail: MailDoor
    key: str
    pages: list[PublicPage]
    lane: HeartbeatLane


async def _nowhere(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _rigged(clock: Any, key: str) -> AsyncIterator[Rig]:
    settings = having(current_settings(), mail_listen="127.0.0.1:0", ping_body_limit=1000)
    executor = ThreadPoolExecutor(1)  # one thread, so that its database connection can be closed
    asyncio.get_running_loop().set_default_executor(executor)
    writer = Writer()
    lane = HeartbeatLane(settings, writer, clock, uncovered)
    await lane.start()
    pings = PingApp(writer, lane.directory, settings, clock, uncovered, catch_up=lane.catch_up)
    pages: list[PublicPage] = []
    mail = MailDoor(pings, settings[MAIL_LISTEN])
    await mail.start()
    server = Server({"/ping/": pings, **compat_doors(pings, lambda: pages)}, _nowhere, https=False)
    try:
        transport = httpx.ASGITransport(app=server)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Rig(client, mail, key, pages, lane)
    finally:
        await mail.stop()
        lane.close()
        await asyncio.to_thread(connections.close_all)
        await writer.run(connections.close_all)
        writer.stop()


def rigged(clock: Any, test: Callable[[Rig], Awaitable[None]]) -> None:
    """Run a test on the loop of the rig; what it declares before is known."""
    key = rotate_ping_key(ACTOR)

    async def run() -> None:
        async with _rigged(clock, key) as rig:
            await test(rig)

    asyncio.run(run())
