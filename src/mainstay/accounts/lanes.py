"""What accounts does by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainstay.accounts.token_verbs import bring_expiries_back
from mainstay.accounts.verbs import forget_expired_sessions
from mainstay.kernel.actor import system
from mainstay.kernel.capability import Lane
from mainstay.kernel.clock import Steps

if TYPE_CHECKING:
    from mainstay.store.running import Running


def lanes(running: Running) -> tuple[Lane, ...]:
    steps = Steps(running.clock)

    async def forget() -> None:
        if steps.set_back():
            await running.writer.run(partial(bring_expiries_back, system("accounts"), running.clock))
        await running.writer.run(forget_expired_sessions)

    return (Lane("sessions", forget, 3600.0, alone=True),)
