"""Lanes: the loops that keep Mainstay going. Each ends when it is cancelled and survives its own errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("lanes")


async def forever(name: str, turn: Callable[[], Awaitable[None]], every: float) -> None:
    """Run `turn` every so many seconds until cancelled. What it raises is logged, never hidden, never fatal."""
    while True:
        try:
            await turn()
        except Exception:
            log.exception("lane failed, goes on", lane=name)
        await asyncio.sleep(every)
