"""`mainstay windows`: maintenance in force and coming, and maintenance of one thing for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.frames.opening import acting, open_data
from mainstay.frames.output import print_json, print_table
from mainstay.kernel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.windows.queries import Occurrence

windows = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="List maintenance windows; start and end maintenance."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The monitor.")]
IsHeartbeat = Annotated[bool, typer.Option("--heartbeat", help="NAME is a heartbeat.")]

_AHEAD = 30 * 86_400.0  # seconds that the list looks ahead


@windows.callback(invoke_without_command=True)
def list_windows(context: typer.Context, as_json: AsJson = False) -> None:
    """List the windows in force, then those of the next 30 days."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.windows import queries

    now = time.time()
    _show([*queries.current(now), *queries.upcoming(now, now + _AHEAD)], as_json=as_json)


@windows.command()
def begin(
    name: Name,
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long from now, such as 1h.")],
    reason: Annotated[str, typer.Option(help="Why; public status pages show it.")] = "",
    *,
    is_heartbeat: IsHeartbeat = False,
    as_json: AsJson = False,
) -> None:
    """Hold back notifications about one monitor or heartbeat for a while; repeating it moves the end."""
    from mainstay.kernel.duration import parse_duration

    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UserError(str(error), hint="such as --for 1h") from None
    actor = acting()
    from mainstay.windows.verbs import begin_maintenance

    made = begin_maintenance(actor, name, seconds, reason, kind="heartbeat" if is_heartbeat else "monitor")
    _show([made], as_json=as_json)


@windows.command()
def end(name: Name, *, is_heartbeat: IsHeartbeat = False) -> None:
    """End early the maintenance that `begin` started."""
    actor = acting()
    from mainstay.windows.verbs import end_maintenance

    ended = end_maintenance(actor, name, kind="heartbeat" if is_heartbeat else "monitor")
    typer.echo("ended" if ended else f"no maintenance was started for {name}")


def _show(found: Sequence[Occurrence], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found:
        from mainstay.kernel.clock import to_iso
        from mainstay.kernel.wording import utc

        columns = ["window", "from", "until", "covers", "description"]
        times = [(utc(to_iso(one.start)), utc(to_iso(one.end))) for one in found]
        rows = [[one.window, *at, " ".join(one.covers), one.description] for one, at in zip(found, times, strict=True)]
        print_table(columns, rows)
    else:
        typer.echo("no maintenance window is active or scheduled in the next 30 days")
