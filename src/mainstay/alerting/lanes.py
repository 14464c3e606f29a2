"""What alerting does by itself, besides delivering messages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mainstay.alerting.upkeep import prune_alerts
from mainstay.kernel.actor import system
from mainstay.kernel.capability import Lane

if TYPE_CHECKING:
    from mainstay.store.running import Running


def lanes(running: Running) -> tuple[Lane, ...]:
    async def prune() -> None:
        await running.writer.run(partial(prune_alerts, system("alerts"), running.settings.alert_days))

    return (Lane("old alerts", prune, 3600.0, alone=True),)
