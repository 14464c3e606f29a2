"""Which roll-up answers for which part of a time. Pure; microseconds since the Unix epoch."""

from __future__ import annotations

from collections.abc import Mapping

from mainstay.store.columns.table import DAY, micro
from mainstay.watch.results.tables import SAMPLE

GRAINS = {rollup.mark: rollup.seconds for rollup in SAMPLE.rollups}


def uptime_spans(since: float, until: float, progress: Mapping[str, int], hour_days: int) -> list[tuple[str, int, int]]:
    """Cut [since, until) into (table, start, end) so that each part is read from its coarsest roll-up.

    `since` is taken down to its hour, or up to its midnight where hours are not kept any more.
    """
    hour, day = micro(3600), micro(DAY)
    position, end = micro(since) // hour * hour, micro(until)
    done = {grain: progress.get(grain, 0) for grain in GRAINS}
    spans: list[tuple[str, int, int]] = []
    next_midnight = -(-position // day) * day
    hours_end = min(next_midnight, done["hour"], end)
    if micro(until - since) > micro(hour_days * DAY):
        position = next_midnight  # too old for hours
    elif hours_end > position:
        spans.append(("by_hour", position, hours_end))
        position = hours_end
    if position < next_midnight < min(done["day"], end):
        position = next_midnight  # of that day only its sum is known: history of another tool
    for table, until_us in (
        ("by_day", done["day"]),
        ("by_hour", done["hour"]),
        ("by_minute", done["minute"]),
        ("sample", end + 1),
    ):
        stop = min(until_us, end + 1)
        if stop > position and (table != "by_day" or position % day == 0):
            spans.append((table, position, stop))
            position = stop
    return spans


def chart_grain(since: float, until: float, buckets: int, days: Mapping[str, int]) -> tuple[str, float]:
    """The grain that a chart of this time is read from (`raw` too), and the width of its buckets in seconds."""
    length = until - since
    step = max(1.0, length / buckets)
    if step < GRAINS["minute"]:
        return "raw", step
    grain = "minute" if step < GRAINS["hour"] and length <= days["minute"] * DAY else "hour"
    if grain == "hour" and length > days["hour"] * DAY:
        grain = "day"
    return grain, max(GRAINS[grain], step // GRAINS[grain] * GRAINS[grain])
