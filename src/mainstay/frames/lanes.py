"""Lanes: the loops that keep Mainstay going. Each ends when it is cancelled and survives its own errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("lanes")

_IN_A_ROW = 3  # failed turns after which health tells of a lane


class Turns:
    """How the lanes of this process do, for health."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, str]] = {}  # turns in a row, and what the last one raised

    def ended(self, lane: str, error: Exception | None = None) -> None:
        if error is None:
            self._failed.pop(lane, None)
        else:
            count, _ = self._failed.get(lane, (0, ""))
            self._failed[lane] = (count + 1, f"{type(error).__name__}: {str(error)[:100]}")

    async def probe(self) -> str:
        """`ok`, or the lanes that do not get through a turn, and why."""
        stuck = {lane: found for lane, found in self._failed.items() if found[0] >= _IN_A_ROW}
        told = [f"{lane} failed {count} times in a row ({why})" for lane, (count, why) in sorted(stuck.items())]
        return "; ".join(told) or "ok"


TURNS = Turns()


async def forever(name: str, turn: Callable[[], Awaitable[None]], every: float) -> None:
    """Run `turn` every so many seconds until cancelled. What it raises is logged and counted, never hidden or fatal."""
    while True:
        try:
            await turn()
        except Exception as error:
            TURNS.ended(name, error)
            log.exception("lane failed, continuing", lane=name)
        else:
            TURNS.ended(name)
        await asyncio.sleep(every)
