"""What `/api/metrics` says of the server itself and of its stores, and how it is put together."""

from __future__ import annotations

import asyncio
import platform
import time
from typing import TYPE_CHECKING

from mainstay import __version__
from mainstay.frames.exposition import Family, Figures, Metric, answer
from mainstay.kernel.capability import CAPABILITIES, load

if TYPE_CHECKING:
    from mainstay.store.running import Running

METRICS = (
    Metric("build", "Version of Mainstay and of Python.", "info"),
    Metric("start_time_seconds", "When the main process started, in unixtime."),
    Metric("memory_bytes", "Resident memory of the main process."),
    Metric("queue_length", "Queued entries, by queue."),
    Metric("resources_revision", "Newest revision of what is declared."),
    Metric("journal_seq", "Number of the newest entry of the journal."),
    Metric("follower_lag_entries", "Journal entries that a follower has not processed yet."),
    Metric("follower_lag_seconds", "Lag of the follower: how long the oldest of them has waited."),
    Metric("work_units", "Units of work (transactions that write) since start.", "counter"),
    Metric("work_seconds", "Seconds for which units of work held the turn to write.", "counter"),
    Metric("work_wait_seconds", "Seconds for which units of work waited for the turn to write.", "counter"),
    Metric("work_longest_seconds", "The longest unit of work since start."),
    Metric("work_long", "Units of work that held the turn for more than 50 ms.", "counter"),
)


async def metrics_answer(accept: str, running: Running) -> tuple[str, str]:
    """(content type, body) of all capabilities, for an Accept header."""
    families = await gathered(running)
    return await asyncio.to_thread(answer, accept, families)


async def gathered(running: Running) -> list[Family]:
    """The families of all capabilities, also those without samples."""
    found = []
    for one in CAPABILITIES:
        if one.metrics:
            figures = Figures(load(f"{one.metrics}:METRICS"))
            await load(f"{one.metrics}:collect")(figures, running)
            found += figures.families()
    return found


async def collect(figures: Figures, running: Running) -> None:
    from mainstay.runtime.composition import Parts  # which starts everything

    figures.say("build", 1, {"version": __version__, "python": platform.python_version()})
    figures.say("memory_bytes", _resident_bytes())
    server = running.part(Parts)
    if server is not None:
        figures.say("start_time_seconds", server.started_at)
        figures.each("queue_length", "queue", server.queues())
    await asyncio.to_thread(_stores, figures)
    _work(figures)


def _stores(figures: Figures) -> None:
    from django.db import close_old_connections

    from mainstay.store.followers import lags
    from mainstay.store.journal import head
    from mainstay.store.resources.queries import latest_revision

    close_old_connections()
    figures.say("journal_seq", head().seq)
    figures.say("resources_revision", latest_revision())
    for name, lag in lags(time.time()).items():
        figures.say("follower_lag_entries", lag.entries, {"follower": name})
        figures.say("follower_lag_seconds", lag.seconds, {"follower": name})


def _work(figures: Figures) -> None:
    """By the function that changes something (`watch.verbs.check_now`)."""
    from mainstay.store.timing import TIMINGS

    for unit, timing in TIMINGS.read().items():
        whose = {"unit": unit}
        figures.say("work_units", timing.count, whose)
        figures.say("work_seconds", timing.held, whose)
        figures.say("work_wait_seconds", timing.waited, whose)
        figures.say("work_longest_seconds", timing.longest, whose)
        figures.say("work_long", timing.long, whose)


def _resident_bytes() -> int | None:
    """From /proc, where there is one."""
    try:
        with open("/proc/self/statm") as handle:
            return int(handle.read().split()[1]) * 4096
    except OSError:
        return None
