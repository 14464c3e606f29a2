"""`mainstay vault`: secrets that are kept encrypted, for `${vault:NAME}` in what is declared."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from mainstay.frames.opening import acting
from mainstay.frames.output import print_table
from mainstay.kernel.errors import UserError

vault = typer.Typer(add_completion=False, rich_markup_mode=None, help="Keep secrets encrypted, for ${vault:NAME}.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As in ${vault:NAME}.")]


@vault.callback(invoke_without_command=True)
def listed(context: typer.Context) -> None:
    """List stored secrets by name, or change them by the commands below."""
    if context.invoked_subcommand is None:
        list_secrets()


@vault.command("set")
def set_secret(name: Name) -> None:
    """Store or replace a secret. The value is prompted for, or read from standard input; never given as an argument."""
    actor = acting()
    from mainstay.frames.boot import current_settings
    from mainstay.store.vault import VALUE_LIMIT
    from mainstay.store.vault import set_secret as store

    if sys.stdin.isatty():
        import getpass

        value = getpass.getpass(f"Value of {name} (it is not shown): ")
    else:
        raw = sys.stdin.buffer.read(VALUE_LIMIT + 2)
        try:
            value = raw.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise UserError("the value is not UTF-8 text") from None
    store(actor, current_settings(), name, value)
    typer.echo(f"write ${{vault:{name}}} where it is needed", err=True)


@vault.command("list")
def list_secrets() -> None:
    """List names, with when and by whom they were changed."""
    actor = acting()
    from mainstay.kernel.wording import ago
    from mainstay.store.vault import secrets

    now = time.time()
    rows = [[found.name, ago(found.changed_at, now), found.changed_by] for found in secrets(actor)]
    if rows:
        print_table(["name", "changed", "by"], rows)
    else:
        typer.echo("no secret is stored; store one with `mainstay vault set NAME`")


@vault.command("remove")
def remove(name: Name) -> None:
    """Remove a secret."""
    actor = acting()
    from mainstay.store.vault import remove_secret

    remove_secret(actor, name)


@vault.command("rotate")
def rotate_key() -> None:
    """Encrypt every secret with a new key. It may be interrupted and run again."""
    actor = acting()
    from mainstay.frames.boot import current_settings
    from mainstay.store.vault import rotate
    from mainstay.store.vault_keys import is_managed

    settings = current_settings()
    count = rotate(actor, settings)
    typer.echo(f"re-encrypted: {count}")
    if not is_managed(settings):
        typer.echo("The first key in MAINSTAY_VAULT_KEY decrypts all of them; the others can be removed.", err=True)
