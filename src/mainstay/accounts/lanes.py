"""What accounts does by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainstay.accounts import session_verbs, token_verbs
from mainstay.accounts.verbs import forget_expired_sessions
from mainstay.kernel.actor import system
from mainstay.kernel.capability import Lane
from mainstay.kernel.clock import Steps

if TYPE_CHECKING:
    from mainstay.store.running import Running


def lanes(running: Running) -> tuple[Lane, ...]:
    steps, actor, waiting = Steps(running.clock), system("accounts"), True

    async def forget() -> None:
        # Only by a clock that is steady: one that starts in 1970 would end everything for good.
        nonlocal waiting
        waiting |= steps.set_back()
        if not steps.steady():
            return
        if waiting:
            await running.writer.run(partial(token_verbs.bring_expiries_back, actor, running.clock))
            await running.writer.run(partial(session_verbs.bring_expiries_back, actor, running.clock))
            waiting = False
        await running.writer.run(partial(forget_expired_sessions, running.clock))

    return (Lane("sessions", forget, 3600.0, alone=True),)
