"""`mainstay heartbeats`: jobs that report in, their deadlines and what they last said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstay.frames.opening import acting, open_data
from mainstay.frames.output import print_json, print_secret, print_table, when
from mainstay.kernel.errors import UserError

if TYPE_CHECKING:
    from mainstay.heartbeats.queries import HeartbeatView, PingView

_STYLES = {"down": "bold red", "unknown": "magenta", "late": "yellow", "up": "green", "new": "cyan", "paused": "dim"}
_PINGS_SHOWN = 20

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def heartbeats(
    name: Annotated[str | None, typer.Argument(help="One heartbeat, with its addresses and last pings.")] = None,
    state: Annotated[str, typer.Option(help="Only those: down, unknown, late, up, new or paused.")] = "",
    as_json: AsJson = False,
) -> None:
    """List heartbeats with their deadlines, those that need attention first."""
    if state and state not in _STYLES:
        raise UserError(f"there is no state `{state[:40]}`", hint=f"states are {', '.join(_STYLES)}")
    base_url = open_data().base_url
    from mainstay.heartbeats import queries

    if name is None:
        found = [view for view in queries.heartbeats() if state in ("", view.shown, view.state)]
        if as_json:
            print_json(found)
        else:
            _draw(found)
        return
    view = queries.heartbeat(name)
    pings = queries.pings(view.uid, limit=_PINGS_SHOWN)
    if as_json:
        print_json(view.as_dict() | {"last_pings": pings})
        return
    _draw([view])
    typer.echo(f"\nby uuid   {view.ping_url}")
    by_slug = queries.slug_url(base_url, view.slug)
    typer.echo(f"by slug   {by_slug or 'no character of the name can be used in a slug'}\n")
    if not pings:
        typer.echo("no ping has arrived yet")
        return
    columns = ["n", "when", "kind", "exit", "took", "from", "agent", "bytes"]
    print_table(columns, [_ping_row(ping) for ping in pings])


def _draw(found: list[HeartbeatView]) -> None:
    if not found:
        typer.echo("no heartbeat is declared, or none matches")
        return
    columns = ["heartbeat", "state", "since", "last ping", "due", "took", "schedule"]
    print_table(columns, [_row(view) for view in found])


def _row(view: HeartbeatView) -> list[Any]:
    from rich.text import Text

    from mainstay.kernel.wording import schedule_words

    word = f"{view.shown}, running" if view.started else view.shown
    return [
        view.name,
        Text(word, style=_STYLES.get(view.shown, "")),
        when(view.since),
        when(view.last_ping),
        when(view.due_at, otherwise="-"),
        _seconds(view.last_duration),
        schedule_words(view.schedule),
    ]


def _ping_row(ping: PingView) -> list[Any]:
    status = "" if ping.exit_status is None else str(ping.exit_status)
    took, size = _seconds(ping.duration), str(ping.body_size)
    return [str(ping.n), when(ping.at), ping.kind, status, took, ping.remote, ping.user_agent, size]


def _seconds(duration: float | None) -> str:
    return "" if duration is None else f"{duration:.3g} s"


def ping_key(as_json: AsJson = False) -> None:
    """Create a new ping key and print it; it is never shown again, and the old one stops working."""
    actor = acting()
    from mainstay.heartbeats.verbs import rotate_ping_key

    print_secret("ping_key", rotate_ping_key(actor), as_json)
