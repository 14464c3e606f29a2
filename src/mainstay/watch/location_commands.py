"""`mainstay locations`: the places that checks are made from, and tokens for them."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.frames.opening import acting, open_data
from mainstay.frames.output import print_views, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.watch.location_queries import LocationView

locations = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List the locations that checks are made from, and create tokens for them.",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_STYLES = {"silent": "bold red", "waiting": "magenta", "cut": "yellow", "up": "green"}


@locations.callback()
def listed(context: typer.Context, as_json: AsJson = False) -> None:
    """List the locations that checks are made from, as the server heard them last."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.watch.location_queries import locations as read

    found = read()
    empty = "no locations are declared; all checks are made from this server"
    print_views(found, as_json, _columns(found), _STYLES, empty)


@locations.command("token")
def token(
    name: Annotated[str, typer.Argument(help="The declared location.")],
    expires: Annotated[str, typer.Option(help="How long it is valid.")] = "365d",
    as_json: AsJson = False,
) -> None:
    """Create a token with which a prober may join as this location only, and print it; it is never shown again."""
    from mainstay.kernel.duration import parse_duration
    from mainstay.kernel.errors import UserError

    try:
        days = parse_duration(expires) / 86_400
    except ValueError as error:
        raise UserError(str(error), hint="for example --expires 365d") from None
    actor = acting()
    from mainstay.accounts.token_verbs import create_token
    from mainstay.kernel.matchers import Matcher
    from mainstay.watch.location_queries import location

    location(name)
    limit = str(Matcher("location", "=", name))
    made = create_token(actor, f"prober at {name}"[:100], ["probes:join"], days, limits=[limit])
    typer.echo(json.dumps({"token": made}) if as_json else made)
    if sys.stderr.isatty():
        typer.echo("Save it now: it is not stored and cannot be shown again.", err=True)


def _columns(found: list[LocationView]) -> list[tuple[str, Callable[[LocationView], str]]]:
    """What a line says; clocks, versions and what waits only where they tell something."""
    columns: list[tuple[str, Callable[[LocationView], str]]] = [
        ("location", lambda view: view.name),
        ("state", lambda view: "cut" if view.state == "up" and not view.connected else view.state),
        ("heard", lambda view: when(min(view.heard_at, time.time()) or None)),
        ("monitors", lambda view: str(view.assigned)),
    ]
    if any(view.round_trip > 0 for view in found):
        columns.append(("clock", lambda view: f"{view.offset:+.3f} s" if view.round_trip > 0 else ""))
        columns.append(("latency", lambda view: f"{view.round_trip * 1000:.1f} ms" if view.round_trip > 0 else ""))
    if any(view.waiting + view.dropped for view in found):
        columns += [("kept", lambda view: str(view.waiting)), ("dropped", lambda view: str(view.dropped))]
    if len({view.version for view in found if view.version}) > 1:
        columns.append(("version", lambda view: view.version))
    return [*columns, ("from", lambda view: view.address)]
