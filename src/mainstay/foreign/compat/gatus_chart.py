"""Response times as a line over time, in SVG: mean milliseconds, from 0 up, with lines to read them by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

_WIDTH, _HEIGHT = 1280, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 20, 40  # pixels around the plot
_STEPS = 4


def chart_svg(times: Sequence[int], values: Sequence[int], span: tuple[int, int]) -> str:
    """times and span: epoch milliseconds, the first within the second; values: milliseconds. Times are told in UTC."""
    start, end = span
    top = _STEPS * (max(values) * 5 // (4 * _STEPS) + 1)  # with air above the highest, and whole numbers at the lines
    points = [(_across(at, start, end), _down(value, top)) for at, value in zip(times, values, strict=True)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in points)
    words = f"Response time in milliseconds, {min(values)} to {max(values)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-label="{words}"><title>{words}</title>'
        f'<g stroke="#777" stroke-opacity=".25">{_rules(top)}</g>'
        f'<g fill="#777" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">{_scale(top)}'
        f"{_clock(start, end)}</g>"
        f'<polyline points="{line}" fill="none" stroke="#0074d9" stroke-width="1.5"/><g fill="#0074d9">{dots}</g></svg>'
    )


def _across(at: float, start: int, end: int) -> float:
    return _LEFT + (at - start) / (end - start) * (_WIDTH - _LEFT - _RIGHT)


def _down(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)


def _rules(top: int) -> str:
    levels = (_down(value, top) for value in range(0, top + 1, top // _STEPS))
    return "".join(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>' for y in levels)


def _scale(top: int) -> str:
    marks = [(value, _down(value, top)) for value in range(0, top + 1, top // _STEPS)]
    return "".join(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value} ms</text>' for value, y in marks)


def _clock(start: int, end: int) -> str:
    form = "%H:%M" if end - start <= 86_400_000 else "%b %d"
    moments = [start + (end - start) * step / 8 for step in range(9)]
    return "".join(
        f'<text x="{_across(at, start, end):.1f}" y="{_HEIGHT - 15}" text-anchor="middle">'
        f"{datetime.fromtimestamp(at / 1000, UTC):{form}}</text>"
        for at in moments
    )
