"""History by the day, for bars: compact lines judged once and kept, because past days do not change.

A line of 90 days costs a tuple of shared marks, so that a thousand of them fit beside everything else.
Today is asked for again after half a minute, past days after ten (late results) and after midnight UTC.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.frames.days import DayMark, Line
from mainstay.kernel.wording import lasting
from mainstay.watch.results import current
from mainstay.watch.results.values import Uptime

if TYPE_CHECKING:
    from mainstay.watch.results.results import Results

_DAY = 86_400
_NOTICEABLE = 0.01  # share of a day that must be degraded before its bar says so
_TODAY_KEPT = 30.0
_PAST_KEPT = 600.0
_MANY = 100_000  # uptimes that are kept at once


NO_DATA = DayMark("none", words="-")
CALM = DayMark("up", good=float(_DAY))
MAINTENANCE = DayMark("maintenance", words="maintenance")


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

    def __init__(self, results: Callable[[], Results]) -> None:
        self._results = results
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
                for uid, uptime in self._results().uptimes(stale, now - seconds, now).items():
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
        found = self._results().bars(stale, days - 1, self._midnight - 1.0) if days > 1 else {}
        for uid in stale:
            self._past[uid, days] = (now, tuple(judge(bar.uptime) for bar in found.get(uid, ())))

    def _read_today(self, uids: Sequence[str], now: float) -> None:
        stale = [uid for uid in uids if now - self._today.get(uid, (0.0,))[0] > _TODAY_KEPT]
        if not stale:
            return
        found = self._results().uptimes(stale, float(self._midnight), now)
        for uid in stale:
            self._today[uid] = (now, judge(found[uid]) if uid in found else NO_DATA)


HISTORY = History(current)
