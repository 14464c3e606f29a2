"""`mainstay exec` as the other commands: its options for `--help`, the reference, and errors in its arguments."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstay.heartbeats.exec.job import DEFAULT_TAIL, DEFAULT_WAIT, LONGEST_TAIL, checked, run

exec_command = typer.Typer(add_completion=False, rich_markup_mode=None)


@exec_command.command(context_settings={"allow_interspersed_args": False})
def execute(
    command: Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND...", help="The job.")] = None,
    *,
    heartbeat: Annotated[
        str, typer.Option(help="Name, uuid or ping URL of the heartbeat (default: MAINSTAY_PING_URL).")
    ] = "",
    server: Annotated[
        str, typer.Option(help="URL of Mainstay (default: MAINSTAY_URL, else the server on this data folder).")
    ] = "",
    create: Annotated[bool, typer.Option("--create", help="Create the heartbeat if none has this name.")] = False,
    tail: Annotated[
        int, typer.Option(help=f"Bytes of output to report, at most {LONGEST_TAIL}; 0: none.")
    ] = DEFAULT_TAIL,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait, after the job, for the server to accept the report.")
    ] = DEFAULT_WAIT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also say when a report was spooled.")] = False,
    flush: Annotated[bool, typer.Option("--flush", help="Send spooled reports and run nothing.")] = False,
) -> None:
    """Run a job and report its start, end, duration, peak memory and the tail of its output.

    The job's output, exit code and signals stay as they are. While the server is unreachable, reports are spooled.
    """
    found: dict[str, object] = {"heartbeat": heartbeat, "server": server, "create": create, "verbose": verbose}
    options = checked(tuple(command or ()), {**found, "tail": tail, "wait": wait, "flush": flush})
    if options is None:
        raise typer.BadParameter(_wrong(command, tail, wait, flush))
    run(options)


def _wrong(command: list[str] | None, tail: int, wait: float, flush: bool) -> str:
    if not 0 <= tail <= LONGEST_TAIL:
        return f"--tail is 0 to {LONGEST_TAIL} bytes"
    if not 0 <= wait <= 600:
        return "--wait is 0 to 600 seconds"
    if command and flush:
        return "--flush runs no job"
    return "no job given; write it after `--`, such as `mainstay exec --heartbeat nightly -- /usr/local/bin/report`"
