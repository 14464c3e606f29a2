"""The doors of alert sources on one event loop, over the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from django.db import connections

from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.clock import SystemClock
from mainstay.runtime.server import Server
from mainstay.sources.doors.doors import source_doors
from mainstay.sources.doors.intake import Intake
from mainstay.sources.verbs import end_silent
from mainstay.store.writer import Writer

ACTOR = system("test")


@dataclass(slots=True)
class Rig:
    client: httpx.AsyncClient
    intake: Intake
    writer: Writer
    clock: Any

    async def end_silent(self) -> int:
        return await self.writer.run(lambda: end_silent(ACTOR, self.clock))

    async def read(self, reader: Callable[[], Any]) -> Any:
        """Ask the store, on a thread."""
        return await asyncio.to_thread(reader)


async def _nowhere(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def rig_of(clock: Any = None, address: str = "127.0.0.1", **settings: Any) -> AsyncIterator[Rig]:
    clock = clock or SystemClock()
    executor = ThreadPoolExecutor(1)  # one thread, so that its database connection can be closed
    asyncio.get_running_loop().set_default_executor(executor)
    writer = Writer()
    intake = Intake(writer, replace(current_settings(), **settings), clock)
    await intake.turn()
    server = Server(source_doors(intake), _nowhere, https=False)
    try:
        transport = httpx.ASGITransport(app=server, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Rig(client, intake, writer, clock)
    finally:
        intake.close()
        await asyncio.to_thread(connections.close_all)
        await writer.run(connections.close_all)
        writer.stop()


def rigged(test: Callable[[Rig], Awaitable[None]], clock: Any = None, **options: Any) -> None:
    """Run a test on the loop of the rig; what it declared before is known."""

    async def run() -> None:
        async with rig_of(clock, **options) as rig:
            await test(rig)

    asyncio.run(run())
