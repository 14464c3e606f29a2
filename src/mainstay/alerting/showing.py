"""An alert, its messages and its timeline in words: the same on pages and in commands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mainstay.alerting.stages import STAGES, in_words
from mainstay.frames.web.forms.words import label_of
from mainstay.frames.web.shapes import Step
from mainstay.kernel.capability import shown
from mainstay.kernel.wording import counted, lasting, schedule_words, utc, votes_in_words, who

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.queries import Alert, Delivery, WholeAlert
    from mainstay.alerting.together import Escalation
    from mainstay.store.journal import Entry

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True, slots=True)
class Told:
    """A notification in words; `next_at`: when it is tried next, `waits`: for what, if that has no time."""

    delivery: Delivery
    words: str
    next_at: float | None
    waits: str

    @property
    def whom(self) -> str:
        return person_words(self.delivery.channel)

    @property
    def page(self) -> str:
        """Of whoever it is for."""
        return f"/resources/person/{quote(self.whom)}/" if "/" in self.delivery.channel else "/channels/"


_RUNS = {
    "acknowledged": "ended: somebody took it",
    "exhausted": "nobody answered",
    "fallback": "nobody could be reached, so every channel was notified",
    "over": "ended: it is over",
}
_TOLD = {"firing": "that it began", "resolved": "that it is over", "test": "a test", "report": "a report"}


def told_of(delivery: Delivery, now: float) -> Told:
    at = delivery.next_try(now)
    waits = "after the message before it" if delivery.state == "pending" and at is None else ""
    if at is not None and at - now < 1:
        at, waits = None, "now"
    return Told(delivery, _TOLD[delivery.kind], at, waits)


def evidence_of(alert: Alert) -> tuple[list[tuple[str, str]], dict[str, float]]:
    """(question, answer) pairs of the evidence, and the phases of its check in seconds."""
    phases, answers = {}, []
    for key, value in alert.evidence.items():
        if key == "phases" and isinstance(value, dict):
            phases = {name: float(length) for name, length in value.items() if isinstance(length, int | float)}
        elif value not in ("", None) and key != "schedule":  # which stands in the place of an address
            answers.append(_answer(key, value))
    return answers, phases


def _answer(key: str, value: Any) -> tuple[str, str]:
    """In words and with units, not as programs keep it."""
    question = label_of(key.removesuffix("_seconds"), "")
    if key == "duration" and isinstance(value, int | float):
        return "Took", f"{value * 1000:.0f} ms"
    if key == "locations" and isinstance(value, dict):
        return "Locations", votes_in_words(value)
    if key.endswith("_seconds") and isinstance(value, int | float):
        return question, lasting(value) if value >= 1 else f"{value * 1000:.0f} ms"
    if isinstance(value, str):
        return question, (utc(value) if _INSTANT.fullmatch(value) else schedule_words(value))[:2000]
    if isinstance(value, dict) and not any(isinstance(one, dict | list) for one in value.values()):
        return question, "; ".join(f"{name}: {one}" for name, one in value.items())[:2000]
    return question, json.dumps(value, ensure_ascii=False)[:2000]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one stage said to an alert."""

    asks: str
    holds: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Why:
    """Why somebody was notified, or nobody: the last way through the stages, and `outcome`, what came of it."""

    at: float
    answers: tuple[Answer, ...]
    outcome: str


def why_of(alert: Alert) -> Why | None:
    """None for an alert that went no way, because an earlier version decided about it."""
    if alert.way is None:
        return None
    asks = {stage.name: stage.asks for stage in STAGES}
    answers = tuple(
        Answer(asks.get(one.stage, ""), one.verdict == "hold", _INSTANT.sub(lambda at: utc(at[0]), one.reason))
        for one in alert.way.steps
    )
    if answers and not answers[-1].holds and alert.way.steps[-1].stage == "group":
        outcome = "Its group is notified"
    elif alert.way.to:
        outcome = f"Notified: {', '.join(alert.way.to)}"
    elif answers and answers[-1].holds:
        outcome = "Nobody is notified while that lasts" if alert.is_open else "Nobody was notified"
    else:
        outcome = "Nobody is notified again"
    return Why(alert.way.at, answers, outcome)


def step_of(entry: Entry) -> Step:
    """A journal entry as a line of a timeline."""
    look, title = shown(entry.kind)
    data = entry.data
    lasted = data.get("seconds_open", data.get("seconds"))  # older entries call it so
    if entry.kind.startswith("notification."):
        title = f"{title}: {data.get('channel', '')}"
        text = str(data.get("error") or data.get("reason") or "")
    elif entry.kind == "alert.resolved" and isinstance(lasted, int | float):
        text = f"{data.get('reason', '')}, after {lasting(lasted)}".removeprefix(", ")
    elif entry.kind == "alert.told":
        text = f"{', '.join(data.get('channels', []))}: {data.get('why', '')}"
    elif entry.kind == "group.notified":
        text = "; ".join(f"{receiver}: {why}" for receiver, why in data.get("receivers", {}).items())
    elif entry.kind == "escalation.stepped":
        text = _paged(data)
    elif entry.kind.startswith("escalation."):
        text = ": ".join(str(data[key]) for key in ("receiver", "reason", "why") if data.get(key))
    elif entry.kind == "alert.muted":
        text = f"until {data.get('until', '')}"
    else:
        text = str(data.get("message") or data.get("note") or data.get("until") or data.get("reason") or "")
    text = _INSTANT.sub(lambda at: utc(at[0]), text.replace("_", " "))
    return Step(entry.at, look, title, text[:300], who(entry.actor))


def _paged(data: Mapping[str, Any]) -> str:
    """Whom a step of an escalation paged, and whom it could not."""
    said = [f"{person_words(to)} ({why})" for to, why in data.get("paged", {}).items()]
    said += [f"not {person_words(to)}: {why}" for to, why in data.get("missed", {}).items()]
    if data.get("skipped"):
        said.append(f"left out: {data['skipped']}")
    return f"step {data.get('step', '')}: {'; '.join(said)}"


def person_words(receiver: str) -> str:
    """`lead` for `person/lead/0`; a channel by its name."""
    kind, _, rest = receiver.partition("/")
    return rest.partition("/")[0] if kind == "person" and rest else receiver


def comes_next(alert: WholeAlert, now: float) -> list[tuple[str, str]]:
    """(who, what comes next) of each group and escalation of an alert, in words."""
    said = []
    for group in alert.groups:
        size = counted(group.alerts, "alert")
        if group.next_at is None:
            what = "all of its alerts are over"
        else:
            held = f"; this one was left out, {group.held}" if group.held else ""
            what = f"{size}, looked at next {_in(group.next_at, now)}{held}"
        said.append((f"Group {in_words(group.labels)} of route {group.route}", what))
    return said + [(run.receiver, _run_words(run, now)) for run in alert.escalations]


def _run_words(run: Escalation, now: float) -> str:
    if run.state == "running":
        again = f", round {run.round}" if run.round > 1 else ""
        taken = f"{run.step} of {counted(run.steps, 'step')} taken{again}"
        return f"{taken}, next {_in(run.next_at, now)}" if run.next_at else taken
    return _RUNS.get(run.state, run.state)


def _in(at: float, now: float) -> str:
    return f"in {lasting(at - now)}" if at - now >= 1 else "now"
