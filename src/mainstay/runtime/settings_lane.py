"""The lane of settings: what is declared, here, on another server or by a command, holds within a second."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainstay.kernel.capability import Lane
from mainstay.store.declared_settings import take_declared

if TYPE_CHECKING:
    from mainstay.store.running import Running

_EVERY = 1.0


def lanes(running: Running) -> tuple[Lane, ...]:
    async def turn() -> None:
        await running.writer.run(partial(take_declared, running.settings))

    return (Lane("settings", turn, _EVERY),)
