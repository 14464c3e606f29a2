"""History by the day, for bars: compact lines judged once and kept, because past days do not change.

A line of 90 days costs a tuple of shared marks, so that a thousand of them fit beside everything else.
Today is asked for again after half a minute, past days after ten (late results) and after midnight UTC.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mainstay.kernel.wording import lasting
from mainstay.store.telemetry.port import Telemetry, Uptime

Level = Literal["none", "up", "maintenance", "degraded", "down"]

_DAY = 86_400
_NOTICEABLE = 0.01  # share of a day that must be degraded before its bar says so
_TODAY_KEPT = 30.0
_PAST_KEPT = 600.0
_MANY = 100_000  # uptimes that are kept at once
_RANK: dict[Level, int] = {"none": 0, "up": 1, "maintenance": 2, "degraded": 3, "down": 4}


@dataclass(frozen=True, slots=True)
class DayMark:
    """One day: `share` of the measured time that was lost (0..1), `good` and `bad` seconds, `words` for a person."""

    level: Level
    share: float = 0.0
    good: float = 0.0
    bad: float = 0.0
    words: str = ""


NO_DATA = DayMark("none", words="-")
CALM = DayMark("up", good=float(_DAY))
MAINTENANCE = DayMark("maintenance", words="maintenance")


@dataclass(frozen=True, slots=True)
class Line:
    """Marks by the day, oldest first, beginning at the midnight `first` (epoch seconds, UTC)."""

    first: float
    marks: tuple[DayMark, ...]

    @property
    def share(self) -> float | None:
        """Uptime over all its days, 0..1; None without data."""
        good = sum(mark.good for mark in self.marks)
        bad = sum(mark.bad for mark in self.marks)
        return good / (good + bad) if good + bad > 0 else None


def judge(uptime: Uptime) -> DayMark:
    """What a day's bar shows. A calm day that is nearly full shares one mark with all others."""
    seconds = uptime.seconds
    down, degraded = seconds.get("down", 0.0), seconds.get("degraded", 0.0)
    good = seconds.get("up", 0.0) + degraded
    if down > 0:
        return DayMark("down", down / (good + down), good, down, f"{lasting(down)} down")
    if good > 0 and degraded / good >= _NOTICEABLE:
        return DayMark("degraded", degraded / good, good, 0.0, f"{lasting(degraded)} degraded")
    if good > 0:
        return CALM if good > _DAY * 0.98 else DayMark("up", good=good)
    return MAINTENANCE if seconds.get("maintenance", 0.0) > 0 else NO_DATA


def together(lines: Sequence[Line]) -> Line:
    """One line for several that begin on the same day: each day looks like the worst of them, and counts all of them.

    So a day on which one of two was down throughout is half lost, and says that it was one of two.
    """
    if len(lines) == 1:
        return lines[0]
    columns = zip(*(line.marks for line in lines), strict=True)
    return Line(lines[0].first, tuple(_together(column) for column in columns))


def _together(marks: Sequence[DayMark]) -> DayMark:
    worst = max(marks, key=lambda mark: (_RANK[mark.level], mark.share))
    if worst.level not in ("down", "degraded"):
        return worst
    good, bad = sum(mark.good for mark in marks), sum(mark.bad for mark in marks)
    alike = sum(1 for mark in marks if mark.level == worst.level)
    words = worst.words if alike == len(marks) else f"{worst.words} ({alike} of {len(marks)})"
    return DayMark(worst.level, bad / (good + bad) if good + bad > 0 else 0.0, good, bad, words)


PERIODS = (("24 hours", 86_400), ("7 days", 7 * 86_400), ("30 days", 30 * 86_400), ("90 days", 90 * 86_400))


@dataclass(frozen=True, slots=True)
class Period:
    """Uptime over the time up to now, 0..1 (None without data), and the seconds that it was down."""

    words: str
    share: float | None
    down: float


def periods(uid: str, now: float) -> list[Period]:
    """The usual periods of one resource, for the tiles of its page."""
    found = [(words, HISTORY.uptimes([uid], seconds, now)[uid]) for words, seconds in PERIODS]
    return [Period(words, uptime.share, uptime.seconds.get("down", 0.0)) for words, uptime in found]


class History:
    """Lines and uptimes for many resources at once, kept between requests; safe to ask from any thread."""

    def __init__(self, telemetry: Callable[[], Telemetry]) -> None:
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._midnight = 0
        self._past: dict[tuple[str, int], tuple[float, tuple[DayMark, ...]]] = {}
        self._today: dict[str, tuple[float, DayMark]] = {}
        self._uptimes: dict[tuple[str, int], tuple[float, Uptime]] = {}

    def uptimes(self, uids: Iterable[str], seconds: int, now: float) -> dict[str, Uptime]:
        """Of the time up to now, by the hour: what every door says that tells an uptime or a mean response time."""
        wanted = list(dict.fromkeys(uids))
        with self._lock:
            stale = [uid for uid in wanted if now - self._uptimes.get((uid, seconds), (0.0,))[0] > _TODAY_KEPT]
            if stale:
                if len(self._uptimes) > _MANY:
                    self._uptimes.clear()
                    stale = wanted
                for uid, uptime in self._telemetry().uptimes(stale, now - seconds, now).items():
                    self._uptimes[uid, seconds] = (now, uptime)
            return {uid: self._uptimes[uid, seconds][1] for uid in wanted}

    def lines(self, uids: Iterable[str], days: int, now: float) -> dict[str, Line]:
        """`days` marks for each uid, the last of them today."""
        wanted = list(dict.fromkeys(uids))
        midnight = int(now) // _DAY * _DAY
        with self._lock:
            if midnight != self._midnight:
                self._past.clear()
                self._today.clear()
                self._midnight = midnight
            self._read_past(wanted, days, now)
            self._read_today(wanted, now)
            first = float(midnight - (days - 1) * _DAY)
            return {uid: Line(first, (*self._past[uid, days][1], self._today[uid][1])) for uid in wanted}

    def forget(self) -> None:
        """Read everything anew next time: history was imported or deleted."""
        with self._lock:
            self._past.clear()
            self._today.clear()
            self._uptimes.clear()

    def _read_past(self, uids: Sequence[str], days: int, now: float) -> None:
        stale = [uid for uid in uids if now - self._past.get((uid, days), (0.0,))[0] > _PAST_KEPT]
        if not stale:
            return
        found = self._telemetry().bars(stale, days - 1, self._midnight - 1.0) if days > 1 else {}
        for uid in stale:
            self._past[uid, days] = (now, tuple(judge(bar.uptime) for bar in found.get(uid, ())))

    def _read_today(self, uids: Sequence[str], now: float) -> None:
        stale = [uid for uid in uids if now - self._today.get(uid, (0.0,))[0] > _TODAY_KEPT]
        if not stale:
            return
        found = self._telemetry().uptimes(stale, float(self._midnight), now)
        for uid in stale:
            self._today[uid] = (now, judge(found[uid]) if uid in found else NO_DATA)


def _open() -> Telemetry:
    from mainstay.store.telemetry import current

    return current()


HISTORY = History(_open)
