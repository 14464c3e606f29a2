"""What on-call does by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainstay.kernel.capability import Lane
from mainstay.oncall.recording import keep_up

if TYPE_CHECKING:
    from mainstay.store.running import Running

EVERY = 20.0  # seconds


def lanes(running: Running) -> tuple[Lane, ...]:
    async def turn() -> None:
        await running.writer.run(partial(keep_up, running.clock))

    return (Lane("oncall", turn, EVERY, alone=True),)
