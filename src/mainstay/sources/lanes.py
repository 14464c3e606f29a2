"""What sources do by themselves: end what fell silent, and forget what is old."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainstay.kernel.actor import system
from mainstay.kernel.capability import Lane
from mainstay.kernel.clock import Steps
from mainstay.sources.verbs import AT_ONCE, end_silent, prune, wait_again

if TYPE_CHECKING:
    from mainstay.store.running import Running

_ACTOR = system("sources")


def lanes(running: Running) -> tuple[Lane, ...]:
    """Alerts are ended by one server only."""
    steps, old = Steps(running.clock), Steps(running.clock)

    async def silent() -> None:
        if by := steps.step():  # also at the start: nobody could repeat anything before
            await running.writer.run(partial(wait_again, _ACTOR, by, running.clock))
        while await running.writer.run(partial(end_silent, _ACTOR, running.clock), urgent=True) == AT_ONCE:
            pass

    async def forget() -> None:
        if old.steady():
            await running.writer.run(partial(prune, _ACTOR, running.clock))

    return Lane("silent alerts", silent, 1.0, alone=True), Lane("old changes", forget, 3600.0, alone=True)
