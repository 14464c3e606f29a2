"""The command `mainstay`: the commands of all capabilities, each loaded only when it is called.

Start-up is what people feel of a command line, so neither Django nor a command's own imports are
touched before the command is known; `--help` of the root prints their list.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from mainstay import __version__
from mainstay.kernel.capability import CAPABILITIES, load
from mainstay.kernel.errors import InvalidInput, MainstayError
from mainstay.runtime.capabilities import load_capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.kernel.capability import Command


@cache
def commands() -> dict[str, Command]:
    """Every command by name, in the order in which they are listed."""
    load_capabilities()
    return CAPABILITIES.commands()


class Lazy(click.Group):
    """Commands of the capabilities; nothing of them is imported to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = commands().get(cmd_name)
        return _as_click(cmd_name, load(found.at)) if found else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in commands():
            from mainstay.kernel.diagnostics import did_you_mean

            guess = did_you_mean(args[0], commands())
            raise click.UsageError(f"there is no command `{args[0]}`{', ' + guess if guess else ''}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in commands().items()])


def _as_click(name: str, found: Any) -> click.Command:
    import typer

    if isinstance(found, typer.Typer):
        for second, added in CAPABILITIES.within(name).items():
            found.command(second)(load(added.at))
        command = typer.main.get_command(found)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(found)
        command = typer.main.get_command(app)
    command.name = name
    command.context_settings.setdefault("help_option_names", ["-h", "--help"])  # commands within it take after it
    return _Whole(name, command)


class _Whole(click.Command):
    """Hands all arguments to a typer command, which brings its own copy of click: it answers its own errors."""

    def __init__(self, name: str, command: Any) -> None:
        super().__init__(name, add_help_option=False)
        self.inner = command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = args
        return args

    def invoke(self, ctx: click.Context) -> Any:
        return self.inner.main(args=ctx.args, prog_name=ctx.command_path)


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mainstay")
@click.option("--data", metavar="DIR", help="Data folder (default: MAINSTAY_DATA, else ~/.local/share/mainstay).")
def cli(data: str | None) -> None:
    """Operations software for small teams: watches, wakes, shows and remembers."""
    if data:
        os.environ["MAINSTAY_DATA"] = data


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage or wrong input."""
    try:
        cli(args=list(arguments) if arguments is not None else None, prog_name="mainstay", standalone_mode=True)
    except InvalidInput as error:
        for diagnostic in error.diagnostics:
            click.echo(str(diagnostic), err=True)
        sys.exit(2)
    except MainstayError as error:
        _tell(error)
    except _of_the_database() as error:
        _tell_damage(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _tell(error: MainstayError) -> None:
    click.echo(f"mainstay: {error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    sys.exit(1)


def _of_the_database() -> tuple[type[Exception], ...]:
    """Looked up when something is raised: a command that asks no database does not load one for this."""
    if "sqlite3" not in sys.modules:
        return ()
    from mainstay.store.damage import errors

    return errors()


def _tell_damage(error: Exception) -> None:
    from mainstay.frames.boot import current_settings
    from mainstay.store.damage import damage_in

    told = damage_in(error, current_settings())
    if told is None:
        raise error
    _tell(told)
