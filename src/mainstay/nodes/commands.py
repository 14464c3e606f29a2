"""`mainstay nodes`: the servers that share a database, and who does what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.frames.opening import acting, open_data
from mainstay.frames.output import print_views, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.nodes.queries import NodeView

nodes = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List the servers that share the database, and let them hand over.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or the beginning of its id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_STYLES = {"silent": "bold red", "draining": "yellow", "working": "green", "stopped": "dim"}


@nodes.callback()
def listed(context: typer.Context, as_json: AsJson = False) -> None:
    """List the servers that share the database, and who does what."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.nodes.queries import nodes as read

    found = read()
    empty = "one server does everything: several need MAINSTAY_DATABASE=postgres://..."
    print_views(found, as_json, _columns(found), _STYLES, empty)


@nodes.command("drain")
def drain(name: Name) -> None:
    """Let a server hand its monitors to the others, before it is stopped for longer. Pages and pings go on."""
    _set(name, draining=True)


@nodes.command("undrain")
def undrain(name: Name) -> None:
    """Let a server take a share again."""
    _set(name, draining=False)


@nodes.command("forget")
def forget(name: Name) -> None:
    """Remove a server that is permanently gone."""
    actor = acting()
    from mainstay.nodes.verbs import forget_node

    forget_node(actor, name)


def _set(name: str, *, draining: bool) -> None:
    actor = acting()
    from mainstay.nodes.verbs import drain_node

    if not drain_node(actor, name, draining=draining):
        typer.echo("it does so already", err=True)


def _columns(found: list[NodeView]) -> list[tuple[str, Callable[[NodeView], str]]]:
    """What a line says; versions and what waits only where they tell something."""
    columns: list[tuple[str, Callable[[NodeView], str]]] = [
        ("node", lambda view: view.name),
        ("state", lambda view: view.state),
        ("seen", lambda view: when(min(view.seen, time.time()))),
        ("monitors", lambda view: str(view.monitors)),
        ("shards", lambda view: str(len(view.shards))),
        ("tasks", lambda view: " ".join(view.tasks) or "-"),
        ("lag p99", lambda view: f"{view.lag_p99 * 1000:.0f} ms"),
    ]
    if any(view.decisions_waiting + view.pings_spooled for view in found):
        columns.append(("waiting", lambda view: str(view.decisions_waiting + view.pings_spooled)))
    if len({view.version for view in found}) > 1:
        columns.append(("version", lambda view: view.version))
    return [*columns, ("listens", lambda view: view.address)]
