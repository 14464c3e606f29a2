"""Points in time as people write them in forms and commands."""

from __future__ import annotations

from datetime import datetime

from mainstay.kernel.wall import clock_of, wall_of


def instant(text: str, zone: str, *, last: bool = False) -> float:
    """Epoch seconds of `2026-12-07T09:00`, in a zone unless it has an offset of its own. ValueError for others.

    last: of a time that the clock shows twice, the last; so ends do not come before their time.
    """
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"`{text[:40]}` is not a time") from None
    if read.tzinfo is not None:
        return read.timestamp()
    clock, wall = clock_of(zone), wall_of(read)
    return float(clock.last(wall) if last else clock.first(wall))
