"""What alerting does by itself, besides delivering messages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainstay.alerting.settings import ALERT_DAYS
from mainstay.alerting.upkeep import prune_alerts
from mainstay.kernel.actor import system
from mainstay.kernel.capability import Lane
from mainstay.kernel.clock import Steps

if TYPE_CHECKING:
    from mainstay.store.running import Running


def lanes(running: Running) -> tuple[Lane, ...]:
    steps = Steps(running.clock)

    async def prune() -> None:
        if steps.steady():
            days = running.settings[ALERT_DAYS]
            await running.writer.run(partial(prune_alerts, system("alerts"), days, running.clock))

    return (Lane("old alerts", prune, 3600.0, alone=True),)
