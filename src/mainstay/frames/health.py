"""Health: is every part of the server doing its work, in the shape that `GET /api/health` answers.

`{"status": "healthy" | "unhealthy", "timestamp": ..., "services": {name: "ok" | reason}, "version": ...}`

Only parts without which this server cannot do its work make it unhealthy: a load balancer takes it out then, and
no server is of more use because a prober in another city is away or a snapshot could not be written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from django.db import DatabaseError, close_old_connections, connection

from mainstay import __version__
from mainstay.kernel.clock import to_iso

Probe = Callable[[], Awaitable[str]]

_FRESH = 1.0  # seconds an answer is reused, so that many askers cost one question
_PATIENCE = 3.0


class Health:
    """Parts register a probe each; a probe gives "ok" or what is wrong."""

    def __init__(self) -> None:
        self._probes: dict[str, Probe] = {}
        self._vital: set[str] = set()
        self._known: dict[str, str] = {}
        self._asked = 0.0
        self._turn = asyncio.Lock()

    def register(self, name: str, probe: Probe, *, vital: bool = True) -> None:
        """vital: the whole server is unhealthy while this part is."""
        self._probes[name] = probe
        if vital:
            self._vital.add(name)

    async def services(self) -> dict[str, str]:
        async with self._turn:
            if time.monotonic() - self._asked > _FRESH:
                answers = await asyncio.gather(*(_ask(probe) for probe in self._probes.values()))
                self._known = dict(zip(self._probes, answers, strict=True))
                self._asked = time.monotonic()
            return self._known

    async def wrong(self, names: Iterable[str]) -> dict[str, str]:
        """What is not well among these, asked now."""
        asked = [name for name in names if name in self._probes]
        answers = await asyncio.gather(*(_ask(self._probes[name]) for name in asked))
        return {name: answer for name, answer in zip(asked, answers, strict=True) if answer != "ok"}

    async def report(self) -> dict[str, Any]:
        services = await self.services()
        healthy = all(answer == "ok" for name, answer in services.items() if name in self._vital)
        return {
            "status": "healthy" if healthy else "unhealthy",
            "timestamp": to_iso(time.time()),
            "services": services,
            "version": __version__,
        }


async def _ask(probe: Probe) -> str:
    try:
        return await asyncio.wait_for(probe(), _PATIENCE)
    except TimeoutError:
        return "no answer"


async def database_probe() -> str:
    return await asyncio.to_thread(_select_one)


def _select_one() -> str:
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"the database does not answer: {str(error)[:100]}"
    return "ok"
