"""History bars as pictures: one SVG path per state for all days, and words for every day with trouble.

A calm day is a low bar. A day with downtime stands taller and carries a tip in the state's colour,
so that trouble shows without colour too.
"""

from __future__ import annotations

from django.utils.html import escape
from django.utils.safestring import SafeString

from mainstay.frames.days import Line
from mainstay.kernel import wording
from mainstay.kernel.clock import to_datetime
from mainstay.kernel.wording import counted

_HEIGHT, _CALM, _STUB, _TIP = 30, 22, 6, 11


def percent(share: float | None) -> str:
    """`99.98 %`, cut off and never rounded up. A dash without data."""
    if share is None:
        return "\u2013"
    digits = 0 if share >= 1 else 2 if share >= 0.9 else 1
    return f"{wording.percent(share, digits):.{digits}f} %"


def _box(index: int, top: float, height: float) -> str:
    return f"M{index * 10 + 1} {top:g}h8v{height:g}h-8z"


def _paths(line: Line) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for index, mark in enumerate(line.marks):
        if mark.level in ("down", "degraded"):
            tip = min(_HEIGHT, max(_TIP, mark.share * _HEIGHT))
            paths.setdefault(mark.level, []).append(_box(index, 0, round(tip, 1)))
            if tip < _HEIGHT:
                paths.setdefault("up", []).append(_box(index, round(tip, 1), round(_HEIGHT - tip, 1)))
        else:
            height = _STUB if mark.level == "none" else _CALM
            paths.setdefault(mark.level, []).append(_box(index, _HEIGHT - height, height))
    return paths


def bars_svg(line: Line, *, tall: bool = False) -> SafeString:
    """An inline SVG of the days, oldest first, with its summary as the accessible text."""
    shapes = "".join(f'<path class="b-{level}" d="{"".join(boxes)}"/>' for level, boxes in _paths(line).items())
    days = "|".join(mark.words for mark in line.marks)
    kind = "bars tall" if tall else "bars"
    return SafeString(
        f'<svg class="{kind}" viewBox="0 0 {len(line.marks) * 10} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(summary(line))}" data-first="{line.first:.0f}" data-days="{escape(days)}">'
        f"{shapes}</svg>"
    )


def summary(line: Line) -> str:
    """One sentence for people who do not see the bars; the five latest days with trouble are named."""
    text = f"{counted(len(line.marks), 'day')}, uptime {percent(line.share)}"
    troubled = [(at, mark) for at, mark in enumerate(line.marks) if mark.level in ("down", "degraded")]
    if not troubled:
        return text
    days = [f"{to_datetime(line.first + at * 86_400):%b %d}: {mark.words}" for at, mark in troubled[-5:]]
    return f"{text}, {counted(len(troubled), 'day')} with trouble: {'; '.join(days)}"
