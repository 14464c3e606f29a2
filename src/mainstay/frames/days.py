"""Days of a history as every door shows them: what each was like, for bars, shares and words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["none", "up", "maintenance", "degraded", "down"]

_RANK: dict[Level, int] = {"none": 0, "up": 1, "maintenance": 2, "degraded": 3, "down": 4}


@dataclass(frozen=True, slots=True)
class DayMark:
    """One day: `share` of the measured time that was lost (0..1), `good` and `bad` seconds, `words` for a person."""

    level: Level
    share: float = 0.0
    good: float = 0.0
    bad: float = 0.0
    words: str = ""


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
