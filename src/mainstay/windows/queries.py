"""Reads of maintenance windows: which one covers something now, and which come next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from mainstay.kernel.matchers import Matcher, all_match
from mainstay.kernel.resource import Resource
from mainstay.kernel.views import At, View
from mainstay.kernel.windows import Rule, next_period, parse_rule, period_at
from mainstay.store.resources.queries import find, history, resources
from mainstay.windows.spec import WindowSpec

_NAME_ROOM = 85  # letters of a name that leave room for the word before it


@dataclass(frozen=True, slots=True)
class Window:
    """A declared window, parsed. `period` is (start, end) in epoch seconds of one that does not recur; the periods of a
    rule begin within `bounds`, from the first to before the second.
    """

    name: str
    description: str = ""
    covers: tuple[str, ...] = ()  # matchers, all of which must fit
    rule: Rule | None = None
    zone: ZoneInfo = ZoneInfo("UTC")
    period: tuple[float, float] | None = None
    bounds: tuple[float, float] = (0.0, math.inf)

    def active(self, now: float) -> tuple[float, float] | None:
        """(start, end) of the period that `now` lies in, or None."""
        if self.rule is not None:
            return self._bounded(period_at(self.rule, self.zone, now))
        return self.period if self.period and self.period[0] <= now < self.period[1] else None

    def next_after(self, now: float) -> tuple[float, float] | None:
        """(start, end) of the first period that begins after `now`, or None."""
        if self.rule is not None:
            return self._bounded(next_period(self.rule, self.zone, max(now, math.nextafter(self.bounds[0], 0))))
        return self.period if self.period and self.period[0] > now else None

    def _bounded(self, found: tuple[float, float] | None) -> tuple[float, float] | None:
        return found if found is not None and self.bounds[0] <= found[0] < self.bounds[1] else None

    def fits(self, labels: Mapping[str, str]) -> bool:
        return all_match(self.covers, labels)


@dataclass(frozen=True, slots=True)
class Occurrence(View):
    """One period of one window."""

    window: str
    start: At
    end: At
    active: bool
    description: str = ""
    covers: Annotated[tuple[str, ...], "label matchers, all of which must match; none covers everything"] = ()


def declared() -> list[Window]:
    """All windows, by name."""
    found = [window_of(resource.name, resource.spec) for resource in resources("window")]
    return sorted(found, key=lambda window: window.name)


def in_force_since(name: str) -> float:
    """Since when a window has been declared for these times and for what it covers, in epoch seconds."""
    kept = ("rule", "timezone", "covers")
    since = 0.0
    for revision in history("window", name):
        change = revision.changes[0]
        since = revision.at
        if change.before is None or any(field.path.partition(".")[0] in kept for field in change.fields):
            break
    return since


def window_of(name: str, spec: WindowSpec) -> Window:
    start = spec.start.timestamp() if spec.start is not None else 0.0
    bounds = (start, spec.until.timestamp() if spec.until is not None else math.inf)
    rule = parse_rule(spec.rule) if spec.rule else None
    period = None if rule is not None else bounds
    return Window(name, spec.description, tuple(spec.covers), rule, ZoneInfo(spec.timezone), period, bounds)


def covers_of(subject: Resource) -> list[str]:
    """The matchers that one monitor or heartbeat alone fits."""
    return [str(Matcher(subject.kind, "=", subject.name))]


def own(subject: Resource) -> Resource | None:
    """The window that holds the maintenance of one monitor or heartbeat alone. Others may have a name like that: of
    the heartbeat that is called as the monitor is, or declared by somebody for something else."""
    named = (find("window", name) for name in _names_for(subject))
    found = (one for one in named if one is not None and one.spec.covers == covers_of(subject) and not one.spec.rule)
    return next(found, None)


def name_for(subject: Resource) -> str:
    """The name of the window that holds that, or will: one that no other window has."""
    known, names = own(subject), _names_for(subject)
    return known.name if known else next((name for name in names if find("window", name) is None), names[-1])


def _names_for(subject: Resource) -> list[str]:
    words = [subject.name, subject.uid] if len(subject.name) <= _NAME_ROOM else [subject.uid]
    return [f"maintenance-{word}" for word in words]


def own_window(subject: Resource, now: float) -> tuple[float, float] | None:
    """The maintenance of one monitor or heartbeat alone that is under way: (start, end)."""
    found = own(subject)
    return window_of(found.name, found.spec).active(now) if found else None


def active(windows: Iterable[Window], now: float) -> list[Window]:
    """The windows in force now, those that end last first: so one that lasts is not left for one that does not."""
    found = [(period[1], window) for window in windows if (period := window.active(now)) is not None]
    return [window for _end, window in sorted(found, key=lambda pair: (-pair[0], pair[1].name))]


def covering(labels: Mapping[str, str], now: float, windows: Iterable[Window] | None = None) -> Window | None:
    """The window that covers something with these labels now, or None."""
    candidates = active(declared() if windows is None else windows, now)
    return next((window for window in candidates if window.fits(labels)), None)


def current(now: float, windows: Iterable[Window] | None = None) -> list[Occurrence]:
    """The periods in force now."""
    found = []
    for window in active(declared() if windows is None else windows, now):
        period = window.active(now)
        if period is not None:
            found.append(Occurrence(window.name, *period, True, window.description, window.covers))
    return found


def upcoming(now: float, until: float, windows: Iterable[Window] | None = None, *, limit: int = 50) -> list[Occurrence]:
    """The periods that begin after `now` and before `until`, soonest first, at most `limit` of each window."""
    found = []
    for window in declared() if windows is None else windows:
        at = now
        for _ in range(limit):
            period = window.next_after(at)
            if period is None or period[0] >= until:
                break
            found.append(Occurrence(window.name, *period, False, window.description, window.covers))
            at = period[0]
    return sorted(found, key=lambda occurrence: (occurrence.start, occurrence.window))[:limit]
