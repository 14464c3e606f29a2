"""Who is paged at a step of an escalation policy, and what comes after it. Pure; who is on duty is passed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mainstay.kernel.hours import parse_hours
from mainstay.kernel.wall import clock_of
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from mainstay.oncall.queries import Duty, Reach
    from mainstay.oncall.spec import EscalationPolicySpec, Step

AGAIN = 900.0  # seconds until a policy without any delays is gone through again


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an escalation is about, as it is now. `alerts`: how many are open."""

    severity: str
    alerts: int
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    """One way in which a person, or a channel, is to be told: `to` as the outbox knows it, `at` in epoch seconds."""

    at: float
    to: str
    why: str

    @classmethod
    def read(cls, kept: Iterable[Mapping[str, Any]]) -> list[Contact]:
        return [cls(one["at"], one["to"], one["why"]) for one in kept]

    def kept(self) -> dict[str, Any]:
        return {"at": self.at, "to": self.to, "why": self.why}


@dataclass(slots=True)
class Paged:
    """What a step comes to. `missed`: whom it could not reach, each with why; `skipped`: why it was not taken."""

    contacts: list[Contact] = field(default_factory=list)
    missed: dict[str, str] = field(default_factory=dict)
    skipped: str = ""


def take_step(step: Step, trouble: Trouble, duty: Duty, at: float, turn: int = 0) -> Paged:
    """Whom a step pages. `turn`: how often this policy began before, for a step that takes its targets in turn."""
    paged = Paged(skipped=_skipped(step, trouble, at))
    if paged.skipped:
        return paged
    targets = [step.to[turn % len(step.to)]] if step.round_robin else step.to
    seen: set[str] = set()
    for target in targets:
        for person, why in _people(target, duty, at, paged.missed):
            if person not in seen:
                seen.add(person)
                _page(paged, duty.reach(person, trouble.severity, at), why, at)
        kind, _, name = target.partition("/")
        if kind == "channel":
            paged.contacts.append(Contact(at, name, target))
    return paged


def _skipped(step: Step, trouble: Trouble, at: float) -> str:
    if trouble.acknowledged and not step.forced:
        return "somebody took it"
    if step.severity and trouble.severity not in step.severity:
        return f"it is for {', '.join(step.severity)} only"
    if trouble.alerts < step.alerts:
        return f"it is for {counted(step.alerts, 'alert')} or more"
    if step.only is not None and not parse_hours(step.only).covers(clock_of(step.timezone or "UTC"), at):
        return f"it is for {step.only} only"
    return ""


def _people(target: str, duty: Duty, at: float, missed: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(person, why) of each that a target stands for; who it stands for nobody is noted."""
    kind, _, name = target.partition("/")
    found: Sequence[tuple[str, str]] = ()
    if kind == "person":
        found = [(name, target)]
    elif kind == "team":
        found = [(person, target) for person in duty.members(name)]
        if not found:
            missed[target] = "it has no members"
    elif kind == "schedule":
        on = duty.on_duty(name, at) if name in duty.schedules else ()
        found = [(one.person, f"{target}: {one.why}") for one in on]
        if not found:
            missed[target] = "nobody is on duty" if name in duty.schedules else "it is not declared any more"
    yield from found


def _page(paged: Paged, reach: Reach, why: str, at: float) -> None:
    if not reach.methods:
        paged.missed[f"person/{reach.person}"] = reach.words
    for method in reach.methods:
        to = f"person/{reach.person}/{method.index}"
        paged.contacts.append(Contact(at + method.delay, to, f"{why}, by {method.kind}"))


@dataclass(frozen=True, slots=True)
class Next:
    """The step that comes next, and when; `at` None: there is none."""

    step: int
    round: int
    at: float | None


def after_step(policy: EscalationPolicySpec, step: int, round_: int, at: float, *, reached: bool) -> Next:
    """What comes after a step that was taken at `at`; at once if it reached nobody."""
    following = step + 1
    if following < len(policy.steps):
        return Next(following, round_, at + policy.steps[following].after if reached else at)
    if round_ >= policy.repeat:
        return Next(following, round_, None)
    delays = [one.after for one in policy.steps if one.after]
    return Next(0, round_ + 1, at + (policy.steps[0].after or (delays[-1] if delays else AGAIN)))
