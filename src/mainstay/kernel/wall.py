"""Instants of wall-clock times, right to the minute where clocks are set.

Duties begin at the first occurrence of a time that a clock shows twice and end at its last, so that where a clock
falls back two people overlap and nobody is missing. A time that a clock skips stands for the moment of the leap:
02:30 becomes 03:00. A wall-clock time is kept as whole seconds, as if its zone were UTC; so adding a day is adding
86,400, whatever the clock does in between.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (a wall-clock time has no zone)


def wall_of(moment: datetime) -> int:
    """The wall-clock time that a datetime shows, its zone aside."""
    return int((moment.replace(tzinfo=None) - _PLAIN_EPOCH).total_seconds())


def shown(wall: int) -> datetime:
    """The date and time of day that a wall-clock time stands for, without a zone."""
    return _PLAIN_EPOCH + timedelta(seconds=wall)


def midnight(day: date) -> int:
    """The wall-clock time at which a day begins."""
    return (day.toordinal() - _PLAIN_EPOCH.toordinal()) * DAY


class WallClock:
    """The clock of one zone. Most days it is not set, and then its answers are sums; the zone database is asked for the
    others.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._steady: dict[int, int | None] = {}  # by day: the offset in seconds, None where it changes nearby

    def wall(self, at: float) -> int:
        """What the clock shows at an instant, in epoch seconds; fractions of a second are dropped."""
        second = int(at // 1)
        offset = self._offset(second // DAY)
        return second + (self._offset_at(second) if offset is None else offset)

    def first(self, wall: int) -> int:
        """Epoch seconds of the first time at which the clock shows this, or leaps over it."""
        offset = self._offset(wall // DAY)
        return self._asked(wall, 0) if offset is None else wall - offset

    def last(self, wall: int) -> int:
        """Epoch seconds of the last time at which the clock shows this, or leaps over it."""
        offset = self._offset(wall // DAY)
        return self._asked(wall, 1) if offset is None else wall - offset

    def _offset(self, day: int) -> int | None:
        try:
            return self._steady[day]
        except KeyError:
            if len(self._steady) > 40_000:  # a hundred years: who asks for more begins anew
                self._steady.clear()
            around = {self._offset_at(edge * DAY) for edge in (day - 1, day, day + 1, day + 2)}
            found = self._steady[day] = around.pop() if len(around) == 1 else None
            return found

    def _offset_at(self, second: int) -> int:
        moment = _EPOCH + timedelta(seconds=second)
        offset = moment.astimezone(self.zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    def _asked(self, wall: int, fold: int) -> int:
        """PEP 495: fold=0 reads a time by the offset before the change, fold=1 by the one after it."""
        found = [self._read(wall, one) for one in (0, 1)]
        if found[0] <= found[1]:  # shown once or twice
            return found[fold]
        early, late = found[1], found[0]  # skipped: the leap lies between these two readings
        before = self._offset_at(early)
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (middle, late) if self._offset_at(middle) == before else (early, middle)
        return late

    def _read(self, wall: int, fold: int) -> int:
        offset = shown(wall).replace(tzinfo=self.zone, fold=fold).utcoffset()
        return wall - (int(offset.total_seconds()) if offset is not None else 0)


@cache
def clock_of(zone: str) -> WallClock:
    """The clock of a zone by its IANA name, one for the process: its days are worked out once."""
    return WallClock(ZoneInfo(zone))
