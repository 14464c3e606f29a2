"""What accounts does by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.accounts.verbs import forget_expired_sessions
from mainstay.kernel.capability import Lane

if TYPE_CHECKING:
    from mainstay.store.running import Running


def lanes(running: Running) -> tuple[Lane, ...]:
    async def forget() -> None:
        await running.writer.run(forget_expired_sessions)

    return (Lane("sessions", forget, 3600.0, alone=True),)
