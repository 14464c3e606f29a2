"""A kind, a verb, a guard, a follower, a lane with its probe, a table in columns, a metric, finds, and a command."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import typer
from pydantic import Field

from mainstay.frames.exposition import Figures, Metric
from mainstay.kernel.actor import Actor
from mainstay.kernel.capability import Find, Lane, Surroundings
from mainstay.kernel.event import Event
from mainstay.kernel.resource import Kind, Spec
from mainstay.kernel.subject import Said
from mainstay.store.columns.table import Column, Table
from mainstay.store.followers import follow
from mainstay.store.journal import Entry
from mainstay.store.running import Running
from mainstay.store.work import Work, guard, unit_of_work

from .events import DrillBegan, DrillEnded, DrillOverran

METRICS = (Metric("drills", "Drills since start.", "counter"),)
STEPS = Table(
    name="drill_steps",
    columns=(Column("at_us", "time"), Column("drill", "name"), Column("said", "text"), Column("labels", "labels")),
    order=("drill",),
    kept="drill_days",
)
TABLES = (STEPS,)
SEEN: list[str] = []
FOLLOWED = threading.Event()


class DrillSpec(Spec):
    minutes: int = Field(30, ge=1, description="how long it may take")


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    def schema() -> dict[str, Any]:
        return DrillSpec.model_json_schema(mode="validation")

    drill = Kind(
        "drill",
        "drills",
        "practice",
        DrillSpec.model_validate,
        schema,
        example="drills:\n  fire: {}\n",
        page="/drills/#{}",
        said="mainstay.drills.parts:said",
    )
    return (drill,)


def said(_uid: str, evidence: Mapping[str, Any]) -> Said:
    return Said(f"nobody left the {evidence['floor']} floor")


def begin(actor: Actor, name: str) -> int:
    actor.require("drills:run")
    with unit_of_work(actor) as work:
        return work.record(DrillBegan(f"drill/{name}", name))


def end(actor: Actor, name: str, *, late: bool = False) -> None:
    actor.require("drills:run")
    subject = f"drill/{name}"
    with unit_of_work(actor) as work:
        if late:
            more: dict[str, Any] = {"labels": {"drill": name}, "evidence": {"floor": "upper"}}
            heading = f"the drill {name} overran"
            work.record(DrillOverran(subject, heading=heading, since=work.now, severity="P3", **more))
        else:
            work.record(DrillEnded(subject, name))


@guard("drill.began")
def on_began(_work: Work, event: Event) -> None:
    SEEN.append(event.subject)


@follow("drills.notes", "drill.ended")
def on_ended(_work: Work, entry: Entry) -> None:
    SEEN.append(f"after {entry.subject}")
    FOLLOWED.set()


def lanes(_running: Running) -> tuple[Lane, ...]:
    async def turn() -> None:
        SEEN.append("turn")

    async def probe() -> str:
        return "nobody practised for long"

    return (Lane("drills", turn, 60.0, probe=probe, vital=False),)


async def collect(figures: Figures, _running: Running) -> None:
    figures.say("drills", SEEN.count("drill/fire"))


def search(actor: Actor, text: str, _limit: int) -> list[Find]:
    may = actor.may("drills:run") and text in "practise fire"
    return [Find("Practise fire", "/drills/", "play", "Drills")] if may else []


def drills() -> None:
    """Say how often was practised."""
    typer.echo("never")
