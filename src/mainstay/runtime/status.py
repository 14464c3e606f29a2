"""`mainstay status`: what is wrong and how many are fine. It reads the database, with or without a server."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.frames.opening import warn_of_stopped_server
from mainstay.watch.commands import COLOURS, ago, draw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainstay.heartbeats.glance import Seen as Silent
    from mainstay.watch.glance import Seen

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_ORDER = ("down", "degraded", "unknown", "up", "new", "maintenance", "paused")  # of what `status` counts
_SHOWN = 20  # monitors, and heartbeats, that `status` lists


def status(*, as_json: AsJson = False) -> None:
    """Show which monitors and heartbeats are failing and how many are fine. Exit code 1 if anything is down."""
    from mainstay.frames.boot import load_settings
    from mainstay.heartbeats import glance as jobs
    from mainstay.store.glance import glance
    from mainstay.watch import glance as watch

    wrong: list[Seen] = []
    settings = load_settings()
    with glance(settings) as database:
        counts = watch.counts(database)
        for state in ("down", "degraded", "unknown"):
            if counts[state]:
                wrong += watch.monitors(database, state=state)
        job_counts, silent = jobs.counts(database), jobs.wrong(database)
    warn_of_stopped_server(settings)
    if as_json:
        told = {"counts": counts, "wrong": [one.as_dict() for one in wrong]}
        beats = {"counts": job_counts, "wrong": [one.as_dict() for one in silent]}
        typer.echo(json.dumps({**told, "heartbeats": beats}, ensure_ascii=False))
    else:
        _summarise({state: counts.get(state, 0) + job_counts.get(state, 0) for state in _ORDER}, wrong, silent)
    if counts["down"] or job_counts["down"]:
        raise typer.Exit(1)


def _summarise(counts: dict[str, int], wrong: list[Seen], silent: list[Silent]) -> None:
    from rich.console import Console
    from rich.text import Text

    total = sum(counts.values())
    line = Text(no_wrap=True)
    if not total:
        line.append("nothing is declared yet")
    elif not wrong and not silent:
        line.append("all well", "bold green")
    for state, count in counts.items():
        if count:
            line.append("   " if line else "").append(str(count), COLOURS.get(state, "")).append(f" {state}")
    Console(highlight=False).print(line)
    if wrong:
        draw(wrong[:_SHOWN])
    if len(wrong) > _SHOWN:
        typer.echo(f"and {len(wrong) - _SHOWN} more: mainstay monitors")
    if silent:
        _draw_silent(silent[:_SHOWN])
    if len(silent) > _SHOWN:
        typer.echo(f"and {len(silent) - _SHOWN} more: mainstay heartbeats")


def _draw_silent(found: Iterable[Silent]) -> None:
    from rich.text import Text

    from mainstay.frames.output import print_table

    now = time.time()
    rows: list[list[str | Text]] = [
        [Text(one.state, COLOURS[one.state]), one.name, ago(now - one.since), one.reason.replace("_", " ")]
        for one in found
    ]
    print_table(["state", "heartbeat", "since", "why"], rows)
