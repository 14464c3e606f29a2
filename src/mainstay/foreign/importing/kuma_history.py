"""Uptime Kuma's history as roll-ups by the day, which the telemetry store keeps for years.

1.x keeps every heartbeat; 2.x keeps days in `stat_daily` and the latest heartbeats. A heartbeat's `duration` is the
time since the one before it, spent in the state that it found, as Kuma itself counts uptime: up and maintenance are
good, down and pending are not.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from mainstay.foreign.importing.kuma_source import opened, tables_of
from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.kernel.errors import UserError

FORMAT = "mainstay day roll-ups"
_DAY = 86_400
_STATES = {0: "down", 1: "up", 2: "down", 3: "maintenance"}
_LIMIT_LINE = 10_000


@dataclass(slots=True)
class Day:
    """One day of one monitor. `at` is its midnight in UTC, epoch seconds; times are seconds."""

    monitor: str
    at: int
    checks: int = 0
    failures: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    maximum: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}


def days_of(path: str, names: Mapping[str, str]) -> Iterator[Day]:
    """Complete days of the monitors in `names` (id -> name of ours), monitor by monitor, oldest first."""
    with opened(path) as connection:
        tables = tables_of(connection)
        for identity, name in names.items():
            if not identity.isdigit():
                continue
            known: dict[int, Day] = {}
            if "heartbeat" in tables:
                known = {day.at: day for day in _from_beats(connection, int(identity), name)}
            if "stat_daily" in tables:
                for day in _from_days(connection, int(identity), name):
                    if day.checks > known.get(day.at, day).checks or day.at not in known:
                        known[day.at] = day
            yield from (known[at] for at in sorted(known))


def _from_beats(connection: sqlite3.Connection, identity: int, name: str) -> Iterator[Day]:
    query = "SELECT time, status, ping, duration FROM heartbeat WHERE monitor_id = ? ORDER BY time"
    day, pings = Day(name, 0), list[float]()
    for written, status, ping, duration in connection.execute(query, [identity]):
        at = _instant(written)
        if at is None:
            continue
        midnight = int(at) // _DAY * _DAY
        if midnight != day.at:
            if day.checks:
                yield _measured(day, pings)
            day, pings = Day(name, midnight), []
        day.checks += 1
        day.failures += status == 0
        state = _STATES.get(status, "unknown")
        spent = min(max(float(duration or 0), 0.0), at - midnight)  # what lay in the days before is not known
        day.seconds[state] = day.seconds.get(state, 0.0) + spent
        if status == 1 and ping is not None:
            pings.append(float(ping) / 1000)
    if day.checks:
        yield _measured(day, pings)


def _measured(day: Day, pings: list[float]) -> Day:
    if pings:
        pings.sort()
        day.mean, day.maximum = sum(pings) / len(pings), pings[-1]
        day.p50, day.p95 = _quantile(pings, 0.5), _quantile(pings, 0.95)
    return day


def _quantile(values: list[float], share: float) -> float:
    """Between the two nearest values, as the telemetry store computes it."""
    position = (len(values) - 1) * share
    low = int(position)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (position - low)


def _instant(written: Any) -> float | None:
    """Epoch seconds of `2024-01-31 12:00:00.123` in UTC, or of milliseconds."""
    if isinstance(written, int | float):
        return float(written) / 1000 if written > 1e11 else float(written)
    try:
        at = datetime.fromisoformat(str(written))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _from_days(connection: sqlite3.Connection, identity: int, name: str) -> Iterator[Day]:
    columns = {str(row[1]) for row in connection.execute("PRAGMA table_info(stat_daily)")}
    largest = "ping_max" if "ping_max" in columns else "NULL"
    query = f"SELECT timestamp, up, down, ping, {largest} FROM stat_daily WHERE monitor_id = ? ORDER BY timestamp"  # noqa: S608  one of two constants
    for at, up, down, ping, most in connection.execute(query, [identity]):
        checks = int(up or 0) + int(down or 0)
        if not checks or at is None:
            continue
        spent = {"up": _DAY * up / checks, "down": _DAY * down / checks}
        day = Day(
            name, int(at) // _DAY * _DAY, checks, int(down), {key: value for key, value in spent.items() if value}
        )
        day.mean = day.p50 = float(ping) / 1000 if ping else None
        day.p95 = day.maximum = float(most) / 1000 if most else day.mean
        yield day


# the file


def write_days(path: str, days: Iterable[Day]) -> dict[str, int]:
    """JSON lines after a first line that says what they are; how many monitors, days and checks."""
    monitors: set[str] = set()
    counts = {"monitors": 0, "days": 0, "checks": 0}
    try:
        with Path(path).open("w", encoding="utf-8") as handle:
            handle.write(json.dumps({"format": FORMAT, "version": 1}) + "\n")
            for day in days:
                handle.write(json.dumps(day.as_dict(), ensure_ascii=False) + "\n")
                monitors.add(day.monitor)
                counts["days"] += 1
                counts["checks"] += day.checks
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    counts["monitors"] = len(monitors)
    return counts


def read_days(path: str) -> Iterator[Day]:
    """The days of such a file; InvalidInput with the line of what is none."""
    try:
        handle = Path(path).open(encoding="utf-8")  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    with handle:
        for number, line in enumerate(_lines(path, handle), 1):
            document = _line(path, number, line)
            if number == 1:
                if document.get("format") != FORMAT:
                    _wrong(path, 1, f"this is not a file of {FORMAT}")
                continue
            try:
                yield Day(**document)
            except TypeError:
                _wrong(path, number, "this line is not a day")


def _lines(path: str, handle: TextIO) -> Iterator[str]:
    try:
        yield from handle
    except UnicodeDecodeError:
        _wrong(path, 1, "the file is not UTF-8 text")


def _line(path: str, number: int, line: str) -> dict[str, Any]:
    try:
        document = json.loads(line) if len(line) < _LIMIT_LINE else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        _wrong(path, number, "this line is not a JSON object")
    return document or {}


def _wrong(path: str, number: int, message: str) -> None:
    diagnostics = Diagnostics()
    diagnostics.add(message, Place(path, number, 1), hint="make it with: mainstay import kuma kuma.db --days FILE")
    diagnostics.raise_if_errors()
