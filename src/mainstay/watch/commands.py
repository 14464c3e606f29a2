"""`mainstay monitors`: what is wrong first. It reads the database, with or without a server."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.frames.opening import warn_of_stopped_server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainstay.watch.glance import Seen

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

COLOURS = {"down": "bold red", "degraded": "yellow", "unknown": "magenta", "up": "green"}
_WIDE = 110  # columns of a terminal that have room for addresses


def monitors(
    text: Annotated[str, typer.Argument(help="Only those with these words in name, address, tags or labels.")] = "",
    *,
    state: Annotated[str, typer.Option(help="Only this state: down, degraded, unknown, up, maintenance, paused.")] = "",
    tag: Annotated[str, typer.Option(help="Only those with this tag.")] = "",
    label: Annotated[str, typer.Option(metavar="NAME=VALUE", help="Only those with this label.")] = "",
    as_json: AsJson = False,
) -> None:
    """List monitors with their states, failing ones first."""
    from mainstay.frames.boot import load_settings
    from mainstay.kernel.errors import UserError
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
        draw(found)
    else:
        typer.echo("no monitor matches" if text or state or tag or label else "no monitor is declared yet")


def draw(found: Iterable[Seen]) -> None:
    from rich.text import Text

    from mainstay.frames.output import print_table

    now = time.time()
    wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= _WIDE
    rows: list[list[str | Text]] = []
    for one in found:
        latency = f"{one.last_duration * 1000:.0f} ms" if one.last_at and one.state in ("up", "degraded") else ""
        state = Text(one.state, COLOURS.get(one.state, "dim"))
        address = [one.address] if wide else []
        rows.append([state, one.name, ago(now - one.since), latency, *address, _why(one)])
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


def ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
