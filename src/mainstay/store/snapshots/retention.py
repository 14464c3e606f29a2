"""Which snapshots stay: pure rules over the moments at which they were taken.

`7d,4w` keeps the newest of each of the last 7 days and of each of the last 4 weeks that have one (UTC, weeks begin
on Monday). Also `h` hours, `m` months and `y` years. The newest of all always stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime

from mainstay.kernel.clock import to_datetime
from mainstay.kernel.errors import UserError

_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "h": lambda at: (at.year, at.month, at.day, at.hour),
    "d": lambda at: (at.year, at.month, at.day),
    "w": lambda at: (at.isocalendar().year, at.isocalendar().week),
    "m": lambda at: (at.year, at.month),
    "y": lambda at: (at.year,),
}
_PART = re.compile(r"(\d{1,4})([hdwmy])")


def parse_keep(text: str) -> dict[str, int]:
    """`7d,4w` as {"d": 7, "w": 4}; empty for "" (all are kept). UserError for anything else."""
    keep: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = _PART.fullmatch(part)
        if not found or found[2] in keep or not int(found[1]):
            raise UserError(f"`{part[:20]}` does not say what to keep", hint="write days and weeks, such as 7d,4w")
        keep[found[2]] = int(found[1])
    return keep


def kept(moments: Iterable[float], keep: dict[str, int]) -> set[float]:
    """Those of `moments` (epoch seconds) that stay."""
    newest_first = sorted(set(moments), reverse=True)
    if not keep:
        return set(newest_first)
    stay = set(newest_first[:1])
    for unit, number in keep.items():
        seen: set[tuple[int, ...]] = set()
        for moment in newest_first:
            period = _PERIODS[unit](to_datetime(moment))
            if period not in seen and len(seen) < number:
                seen.add(period)
                stay.add(moment)
    return stay
