"""When something is due next: a fixed interval, or a cron or OnCalendar expression on the clock of a time zone.

Cron expressions have five fields and are read as Debian's cron reads them (library cronsim): a job at a fixed
time that a clock change skips is due right after the gap; one that a clock change repeats is due once, at the
first of the two times; a job with `*` hours or minutes follows elapsed time.

OnCalendar expressions are those of systemd's timers (on_calendar.py), several of them on lines of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from mainstay.kernel.on_calendar import OnCalendar, parse_on_calendar

NEVER = math.inf
_MOST_LINES = 10
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC).timestamp()  # what lies behind us is no mistake, and never due


@dataclass(frozen=True, slots=True)
class Schedule:
    """Exactly one of `every` (seconds), `cron` and `calendar` is set; `timezone` is the time zone of the expression."""

    every: float = 0.0
    cron: str = ""
    timezone: str = "UTC"
    calendar: str = ""

    def next_after(self, after: float) -> float:
        """Epoch seconds of the first due time later than `after`; NEVER if there is none within 50 years."""
        if not self.cron and not self.calendar:
            return after + self.every
        known = _known.get(self)
        if known is not None and known[0] <= after < known[1]:
            return known[1]
        due = self._due_after(after)
        if len(_known) > 50_000:
            _known.clear()
        _known[self] = (after, due)
        return due

    def _due_after(self, after: float) -> float:
        zone = _zone(self.timezone)
        if self.cron:
            return _next_match(self.cron, zone, after)
        dues = (one.next_after(after, zone) for one in _calendar(self.calendar))
        return min((due for due in dues if due is not None), default=NEVER)

    def __str__(self) -> str:
        if self.calendar:
            return f"{'; '.join(self.calendar.strip().splitlines())} ({self.timezone})"
        return f"{self.cron} {self.timezone}" if self.cron else f"every {self.every:g}s"


# Between two due times the answer stays the same, and a busy heartbeat asks with every ping.
_known: dict[Schedule, tuple[float, float]] = {}


def check_cron(expression: str) -> str:
    """The expression if it has five fields and comes true one day; ValueError with the reason otherwise."""
    if len(expression.split()) != 5:
        raise ValueError(f"`{expression[:60]}` is not a cron expression of five fields such as `0 2 * * *`")
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"`{expression[:60]}` is not a cron expression: {error}") from None
    except StopIteration:
        raise ValueError(f"`{expression[:60]}` never occurs") from None
    return expression


def is_cron(expression: str) -> bool:
    """Whether an expression of either kind is for cron, as Healthchecks guesses: one line with five fields."""
    return "\n" not in expression.strip() and len(expression.split()) == 5


def check_calendar(expressions: str) -> str:
    """OnCalendar expressions, one on each line, if one comes true some day, if only in the past; else ValueError."""
    lines = expressions.strip().splitlines()
    if len(lines) > _MOST_LINES:
        raise ValueError(f"at most {_MOST_LINES} OnCalendar expressions, one on each line")
    for line in lines or [""]:
        try:
            parse_on_calendar(line)
        except ValueError as error:
            raise ValueError(
                f"`{line[:60]}` is not an OnCalendar expression such as `Mon..Fri 02:00`: {error}"
            ) from None
    if Schedule(calendar=expressions).next_after(_BEGINNING) == NEVER:
        raise ValueError(f"`{expressions[:60]}` never occurs")
    return expressions


@lru_cache(maxsize=4096)
def _calendar(expressions: str) -> tuple[OnCalendar, ...]:
    return tuple(parse_on_calendar(line) for line in expressions.strip().splitlines())


class _Jobs(CronSim):
    """cronsim steps over whole hours and lands beyond a clock change that lies within one, as at Chatham (02:45) and
    at Lord Howe (by half an hour); here such a step ends at the change, and what follows is looked at."""

    def tick(self, seconds: int = 1) -> None:
        before = self.dt
        super().tick(seconds)
        if seconds > 60 and self.dt.utcoffset() != before.utcoffset():
            self.dt = before
            while self.dt.utcoffset() == before.utcoffset():
                super().tick(60)

    def advance_hour(self) -> bool:
        if self.dt.hour in self.hours:
            return False
        self.dt = self.dt.replace(second=0)
        while self.dt.hour not in self.hours:
            self.tick(3600 - self.dt.minute * 60)
            if self.dt.hour == 0:
                break  # of another day, which may not match
        return True


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _next_match(cron: str, zone: ZoneInfo, after: float) -> float:
    start = datetime.fromtimestamp(after, UTC).astimezone(zone)
    try:
        for match in _Jobs(cron, start):
            # In a repeated hour cronsim answers with the first of the two times, which may be over already.
            due = match.astimezone(UTC).timestamp()
            if due > after:
                return due
    except OverflowError:  # the year 10000
        return NEVER
    return NEVER
