"""Carries out what people wished to be deleted of telemetry. Each store remembers how far it has come."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.store.writer import Writer
from mainstay.watch.erasing import wished_erasures
from mainstay.watch.results.history import HISTORY
from mainstay.watch.results.results import Results

log = structlog.get_logger("telemetry")
_LANE = system("erasing")


async def erase_wished(telemetry: Results, writer: Writer, clock: Clock) -> None:
    """StoreBusy while the store does not answer; what is left is done the next time."""
    done = await asyncio.to_thread(telemetry.forgotten)
    for at, uids in await writer.run(partial(wished_erasures, _LANE, done, clock)):
        await asyncio.to_thread(telemetry.forget, uids, at)
        HISTORY.forget()
        log.info("history erased", monitors=uids)
