"""`mainstay channels`, `mainstay routes` and `mainstay notify`: where alerts go, and whether they get there."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from mainstay.frames.opening import me, open_data
from mainstay.frames.output import print_json, print_table
from mainstay.kernel.errors import UserError

routes = typer.Typer(add_completion=False, rich_markup_mode=None, help="List routes, or those that match.")
notify = typer.Typer(add_completion=False, rich_markup_mode=None, help="Send a test notification.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_STATES = {"up": "works", "down": "failing", "unknown": "never tried"}


def channels(as_json: AsJson = False) -> None:
    """List channels, whether each delivers, and what is waiting."""
    open_data()
    from mainstay.alerting import queries
    from mainstay.kernel.wording import ago

    found = queries.channel_health()
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no channel is declared: nobody is notified of alerts")
        return
    now = time.time()
    rows = [
        [
            one.name,
            one.kind,
            _STATES[one.state],
            str(one.delivered),
            str(one.pending),
            "never" if one.last_success is None else ago(one.last_success, now),
            one.problem or one.description,
        ]
        for one in found
    ]
    print_table(["channel", "kind", "state", "delivered", "waiting", "last delivered", "note"], rows)


@routes.callback(invoke_without_command=True)
def list_routes(context: typer.Context, as_json: AsJson = False) -> None:
    """List routes in the order in which they are asked."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.alerting import queries

    found = queries.routes()
    if as_json:
        print_json([{"name": name, **spec.model_dump(mode="json", exclude={"name"})} for name, spec in found])
    elif not found:
        typer.echo("no route is declared: every channel is notified of every alert")
    else:
        rows = [
            [name, ", ".join(spec.match) or "everything", ", ".join(spec.to), "stops" if spec.stop else "goes on"]
            for name, spec in found
        ]
        print_table(["route", "fits", "to", "then"], rows)


@routes.command("test")
def routes_test(
    labels: Annotated[list[str], typer.Argument(metavar="LABEL=VALUE...", help="Labels that an alert would have.")],
    as_json: AsJson = False,
) -> None:
    """Show which routes and channels an alert with these labels would use. Exit code 1 if it would reach nobody."""
    wanted = dict(_label(text) for text in labels)
    open_data()
    from mainstay.alerting import queries

    found = queries.routing_of(wanted)
    if as_json:
        print_json({"channels": dict(found.channels), "untold": found.untold})
    elif found.channels:
        print_table(["channel", "because of"], [[channel, reason] for channel, reason in found.channels.items()])
    else:
        typer.echo(f"nobody would be notified: {found.untold}")
    if not found.channels:
        raise typer.Exit(1)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"`{text[:60]}` is not a label", hint="such as severity=P1 or team=web")
    return name.strip(), value.strip()


@notify.callback()
def _notify() -> None:
    """Send a test notification."""


@notify.command("test")
def send_test(name: Annotated[str, typer.Argument(help="Name of the channel.")], as_json: AsJson = False) -> None:
    """Send a test message to one channel now and wait for its answer.

    Secrets are looked up here, so the command needs the server's environment.
    """
    open_data()
    from mainstay.alerting import verbs

    receipt = verbs.test_channel(me(), name)
    if as_json:
        print_json({"channel": name, "detail": receipt.detail, "data": receipt.data})
    else:
        typer.echo(f"{name}: delivered ({receipt.detail})")
