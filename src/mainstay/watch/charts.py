"""What the charts of a monitor show: response times by phase, lines of single places, and figures of its kind's own.

A chart's axis is the range that was asked for. Where a range holds few results each is drawn by itself; where it holds
many, buckets are. Times are epoch seconds; everything is handed to the page's script as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mainstay.kernel.ids import made_at

if TYPE_CHECKING:
    from mainstay.watch.results.results import Results
    from mainstay.watch.results.values import Point

HOUR = 3600.0
RANGES = {"1h": HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR, "30d": 720 * HOUR, "90d": 2160 * HOUR}
USUAL = "24h"
COLOURS = 6
_BUCKETS = 180
_FEW = 400  # results that are drawn one by one
_FIGURES = 2000  # results that figures are read from: each brings its evidence along
_FIGURES_REACH = 24 * HOUR
_LEFT_OUT = 2.5  # times the usual distance: a line is not drawn across

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a chart shows, of a monitor that is checked every `interval` seconds and was made at `born`."""

    since: float
    until: float
    interval: float
    born: float = 0.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one line, oldest first, with `step` seconds between those that follow each other."""

    points: Sequence[Point]
    step: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its names for the key, in the order of their colours, and its data as JSON."""

    names: Sequence[str]
    data: str
    empty: bool
    cut: int = 0  # results that it was cut to


def window_of(uid: str, interval: float, chosen: str, now: float) -> Window:
    return Window(now - RANGES[chosen], now, interval, made_at(uid))


def curve(telemetry: Results, uid: str, window: Window, location: str = "") -> Curve:
    """Single results where there are few, to the second; else buckets."""
    length = window.until - window.since
    if length <= 24 * HOUR and length / window.interval <= _FEW:
        points = telemetry.series(uid, window.since, window.until, int(length), location=location)
        if len(points) <= 2 * _FEW:  # more, where it was checked more often a while ago
            return Curve(points, window.interval)
    points = telemetry.series(uid, window.since, window.until, _BUCKETS, location=location)
    return Curve(points, max(length / _BUCKETS, window.interval, _least(points)))


def _least(points: Sequence[Point]) -> float:
    """Roll-ups may be wider than what was asked for."""
    return min((after.at - before.at for before, after in pairwise(points)), default=0.0) if len(points) > 2 else 0.0


def place(at: float, step: float, window: Window) -> float:
    """Where a bucket is drawn: at its beginning, but not before the monitor was made or outside of the axis."""
    begun = window.born if at < window.born < at + step else at
    return min(max(begun, window.since), window.until)


def failures(times: Sequence[tuple[float, bool]], step: float, window: Window) -> list[Span]:
    """Stretches in which checks failed: a failure lasts until the next result, and what follows on is one stretch."""
    found: list[Span] = []
    for number, (at, failed) in enumerate(times):
        if not failed:
            continue
        following = times[number + 1][0] if number + 1 < len(times) else window.until
        end = following if following - at <= _LEFT_OUT * step else min(at + step, window.until)
        if found and found[-1][1] >= at:
            found[-1] = (found[-1][0], end)
        else:
            found.append((at, end))
    return [(round(begin, 1), round(end, 1)) for begin, end in found]


def gaps(times: Sequence[float], step: float) -> Iterator[tuple[int, float]]:
    """After which of these times nothing is known for a while: (its place, a moment in between)."""
    for number, (before, after) in enumerate(pairwise(times)):
        if after - before > _LEFT_OUT * step:
            yield number, before + step


def response_chart(telemetry: Results, uid: str, window: Window) -> Chart:
    """Mean response time by phase, and the 95th percentile."""
    found = curve(telemetry, uid, window)
    times = [place(point.at, found.step, window) for point in found.points]
    rows: list[dict[str, Any]] = [
        {
            "at": round(at, 1),
            "mean": _rounded(point.mean),
            "p95": _rounded(point.p95),
            "failures": point.failures,
            "phases": {name: _rounded(value) for name, value in point.phases.items()},
        }
        for at, point in zip(times, found.points, strict=True)
    ]
    for number, at in reversed(list(gaps(times, found.step))):
        rows.insert(number + 1, {"at": round(at, 1), "mean": None, "p95": None, "failures": 0, "phases": {}})
    failed = failures(
        [(at, point.failures > 0) for at, point in zip(times, found.points, strict=True)], found.step, window
    )
    names = [name for name in _PHASES if any(name in point.phases for point in found.points)]
    return Chart(names, _json({**_axis(window), "points": rows, "failed": failed}), empty=not rows)


_PHASES = ("lookup", "connect", "tls", "wait", "transfer")


def location_lines(telemetry: Results, uid: str, names: Sequence[str], window: Window) -> str:
    """A line of mean response times for each location."""
    lines = []
    for number, name in enumerate(names):
        found = curve(telemetry, uid, window, name)
        times = [place(point.at, found.step, window) for point in found.points]
        values = [(at, _rounded(point.mean)) for at, point in zip(times, found.points, strict=True)]
        failed = [(at, point.failures > 0) for at, point in zip(times, found.points, strict=True)]
        line = {"name": name, "colour": number % COLOURS, "points": _broken(values, found.step)}
        lines.append({**line, "failed": failures(failed, found.step, window)})
    return _json({**_axis(window), "unit": "s", "lines": lines})


def figures_chart(telemetry: Results, kind: str, uid: str, window: Window) -> Chart | None:
    """The figures that results of this kind carry; None where it has none or the range is too long for them."""
    if kind not in FIGURES or window.until - window.since > _FIGURES_REACH:
        return None
    unit, read = FIGURES[kind]
    samples = telemetry.results(uid, window.since, window.until, _FIGURES)[::-1]
    read_out = [(sample.at, _numbers(read, sample.evidence)) for sample in samples]
    names = list(dict.fromkeys(name for _, values in read_out for name in values))[:COLOURS]
    lines = [
        {
            "name": name,
            "colour": number,
            "points": _broken([(at, values.get(name)) for at, values in read_out], window.interval),
        }
        for number, name in enumerate(names)
    ]
    failed = failures([(sample.at, sample.verdict == "down") for sample in samples], window.interval, window)
    data = _json({**_axis(window), "unit": unit, "lines": lines, "failed": failed})
    return Chart(names, data, empty=not lines, cut=_FIGURES if len(samples) >= _FIGURES else 0)


def _numbers(read: Callable[[Mapping[str, Any]], dict[str, Any]], evidence: Mapping[str, Any]) -> dict[str, float]:
    """None of evidence that has another shape: a prober elsewhere may send any."""
    try:
        return {name: value for name, value in read(evidence).items() if _is_number(value)}
    except (AttributeError, LookupError, TypeError, ValueError):
        return {}


def _broken(values: Sequence[tuple[float, Any]], step: float) -> list[tuple[float, Any]]:
    """The points of a line, with nothing in between where nothing is known for a while."""
    found = [(round(at, 1), value) for at, value in values]
    for number, at in reversed(list(gaps([at for at, _ in values], step))):
        found.insert(number + 1, (round(at, 1), None))
    return found


def _axis(window: Window) -> dict[str, float]:
    return {"from": int(window.since), "to": int(window.until)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json(data: object) -> str:
    """Within a script element, `</` must not end it."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


# Figures of kinds whose results say more than how long they took


def _host(evidence: Mapping[str, Any]) -> dict[str, Any]:
    named = {"Processors": "cpu_percent", "Memory": "memory_percent", "Swap": "swap_percent"}
    disks = {f"Disk {path}": space.get("percent") for path, space in (evidence.get("disks") or {}).items()}
    return {**{name: evidence.get(key) for name, key in named.items()}, **disks}


def _plugin(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Performance data in the unit of the first of them: one axis serves one unit."""
    shown = evidence.get("performance") or []
    return {one["label"]: one.get("value") for one in shown if one.get("unit") == shown[0].get("unit")}


def _promql(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {_series(one.get("series")): one.get("value") for one in evidence.get("values") or []}


def _series(labels: object) -> str:
    if isinstance(labels, Mapping):
        return ", ".join(f"{name}={value}" for name, value in labels.items())[:60]
    return str(labels)[:60]


FIGURES: dict[str, tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "host": ("%", _host),
    "plugin": ("", _plugin),
    "promql": ("", _promql),
    "domain": ("days", lambda evidence: {"Days until it expires": evidence.get("days_left")}),
    "group": ("", lambda evidence: {"Members up": evidence.get("up"), "Needed": evidence.get("needed")}),
}
# Kinds whose results take no time that would say anything.
UNTIMED = frozenset({"host", "group"})
