"""Writes the story of the past into Mainstay's own stores, before its server starts there for the first time.

What changed goes through the journal, a moment of the past as its clock, so alerts come about as they do in life; the
journal says of each entry that it was made up. Results are written as they lie there after 90 days.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import msgspec

from demo.estate import ADMINISTRATOR, Estate
from demo.story import DAY, DAYS, SEED, Spell, spells, usual
from mainstay.frames.boot import load_settings, start_django
from mainstay.kernel.actor import system
from mainstay.kernel.clock import SystemClock
from mainstay.kernel.resource import Resource
from mainstay.kernel.settings import Settings

RAW_DAYS = 3  # with single results; days before are roll-ups
STEP = 60.0  # seconds between results
_WORDS = {"down": "is down", "degraded": "is degraded"}
_PHASES = {"connect": 0.1, "wait": 0.8, "transfer": 0.1}


class _Then(SystemClock):
    """A clock that stands at a moment of the past."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        return self._at


def make(estate: Estate, settings: Settings, now: float) -> None:
    from mainstay.runtime.upgrade import open_data
    from mainstay.store.resources.apply import apply_files
    from mainstay.store.resources.queries import resources
    from mainstay.store.work import unit_of_work

    open_data(settings)
    actor = system("made-up history")
    with unit_of_work(actor, _Then(now - DAYS * DAY)):
        apply_files(actor, [str(estate.folder / "mainstay.yaml")])
    known = {f"{one.kind}/{one.name}": one for one in resources()}
    past = spells(now)
    _tell(known, past)
    _fill(settings, known, past, now)
    _settle(known, past, now)
    _make_administrator(estate)
    estate.made.touch()


def _tell(known: dict[str, Resource], past: list[Spell]) -> None:
    """The events of all spells in their order."""
    from mainstay.alerting.advancing import advance_due
    from mainstay.alerting.models import OutboxRow
    from mainstay.store.work import unit_of_work

    moments = [(spell.began, spell, True) for spell in past] + [(spell.ended, spell, False) for spell in past]
    for at, spell, began in sorted(moments, key=lambda moment: moment[0]):
        kind = spell.subject.partition("/")[0]
        event = _began(known[spell.subject], spell) if began else _over(known[spell.subject], spell)
        with unit_of_work(system("made-up history"), _Then(at)) as work:
            work.record(_Event(f"{kind}.went_{spell.state if began else 'up'}", spell.subject, event))
            advance_due(system("delivery"))
            OutboxRow.objects.filter(state="pending").update(
                state="delivered", attempts=1, delivered_at=at + 0.4, next_at=None, after_id=""
            )


@dataclass(frozen=True)
class _Event:
    """What the journal keeps of an event; made up, and less of it than the program tells."""

    kind: str
    subject: str
    data: dict[str, Any]


def _began(resource: Resource, spell: Spell) -> dict[str, Any]:
    about = {"uid": resource.uid, "previous": "up", "since": spell.began, "window": "database-updates"}
    if spell.state == "maintenance":
        return about
    document = resource.document
    words = "exited with 1" if spell.code == "exit_1" else _WORDS[spell.state]
    severity = document.get("severity", "P2")
    return {
        "title": f"{resource.name} {words}",
        "level": "degraded" if spell.state == "degraded" else "down",
        "severity": severity,
        "labels": {**document.get("labels", {}), resource.kind: resource.name, "severity": severity},
        "alert_on": document.get("alert_on", ["down"]),
        "reason": "confirmed",
        "code": spell.code,
        "message": spell.message,
        "evidence": {},
        "address": getattr(resource.spec, "address", ""),
        "suppressed_by": "",
        **about,
    }


def _over(resource: Resource, spell: Spell) -> dict[str, Any]:
    lasted = {} if spell.state == "maintenance" else {"downtime": spell.ended - spell.began}
    return {"uid": resource.uid, "previous": spell.state, "since": spell.ended, "reason": "recovered", **lasted}


def _fill(settings: Settings, known: dict[str, Resource], past: list[Spell], now: float) -> None:
    """Roll-ups of the days, and single results of the last ones."""
    from mainstay.watch.results.results import opened
    from mainstay.watch.results.values import Sample

    telemetry = opened(settings)
    chance = random.Random(SEED)  # noqa: S311  for show
    first_raw = now // DAY * DAY - RAW_DAYS * DAY
    watched = {subject: one for subject, one in known.items() if one.kind in ("monitor", "heartbeat")}
    rows = []
    for subject, one in watched.items():
        own = [spell for spell in past if spell.subject == subject]
        rows += [_day(one, own, first_raw - ago * DAY, chance) for ago in range(1, DAYS - RAW_DAYS + 1)]
    telemetry.import_days(rows)
    for subject, one in watched.items():
        own = [spell for spell in past if spell.subject == subject]
        samples: list[Sample] = []
        at = first_raw + STEP
        while at < now:
            samples.append(_sample(one, own, at, chance))
            at += STEP
        telemetry.append(samples)
        telemetry.flush()
    telemetry.maintain(now)
    telemetry.close()


def _day(resource: Resource, own: list[Spell], midnight: float, chance: random.Random) -> list[Any]:
    spent = {
        state: sum(spell.overlap(midnight, midnight + DAY) for spell in own if spell.state == state)
        for state in ("degraded", "down", "maintenance")
    }
    good = DAY - sum(spent.values())
    mean = usual(resource.name, midnight + 12 * 3600, chance) * (1 + 8 * spent["degraded"] / DAY)
    seconds = [good, spent["degraded"], spent["down"], 0.0, 0.0, spent["maintenance"]]
    phases = [0.0, mean * _PHASES["connect"], 0.0, mean * _PHASES["wait"], mean * _PHASES["transfer"]]
    failed = round(spent["down"] / STEP)
    checks = round(DAY / STEP)
    at = int(midnight) * 1_000_000
    return [resource.uid, at, checks, failed, *seconds, mean, mean * 0.95, mean * 1.7, mean * 3, *phases]


def _sample(resource: Resource, own: list[Spell], at: float, chance: random.Random) -> Any:
    from mainstay.watch.results.values import Sample

    spell = next((one for one in own if one.began <= at < one.ended), None)
    state: Any = spell.state if spell else "up"
    duration = usual(resource.name, at, chance) + (1.0 if state == "degraded" else 0.0)
    troubled = spell is not None and state != "maintenance"
    return Sample(
        uid=resource.uid,
        at=at,
        verdict=state if troubled else "up",
        duration=duration,
        charge=state,
        charged=STEP,
        phases={name: duration * share for name, share in _PHASES.items()},
        code=spell.code if spell else "",
        message=spell.message if spell else "",
    )


def _settle(known: dict[str, Resource], past: list[Spell], now: float) -> None:
    """Every monitor has been up since its last spell, for the watch lane to go on from."""
    chance = random.Random(SEED)  # noqa: S311  for show
    from mainstay.watch.models import MonitorStateRow
    from mainstay.watch.state import RANKS, MonitorState, Reason

    for subject, one in known.items():
        since = max((spell.ended for spell in past if spell.subject == subject), default=now - DAYS * DAY)
        state = MonitorState(
            state="up", since=since, reason=Reason.RECOVERED, settled="up", settled_since=since,
            up_streak=21, working_streak=21, up_from=since, working_from=since, seen_at=now,
        )  # fmt: skip
        MonitorStateRow.objects.filter(uid=one.uid).update(
            state="up",
            rank=RANKS["up"],
            since=since,
            reason=str(Reason.RECOVERED),
            counters=msgspec.json.encode(state).decode(),
            last_at=now,
            last_verdict="up",
            last_duration=usual(one.name, now, chance),
        )


def _make_administrator(estate: Estate) -> None:
    from mainstay.accounts.verbs import create_first_admin, make_setup_link

    create_first_admin(make_setup_link(system("demo")) or "", ADMINISTRATOR, estate.secret("admin"))


if __name__ == "__main__":
    chosen = load_settings(data=Estate.here().data)
    start_django(chosen)
    make(Estate.here(), chosen, SystemClock().now())
