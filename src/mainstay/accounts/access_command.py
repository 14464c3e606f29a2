"""`mainstay access`: the way back in for whoever owns the machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mainstay.accounts.commands import Email
from mainstay.frames.opening import acting
from mainstay.kernel.errors import UserError

access = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Regain access when nobody can sign in."
)


@access.callback()
def _access() -> None:
    """Regain access when nobody can sign in."""


@access.command("setup")
def setup() -> None:
    """Print a new one-time link to create the first administrator; links printed before stop working."""
    actor = acting(light=False)
    from mainstay.accounts.verbs import make_setup_link
    from mainstay.frames.boot import current_settings

    secret = make_setup_link(actor)
    if not secret:
        raise UserError(
            "there is an administrator already",
            hint="whoever has lost access gets a link from `mainstay access recover EMAIL`",
        )
    typer.echo(f"{current_settings().base_url}/setup/{secret}")


@access.command("erase")
def erase(
    email: Email,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a person's account and erase what the journal and others remember of them; the journal stays provable."""
    actor = acting(light=False)
    from mainstay.accounts.erasure import erase_person

    if not yes:
        typer.confirm(f"Erase {email} permanently?", abort=True, err=True)
    erased = erase_person(actor, email)
    count = "one entry" if erased.entries == 1 else f"{erased.entries} entries"
    typer.echo(f"In {count} of the journal the person is `{erased.name}` now.")
    for name in erased.unsearched:
        typer.echo(f"{name} is missing and could not be searched: restore it and erase again.", err=True)


@access.command("recover")
def recover(email: Email) -> None:
    """Print a one-time link that lets a person in: new password, no second factor, from any address, for an hour.

    It is written to the journal, and every administrator is notified by mail.
    """
    actor = acting(light=False)
    from mainstay.accounts.verbs import make_recovery_link
    from mainstay.frames.boot import current_settings

    made = make_recovery_link(actor, email)
    typer.echo(f"{current_settings().base_url}/recover/{made.secret}")
    if sys.stderr.isatty():
        typer.echo("It works once, within an hour. Hand it over in person, not by mail.", err=True)
    if made.untold:
        typer.echo(f"The administrators could not be notified by mail ({made.untold}): notify them yourself.", err=True)
