"""What keeps alerts from waking anybody: silences, inhibitions and time intervals, as they are at one moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from mainstay.alerting.calm_spec import InhibitionSpec, SilenceSpec, TimeIntervalSpec
from mainstay.kernel.clock import to_iso
from mainstay.kernel.intervals import is_active, next_change
from mainstay.kernel.matchers import all_match
from mainstay.kernel.windows import parse_rule, period_at

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Calm:
    """Why nobody hears of something: `rule` is the declared name; `until` epoch seconds, None if no clock ends it."""

    rule: str
    reason: str
    until: float | None = None


def silence_period(spec: SilenceSpec, at: float) -> tuple[float, float] | None:
    """(start, end) of the period of the silence that `at` lies in. A rule's periods end with its `until`."""
    start, until = spec.start_at, spec.until_at
    if not start <= at < until:
        return None
    if spec.rule is None:
        return start, until
    period = period_at(parse_rule(spec.rule), ZoneInfo(spec.timezone), at)
    return (max(start, period[0]), min(until, period[1])) if period else None


def silenced(silences: Iterable[tuple[str, SilenceSpec]], labels: Labels, at: float) -> Calm | None:
    """The silence that covers an alert with these labels, of several the one that lasts longest."""
    found = [
        (period[1], name, spec)
        for name, spec in silences
        if (period := silence_period(spec, at)) and any(all_match(some, labels) for some in spec.sets)
    ]
    if not found:
        return None
    end, name, spec = max(found, key=lambda one: one[:2])
    comment = f" ({spec.comment})" if spec.comment else ""
    return Calm(name, f"silence {name}{comment} covers it until {to_iso(end)}", end)


@dataclass(frozen=True, slots=True)
class Source:
    """An open alert, as inhibitions see it."""

    subject: str
    labels: Labels


@dataclass
class Inhibitions:
    """Rules over the alerts that are open; which of them hold back what is looked up once per rule."""

    rules: Sequence[tuple[str, InhibitionSpec]] = ()
    open: Sequence[Source] = ()
    _found: dict[str, dict[tuple[str, ...], list[tuple[Source, bool]]]] = field(default_factory=dict)

    def inhibited(self, labels: Labels, subject: str = "") -> Calm | None:
        """The rule, and the alert, that hold back an alert. One that is on both sides of a rule is held back by those
        that are on the side of its sources alone (Alertmanager `inhibit/inhibit.go`)."""
        for name, rule in self.rules:
            if not all_match(rule.target, labels):
                continue
            both = all_match(rule.source, labels)
            for source, also_target in self._sources(name, rule).get(_equal(rule, labels), ()):
                if source.subject != subject and not (both and also_target):
                    return Calm(name, f"inhibition {name}: {source.subject} stands for it")
        return None

    def _sources(self, name: str, rule: InhibitionSpec) -> dict[tuple[str, ...], list[tuple[Source, bool]]]:
        if name not in self._found:
            sources: dict[tuple[str, ...], list[tuple[Source, bool]]] = {}
            for source in self.open:
                if all_match(rule.source, source.labels):
                    both = all_match(rule.target, source.labels)
                    sources.setdefault(_equal(rule, source.labels), []).append((source, both))
            self._found[name] = sources
        return self._found[name]


def _equal(rule: InhibitionSpec, labels: Labels) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)


def out_of_hours(
    active: Iterable[str], mute: Iterable[str], intervals: Mapping[str, TimeIntervalSpec], at: float
) -> Calm | None:
    """Why a route notifies nobody now; an interval that is gone keeps nobody from being told."""
    wanted = [(name, intervals[name]) for name in active if name in intervals]
    if wanted and not any(_is_active(spec, at) for _, spec in wanted):
        begins = [change for _, spec in wanted if (change := _changes(spec, at))]
        names = ", ".join(name for name, _ in wanted)
        return Calm(names, f"its route notifies during {names} only", min(begins, default=None))
    for name in mute:
        spec = intervals.get(name)
        if spec is not None and _is_active(spec, at):
            return Calm(name, f"its route does not notify during {name}", _changes(spec, at))
    return None


def _is_active(spec: TimeIntervalSpec, at: float) -> bool:
    return is_active(spec.rules, spec.timezone, spec.documents, at)


def _changes(spec: TimeIntervalSpec, at: float) -> float | None:
    return next_change(spec.rules, spec.timezone, spec.documents, at)
