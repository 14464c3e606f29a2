"""`mainstay monitors` and `mainstay status`: what is wrong first. They read the database, with or without a server."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.entry.cli.opening import warn_of_stopped_server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainstay.heartbeats.glance import Seen as Silent
    from mainstay.watch.glance import Seen

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_COLOURS = {"down": "bold red", "degraded": "yellow", "unknown": "magenta", "up": "green"}
_ORDER = ("down", "degraded", "unknown", "up", "new", "maintenance", "paused")  # of what `status` counts
_SHOWN = 20  # monitors, and heartbeats, that `status` lists
_WIDE = 110  # columns of a terminal that have room for addresses


def monitors(
    text: Annotated[str, typer.Argument(help="Only those with these words in name, address, tags or labels.")] = "",
    *,
    state: Annotated[str, typer.Option(help="Only this state: down, degraded, unknown, up, maintenance, paused.")] = "",
    tag: Annotated[str, typer.Option(help="Only those with this tag.")] = "",
    label: Annotated[str, typer.Option(metavar="NAME=VALUE", help="Only those with this label.")] = "",
    as_json: AsJson = False,
) -> None:
    """List monitors with their states, what is wrong first."""
    from mainstay.kernel.errors import UserError
    from mainstay.runtime.boot import load_settings
    from mainstay.store.glance import glance
    from mainstay.watch import glance as watch

    if state and state not in watch.STATES:
        raise UserError(f"there is no state `{state[:40]}`", hint=f"states are {', '.join(watch.STATES)}")
    settings = load_settings()
    with glance(settings) as database:
        found = watch.monitors(database, text=text, state=state, tag=tag, label=label)
    warn_of_stopped_server(settings)
    if as_json:
        typer.echo(json.dumps([monitor.as_dict() for monitor in found], ensure_ascii=False))
    elif found:
        _draw(found)
    else:
        typer.echo("no monitor fits" if text or state or tag or label else "no monitor is declared yet")


def status(*, as_json: AsJson = False) -> None:
    """Say which monitors and heartbeats are wrong and how many are fine. Exit code 1 if anything is down."""
    from mainstay.heartbeats import glance as jobs
    from mainstay.runtime.boot import load_settings
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
            line.append("   " if line else "").append(str(count), _COLOURS.get(state, "")).append(f" {state}")
    Console(highlight=False).print(line)
    if wrong:
        _draw(wrong[:_SHOWN])
    if len(wrong) > _SHOWN:
        typer.echo(f"and {len(wrong) - _SHOWN} more: mainstay monitors")
    if silent:
        _draw_silent(silent[:_SHOWN])
    if len(silent) > _SHOWN:
        typer.echo(f"and {len(silent) - _SHOWN} more: mainstay heartbeats")


def _draw_silent(found: Iterable[Silent]) -> None:
    from rich.text import Text

    from mainstay.entry.cli.output import print_table

    now = time.time()
    rows: list[list[str | Text]] = [
        [Text(one.state, _COLOURS[one.state]), one.name, _ago(now - one.since), one.reason.replace("_", " ")]
        for one in found
    ]
    print_table(["state", "heartbeat", "since", "why"], rows)


def _draw(found: Iterable[Seen]) -> None:
    from rich.text import Text

    from mainstay.entry.cli.output import print_table

    now = time.time()
    wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= _WIDE
    rows: list[list[str | Text]] = []
    for one in found:
        latency = f"{one.last_duration * 1000:.0f} ms" if one.last_at and one.state in ("up", "degraded") else ""
        state = Text(one.state, _COLOURS.get(one.state, "dim"))
        address = [one.address] if wide else []
        rows.append([state, one.name, _ago(now - one.since), latency, *address, _why(one)])
    print_table(["state", "name", "since", "latency", *(["address"] if wide else []), "why"], rows)


def _why(one: Seen) -> str:
    if one.state == "paused":
        return f"by {one.paused_by}"
    if one.state == "maintenance":
        return one.window
    if one.state == "up":
        return "flapping" if one.flapping else ""
    parts = [one.message or one.code or one.reason.replace("_", " ")]
    if one.suppressed_by:
        parts.append(f"(its parent {one.suppressed_by} is failing)")
    return " ".join(parts)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
