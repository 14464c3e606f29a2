"""The way of an alert from its news to messages: pure stages, asked in order, each of which gives a named reason.

STAGES is the list. A stage narrows down who is told, or holds all of it. What is held keeps its news, and the way is
gone again, from the first stage on, at `next_at` and whenever what held it may have changed: its subject says that
nothing explains it any more, or is judged anew after it was set aside; a person unmutes it; a channel or a route is
declared. What is over is judged as of its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mainstay.alerting.rules import HEARD, choose_channels
from mainstay.alerting.spec import RouteSpec
from mainstay.kernel.clock import to_iso
from mainstay.kernel.wording import cause_words

Verdict = Literal["pass", "hold"]


@dataclass(frozen=True, slots=True)
class Case:
    """An alert as the stages see it. `news`: why people are to be told, empty once they were; `aside`: why its subject
    is not to be heard of at all, empty if it is; `to`: channels that earlier stages chose, each with why."""

    labels: Mapping[str, str] = field(default_factory=dict)
    news: str = ""
    suppressed_by: str = ""
    aside: str = ""
    muted_until: float | None = None  # epoch seconds
    over: bool = False
    to: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is declared, in its order, and `told`: channel -> state of the newest message that this alert began."""

    channels: Sequence[str] = ()
    routes: Sequence[tuple[str, RouteSpec]] = ()
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """`next_at`: when the way is to be gone again (epoch seconds); `to`: whom this stage leaves, None: all of them."""

    verdict: Verdict
    reason: str
    next_at: float | None = None
    to: Mapping[str, str] | None = None


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


def silence(case: Case, _facts: Facts, now: float) -> Decision:
    if case.aside:
        return Decision("hold", case.aside)
    if case.muted_until is not None and case.muted_until > now:
        return Decision("hold", muted(case.muted_until), case.muted_until)
    return Decision("pass", "it is not muted, and no maintenance covers it")


def route(case: Case, facts: Facts, _now: float) -> Decision:
    routing = choose_channels(facts.routes, facts.channels, case.labels)
    if routing.untold:
        return Decision("hold", routing.untold)
    whys: dict[str, list[str]] = {}
    for channel, why in routing.channels.items():
        whys.setdefault(why, []).append(channel)
    reason = "; ".join(f"{why}: {', '.join(names)}" for why, names in whys.items())
    return Decision("pass", reason, to=routing.channels)


def dedup(case: Case, facts: Facts, _now: float) -> Decision:
    """News is for everybody; else for whom no message has reached. What is over is no news to who had any of it."""
    if case.over:
        left = {name: why for name, why in case.to.items() if name not in facts.told}
    elif case.news:
        left = dict(case.to)
    else:
        left = {name: why for name, why in case.to.items() if facts.told.get(name) not in HEARD}
    if not left:
        return Decision("pass", "every channel that it goes to has been notified", to=left)
    return Decision("pass", f"news: {case.news}" if case.news else f"not notified yet: {', '.join(left)}", to=left)


def undeclared(_case: Case, _facts: Facts, _now: float) -> None:
    """The place of a stage that nothing can be declared for yet."""


STAGES = (
    Stage("suppress", "Does another failure explain it?", suppress),
    Stage("silence", "Is it muted, or in maintenance?", silence),
    Stage("inhibit", "Does another alert stand for it?", undeclared),
    Stage("group", "Which other alerts is it grouped with?", undeclared),
    Stage("route", "Which channels does it go to?", route),
    Stage("dedup", "Which of them have not been notified?", dedup),
    Stage("repeat", "Which of them are to be reminded?", undeclared),
    Stage("rate", "Does anybody get too many notifications?", undeclared),
    Stage("escalate", "Who is next if nobody answers?", undeclared),
)


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


def walk(case: Case, facts: Facts, now: float) -> Way:
    """Ask the stages in order until one holds; the same case, facts and time give the same way."""
    steps: list[Step] = []
    for stage in STAGES:
        decision = stage.decide(case, facts, now)
        if decision is None:
            continue
        steps.append(Step(stage.name, decision))
        if decision.verdict == "hold":
            return Way(tuple(steps), {}, steps[-1], decision.next_at)
        if decision.to is not None:
            case = replace(case, to=decision.to)
    times = [step.decision.next_at for step in steps if step.decision.next_at is not None]
    return Way(tuple(steps), case.to, None, min(times, default=None))


def explained(cause: str) -> str:
    """Why nobody is told of what a failing parent, or another subject that is failing, explains."""
    if "/" in cause:
        return f"{cause_words(cause)}, which has an alert of its own"
    return f"its parent {cause} is failing too"


def muted(until: float) -> str:
    return f"the alert is muted until {to_iso(until)}"
