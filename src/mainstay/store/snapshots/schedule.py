"""How often a snapshot is taken, as the setting `snapshot_every` says it."""

from __future__ import annotations

from mainstay.kernel.timespan import parse_duration

_SHORTEST = 60.0


def period(text: str) -> float:
    """Seconds; 0 for "" (never). ValueError for what is no duration, or less than a minute."""
    if not text:
        return 0.0
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise ValueError(f"must be a duration such as 1d, not `{text[:20]}`") from None
    if seconds < _SHORTEST:
        raise ValueError("must be a minute or more; 1d is usual")
    return seconds
