"""The way of an alert from its news to messages: pure stages, asked in order, each of which gives a named reason.

STAGES is the list. A stage narrows down who is told, or holds all of it. What is held keeps its news, and the way is
gone again, from the first stage on, at `next_at` and whenever what held it may have changed: its subject says that
nothing explains it any more, or is judged anew after it was set aside; a person unmutes it; something is declared. What
is over is judged as of its end. Routes that group tell of their groups at their own times (`grouping`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mainstay.alerting.calm import Calm, Inhibitions, out_of_hours, silenced
from mainstay.alerting.calm_spec import SilenceSpec, TimeIntervalSpec
from mainstay.alerting.routing import Leaf, Routes, find_routes
from mainstay.alerting.rules import HEARD
from mainstay.kernel.clock import to_iso
from mainstay.kernel.wording import cause_words

Verdict = Literal["pass", "hold"]


@dataclass(frozen=True, slots=True)
class Case:
    """An alert as the stages see it. `news`: why people are to be told, empty once they were; `aside`: why its subject
    is not to be heard of at all, empty if it is; `taken`: the routes that notify of it now; `to`: receivers that
    earlier stages chose, each with why. Times are epoch seconds."""

    labels: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    opened_at: float = 0.0
    news: str = ""
    suppressed_by: str = ""
    aside: str = ""
    muted_until: float | None = None
    acknowledged: bool = False
    over: bool = False
    taken: Sequence[Leaf] = ()
    to: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is declared, in its order, and what was told. `told`: receiver -> state of the newest message that this
    alert began; `told_at`: when that was written."""

    channels: Sequence[str] = ()
    routes: Routes = ()
    told: Mapping[str, str] = field(default_factory=dict)
    told_at: Mapping[str, float] = field(default_factory=dict)
    silences: Sequence[tuple[str, SilenceSpec]] = ()
    inhibitions: Inhibitions = field(default_factory=Inhibitions)
    intervals: Mapping[str, TimeIntervalSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """`next_at`: when the way is to be gone again (epoch seconds); `to`, `taken`: whom, and which routes, this stage
    leaves, None: all of them; `rule`: the name of what was declared that decided it."""

    verdict: Verdict
    reason: str
    next_at: float | None = None
    to: Mapping[str, str] | None = None
    taken: Sequence[Leaf] | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """`asks`: its question, for whoever wants to know why they were woken, or not. `decide`: at an epoch second."""

    name: str
    asks: str
    decide: Callable[[Case, Facts, float], Decision | None]


def suppress(case: Case, _facts: Facts, _now: float) -> Decision:
    if case.suppressed_by:
        return Decision("hold", explained(case.suppressed_by))
    return Decision("pass", "no other failure explains it")


def silence(case: Case, facts: Facts, now: float) -> Decision:
    if case.aside:
        return Decision("hold", case.aside)
    if case.muted_until is not None and case.muted_until > now:
        return Decision("hold", muted(case.muted_until), case.muted_until)
    if calm := silenced(facts.silences, case.labels, now):
        return _held(calm)
    return Decision("pass", "it is not muted, and neither a silence nor maintenance covers it")


def inhibit(case: Case, facts: Facts, _now: float) -> Decision | None:
    if calm := facts.inhibitions.inhibited(case.labels, case.subject):
        return _held(calm)
    return Decision("pass", "no other alert stands for it") if facts.inhibitions.rules else None


def route(case: Case, facts: Facts, now: float) -> Decision:
    """Which routes take it, and of these which notify at this hour, and hold it back no more."""
    routing = find_routes(facts.routes, facts.channels, case.labels)
    if routing.untold:
        return Decision("hold", routing.untold)
    calms = {leaf: calm for leaf in routing.leaves if (calm := _waits(leaf, case, facts, now))}
    taken = [leaf for leaf in routing.leaves if leaf not in calms]
    next_at = min((calm.until for calm in calms.values() if calm.until is not None), default=None)
    if not taken:
        first = next(iter(calms.values()))
        return Decision("hold", first.reason, next_at, rule=first.rule)
    whys: dict[str, list[str]] = {}
    to: dict[str, str] = {}
    for leaf in taken:
        for receiver in leaf.to:
            if receiver not in to:
                to[receiver] = leaf.why
                whys.setdefault(leaf.why, []).append(receiver)
    reasons = [f"{why}: {', '.join(names)}" for why, names in whys.items()]
    reasons += [f"{leaf.why}: {calm.reason}" for leaf, calm in calms.items()]
    return Decision("pass", "; ".join(reasons), next_at, taken=taken, rule=taken[0].path)


def _waits(leaf: Leaf, case: Case, facts: Facts, now: float) -> Calm | None:
    """Why a route that takes it does not notify of it now; what is over waits for no better time."""
    if not case.over and leaf.hold and now < case.opened_at + leaf.hold:
        until = case.opened_at + leaf.hold
        return Calm(leaf.path, f"held back until {to_iso(until)}, in case it passes by itself", until)
    return out_of_hours(leaf.active, leaf.mute, facts.intervals, now) if leaf.active or leaf.mute else None


def group(case: Case, _facts: Facts, _now: float) -> Decision | None:
    """Routes that group tell of it with its group; what is left are the receivers of the others."""
    grouped = [leaf for leaf in case.taken if leaf.group_by is not None]
    to: dict[str, str] = {}
    for leaf in case.taken:
        if leaf.group_by is None:
            for receiver in leaf.to:
                to.setdefault(receiver, leaf.why)
    if not grouped:
        return Decision("pass", "no route groups it", to=to)
    reason = "; ".join(f"{leaf.why}: with its group {in_words(leaf.group(case.labels))}" for leaf in grouped)
    return Decision("pass", reason, to=to)


def dedup(case: Case, facts: Facts, _now: float) -> Decision | None:
    """News is for everybody; else for whom no message has reached. What is over is no news to who had any of it."""
    if not case.to:
        return None  # its groups tell of it
    if case.over:
        left = {name: why for name, why in case.to.items() if name not in facts.told}
    elif case.news:
        left = dict(case.to)
    else:
        left = {name: why for name, why in case.to.items() if facts.told.get(name) not in HEARD}
    if not left:
        return Decision("pass", "everybody that it goes to has been notified", to=left)
    return Decision("pass", f"news: {case.news}" if case.news else f"not notified yet: {', '.join(left)}", to=left)


def repeat(case: Case, facts: Facts, now: float) -> Decision | None:
    """Who is reminded of what goes on. Whoever took it needs no reminder."""
    if case.over or case.acknowledged:
        return None
    to, times = dict(case.to), []
    for leaf in case.taken:
        for receiver in leaf.to if leaf.repeat is not None and leaf.group_by is None else ():
            again = facts.told_at.get(receiver, now) + (leaf.repeat or 0.0)
            if receiver in to or again > now:
                times.append(again if receiver not in to else now + (leaf.repeat or 0.0))
            else:
                to[receiver] = f"{leaf.why}: reminder"
                times.append(now + (leaf.repeat or 0.0))
    if not times:
        return None
    reminded = [receiver for receiver in to if receiver not in case.to]
    reason = f"reminded: {', '.join(reminded)}" if reminded else "nobody is to be reminded yet"
    return Decision("pass", reason, min(times), to=to)


def undeclared(_case: Case, _facts: Facts, _now: float) -> None:
    """The place of a stage that nothing can be declared for yet."""


def escalate(case: Case, _facts: Facts, _now: float) -> Decision | None:
    """Policies, schedules and people are paged step by step, as `escalating` says."""
    steps = [receiver for receiver in case.to if "/" in receiver]
    return Decision("pass", f"paged step by step: {', '.join(steps)}") if steps else None


STAGES = (
    Stage("suppress", "Does another failure explain it?", suppress),
    Stage("silence", "Is it muted, silenced, or in maintenance?", silence),
    Stage("inhibit", "Does another alert stand for it?", inhibit),
    Stage("route", "Which routes take it, and who is told?", route),
    Stage("group", "Which other alerts is it grouped with?", group),
    Stage("dedup", "Who has not been notified?", dedup),
    Stage("repeat", "Who is to be reminded?", repeat),
    Stage("rate", "Does anybody get too many notifications?", undeclared),
    Stage("escalate", "Who is next if nobody answers?", escalate),
)
CALM = STAGES[:3]  # what a group asks of each of its alerts before it tells of it


@dataclass(frozen=True, slots=True)
class Step:
    stage: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Way:
    """How far an alert came. `to`: who is told now; `held`: the step that holds it, None if none does."""

    steps: tuple[Step, ...]
    to: Mapping[str, str]
    held: Step | None
    next_at: float | None


def walk(case: Case, facts: Facts, now: float, stages: Iterable[Stage] | None = None) -> Way:
    """Ask the stages (all, unless some are given) in order until one holds; the same case, facts and time give the same
    way."""
    steps: list[Step] = []
    for stage in STAGES if stages is None else stages:
        decision = stage.decide(case, facts, now)
        if decision is None:
            continue
        steps.append(Step(stage.name, decision))
        if decision.verdict == "hold":
            return Way(tuple(steps), {}, steps[-1], decision.next_at)
        if decision.taken is not None:
            case = replace(case, taken=decision.taken)
        if decision.to is not None:
            case = replace(case, to=decision.to)
    times = [step.decision.next_at for step in steps if step.decision.next_at is not None]
    return Way(tuple(steps), case.to, None, min(times, default=None))


def _held(calm: Calm) -> Decision:
    return Decision("hold", calm.reason, calm.until if calm.until != float("inf") else None, rule=calm.rule)


def in_words(labels: Mapping[str, str]) -> str:
    """The labels of a group: `service=api, site=ber`."""
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) or "of all its alerts"


def explained(cause: str) -> str:
    """Why nobody is told of what a failing parent, or another subject that is failing, explains."""
    if "/" in cause:
        return f"{cause_words(cause)}, which has an alert of its own"
    return f"its parent {cause} is failing too"


def muted(until: float) -> str:
    return f"the alert is muted until {to_iso(until)}"
