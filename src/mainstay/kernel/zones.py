"""Time zones by their IANA names."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mainstay.kernel.diagnostics import did_you_mean


@cache
def zone_names() -> list[str]:
    return sorted(available_timezones())


def check_zone(value: str) -> str:
    """The zone's name if the zone database has it; ValueError with a guess otherwise."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        guess = did_you_mean(value, available_timezones())
        raise ValueError(f"there is no time zone `{value[:60]}`{', ' + guess if guess else ''}") from None
    return value
