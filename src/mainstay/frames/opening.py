"""Opening the data of this install for a command, and in whose name it acts."""

from __future__ import annotations

import fcntl
import getpass
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

import mainstay
from mainstay.kernel.errors import StoreBusy, UserError

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.settings import Settings


def open_data(*, light: bool = True, first: bool = False) -> Settings:
    """Open the database of this install; `light` leaves the web out, which halves the start.

    `first`: the command may come before the server's first start, and then makes the data folder. UserError if there is
    nothing otherwise, and if the tables are those of another version: a command would stumble in the middle of its
    work, and only the server brings them up, after a snapshot.
    """
    from mainstay.frames.boot import load_settings
    from mainstay.store.damage import check_begun, check_writable

    settings = load_settings()
    check_writable(settings)
    if not first:
        check_begun(settings)
    _start(settings, light)
    return settings


@contextmanager
def data_to_look_at() -> Iterator[Settings]:
    """As `open_data`, for a command that changes nothing and works before anything is declared: then it sees an empty
    database, which is gone when it ends.
    """
    from mainstay.frames.boot import load_settings
    from mainstay.store.damage import STATE, check_there, check_writable

    settings = load_settings()
    check_writable(settings)
    check_there(settings)
    if settings.database or (settings.data / STATE).exists():
        _start(settings, light=True)
        yield settings
        return
    with TemporaryDirectory(prefix="mainstay-") as folder:
        _start(replace(settings, data=Path(folder), keys=""), light=True)
        yield settings


def _start(settings: Settings, light: bool) -> None:
    from mainstay.frames.boot import migrate, start_django

    fresh = not settings.database and not (settings.data / "state.sqlite3").exists()
    start_django(settings, light=light and not fresh)
    from mainstay.store.declared_settings import take_declared

    if fresh:
        migrate()
    else:
        _check_version(settings)
    take_declared(settings)


def server_process(data: Path) -> str | None:
    """Id of the process that serves this data folder now; None if there is none."""
    try:
        with (data / "server.lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two commands at once are no server
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return (data / "server.lock").read_text().strip()
    return None


def warn_of_stopped_server(settings: Settings) -> None:
    """Say on standard error that states are old, where no server keeps them current.

    With PostgreSQL a server of another machine may, so nothing is said there.
    """
    if not settings.database and server_process(settings.data) is None:
        typer.echo(
            f"mainstay: no server is running on {settings.data}: nothing is checked, and these states are old", err=True
        )


def me() -> Actor:
    """Whoever runs the command."""
    from mainstay.kernel.actor import command

    try:
        return command(getpass.getuser())
    except (OSError, KeyError):  # a container may run as a user without a name
        return command("unknown")


def acting(*, light: bool = True) -> Actor:
    """Open the data, for a change."""
    open_data(light=light)
    return me()


def _check_version(settings: Settings) -> None:
    from mainstay.store.snapshots.versions import check

    shipped = _shipped()
    applied = _applied({capability for capability, _ in shipped})
    if applied - shipped:
        check(settings)  # what a newer program wrote, unless this one can bear it
    if shipped - applied:
        raise UserError(
            "the data is from an older version than this program",
            hint="start `mainstay up` once: it takes a snapshot and upgrades the data",
        )


def _applied(capabilities: Collection[str]) -> set[tuple[str, str]]:
    """(capability, migration) of the tables."""
    from django.db import OperationalError, connection

    try:
        if "django_migrations" not in connection.introspection.table_names():
            raise UserError("the database has no tables yet", hint="start `mainstay up` once")
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            return {(app, name) for app, name in cursor.fetchall() if app in capabilities}
    except OperationalError as error:
        raise StoreBusy(f"the database does not answer: {error}", hint="see MAINSTAY_DATABASE") from None


def _shipped() -> set[tuple[str, str]]:
    """(capability, migration) of this program. By name: to import them all takes longer than most commands."""
    files = Path(mainstay.__file__).parent.glob("*/migrations/[0-9]*.py")
    return {(path.parent.parent.name, path.stem) for path in files}
