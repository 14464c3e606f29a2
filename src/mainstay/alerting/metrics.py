"""What alerting says of itself to Prometheus."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainstay.frames.exposition import Metric

if TYPE_CHECKING:
    from mainstay.frames.exposition import Figures
    from mainstay.store.running import Running

METRICS = (
    Metric("alerts_open", "Open alerts by severity."),
    Metric("outbox", "Notifications by state."),
)


async def collect(figures: Figures, _running: Running) -> None:
    await asyncio.to_thread(_read, figures)


def _read(figures: Figures) -> None:
    from django.db import close_old_connections

    from mainstay.alerting import queries

    close_old_connections()
    figures.each("alerts_open", "severity", queries.open_by_severity())
    figures.each("outbox", "state", queries.outbox_counts())
