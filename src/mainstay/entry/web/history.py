"""History bars as pictures: one SVG path per state for all days, and words for every day with trouble.

A calm day is a low bar. A day with downtime stands taller and carries a tip in the state's colour,
so that trouble shows without colour too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString

from mainstay.kernel.clock import to_datetime
from mainstay.kernel.wording import lasting
from mainstay.store.telemetry.port import Bar, Uptime

_HEIGHT, _CALM, _STUB, _TIP = 30, 22, 6, 11
_NOTICEABLE = 0.01  # share of a day that must be degraded before its bar says so


@dataclass(frozen=True, slots=True)
class DayMark:
    """One day: `level` is none, up, degraded, down or maintenance; `share` of the measured time lost; `words`."""

    level: str
    share: float
    words: str


def judge(uptime: Uptime) -> DayMark:
    """What a day's bar shows."""
    seconds = uptime.seconds
    down, degraded = seconds.get("down", 0.0), seconds.get("degraded", 0.0)
    measured = seconds.get("up", 0.0) + degraded + down
    if down > 0:
        return DayMark("down", down / measured, f"{lasting(down)} down")
    if measured > 0 and degraded / measured >= _NOTICEABLE:
        return DayMark("degraded", degraded / measured, f"{lasting(degraded)} degraded")
    if measured > 0:
        return DayMark("up", 0.0, "")
    if seconds.get("maintenance", 0.0) > 0:
        return DayMark("maintenance", 0.0, "maintenance")
    return DayMark("none", 0.0, "-")


def share_of(bars: Sequence[Bar]) -> float | None:
    """Uptime over all bars together, 0..1; None without data."""
    good = bad = 0.0
    for bar in bars:
        seconds = bar.uptime.seconds
        good += seconds.get("up", 0.0) + seconds.get("degraded", 0.0)
        bad += seconds.get("down", 0.0)
    return good / (good + bad) if good + bad > 0 else None


def percent(share: float | None) -> str:
    """`99.98 %`, never rounded up to 100: `100 %` means that nothing was lost. A dash without data."""
    if share is None:
        return "\u2013"
    if share >= 1:
        return "100 %"
    digits = 2 if share >= 0.9 else 1
    floored = int(share * 100 * 10**digits) / 10**digits
    return f"{floored:.{digits}f} %"


def _box(index: int, top: float, height: float) -> str:
    return f"M{index * 10 + 1} {top:g}h8v{height:g}h-8z"


def bars_svg(bars: Sequence[Bar], *, tall: bool = False) -> SafeString:
    """An inline SVG of the bars, oldest first, with its summary as the accessible text."""
    if not bars:
        return SafeString("")
    marks = [judge(bar.uptime) for bar in bars]
    paths: dict[str, list[str]] = {}
    for index, mark in enumerate(marks):
        if mark.level in ("down", "degraded"):
            tip = min(_HEIGHT, max(_TIP, mark.share * _HEIGHT))
            paths.setdefault(mark.level, []).append(_box(index, 0, tip))
            if tip < _HEIGHT:
                paths.setdefault("up", []).append(_box(index, tip, _HEIGHT - tip))
        else:
            height = _STUB if mark.level == "none" else _CALM
            paths.setdefault(mark.level, []).append(_box(index, _HEIGHT - height, height))
    shapes = "".join(f'<path class="b-{level}" d="{"".join(boxes)}"/>' for level, boxes in paths.items())
    days = "|".join(mark.words for mark in marks)
    kind = "bars tall" if tall else "bars"
    return SafeString(
        f'<svg class="{kind}" viewBox="0 0 {len(bars) * 10} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(summary(bars, marks))}" data-first="{bars[0].at:.0f}" data-days="{escape(days)}">'
        f"{shapes}</svg>"
    )


def summary(bars: Sequence[Bar], marks: Sequence[DayMark]) -> str:
    """One sentence for people who do not see the bars; the five latest days with trouble are named."""
    troubled = [(bar.at, mark) for bar, mark in zip(bars, marks, strict=True) if mark.level in ("down", "degraded")]
    text = f"{len(bars)} days, uptime {percent(share_of(bars))}"
    if not troubled:
        return text
    latest = "; ".join(f"{to_datetime(at):%b %-d}: {mark.words}" for at, mark in troubled[-5:])
    return f"{text}, {len(troubled)} {'day' if len(troubled) == 1 else 'days'} with trouble: {latest}"
