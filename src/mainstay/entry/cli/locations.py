"""`mainstay locations`: the places that checks are made from, and tokens for them."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.entry.cli.tokens import start

if TYPE_CHECKING:
    from mainstay.watch.location_queries import LocationView

locations = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List the places that checks are made from, and make tokens for them.",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_STYLES = {"silent": "bold red", "waiting": "magenta", "cut": "yellow", "up": "green"}


@locations.callback()
def listed(context: typer.Context, as_json: AsJson = False) -> None:
    """List the places that checks are made from, as the server heard them last."""
    if context.invoked_subcommand is not None:
        return
    start(light=True)
    from mainstay.watch.location_queries import locations as read

    found = read()
    if as_json:
        typer.echo(json.dumps([view.as_dict() for view in found], indent=2, ensure_ascii=False))
    elif found:
        _draw(found)
    else:
        typer.echo("no locations are declared; all checks are made from this server")


@locations.command("token")
def token(
    name: Annotated[str, typer.Argument(help="The declared location.")],
    expires: Annotated[str, typer.Option(help="How long it lives.")] = "365d",
    as_json: AsJson = False,
) -> None:
    """Make a token with which a prober may join as this location and as no other, and print it, for the only time."""
    from mainstay.kernel.duration import parse_duration
    from mainstay.kernel.errors import UserError

    try:
        days = parse_duration(expires) / 86_400
    except ValueError as error:
        raise UserError(str(error), hint="for example --expires 365d") from None
    actor = start(light=True)
    from mainstay.accounts.token_verbs import create_token
    from mainstay.kernel.matchers import Matcher
    from mainstay.watch.location_queries import location

    location(name)
    limit = str(Matcher("location", "=", name))
    made = create_token(actor, f"prober at {name}"[:100], ["probes:join"], days, limits=[limit])
    typer.echo(json.dumps({"token": made}) if as_json else made)
    if sys.stderr.isatty():
        typer.echo("Keep it: it is not stored and cannot be shown again.", err=True)


def _draw(found: list[LocationView]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mainstay.kernel.wording import lasting

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("location", "state", "heard", "monitors", "clock", "latency", "kept", "dropped", "version", "from"):
        table.add_column(column, overflow="fold")
    for view in found:
        state = "cut" if view.state == "up" and not view.connected else view.state
        heard = f"{lasting(max(0.0, time.time() - view.heard_at))} ago" if view.heard_at else "never"
        known = view.round_trip > 0
        cells = [heard, str(view.assigned), f"{view.offset:+.3f} s" if known else ""]
        cells += [f"{view.round_trip * 1000:.1f} ms" if known else "", str(view.waiting), str(view.dropped)]
        cells += [view.version, view.address]
        table.add_row(Text(view.name), Text(state, style=_STYLES.get(state, "")), *map(Text, cells))
    Console(highlight=False).print(table)
