"""A state database that is lost or damaged: told in one sentence, with the snapshots there are. Only SQLite's, whose
file is this install's own; a PostgreSQL server looks after its files itself.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from mainstay.kernel.errors import Broken, Conflict, MainstayError, NotFound, UserError
from mainstay.kernel.settings import Settings
from mainstay.store.settings import SNAPSHOT_TO

STATE = "state.sqlite3"
_WRITTEN = "version.json"  # by every server that has opened the folder
_SHOWN = 3
_DAMAGED = ("malformed", "not a database")


def check_there(settings: Settings) -> None:
    """Conflict if a server has worked in this folder and its state is gone: it must not begin as a new install."""
    path = settings.data / STATE
    if settings.database or not (settings.data / _WRITTEN).exists():
        return
    if not path.exists() or path.stat().st_size == 0:
        what = "is gone" if not path.exists() else "is empty"
        hint = f"restore the file, or {_restore(settings)}; if the state is in PostgreSQL, set MAINSTAY_DATABASE"
        raise Conflict(f"the state database {path} {what}, and Mainstay has used this folder before", hint=hint)


def check_begun(settings: Settings) -> None:
    """NotFound if nothing was ever kept in this data folder (often a wrong name), Conflict if its state is gone."""
    check_there(settings)
    if not settings.database and not (settings.data / STATE).exists():
        raise NotFound(
            f"there is nothing in {settings.data} yet",
            hint="start Mainstay with `mainstay up`; if it runs already, name its folder with --data or MAINSTAY_DATA",
        )


def check_writable(settings: Settings) -> None:
    """UserError if the data folder cannot be written: SQLite keeps its locks there, also of who only reads."""
    if not settings.database and settings.data.exists() and not os.access(settings.data, os.W_OK):
        raise UserError(
            f"the data folder {settings.data} cannot be written: it is read-only, or owned by another user",
            hint="run the command as the server's user, on a writable file system",
        )


def check_sound(settings: Settings) -> None:
    """Broken if the file is damaged. Reads all of it once."""
    path = settings.data / STATE
    if settings.database or not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=5)) as database:
            found = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:
        return  # locked, or no room: others tell of that
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise damaged(settings, found)


def errors() -> tuple[type[Exception], ...]:
    """What a damaged file raises, of the libraries that are loaded."""
    django = sys.modules.get("django.db.utils")
    return (sqlite3.DatabaseError, *((django.DatabaseError,) if django is not None else ()))


def damage_in(error: Exception, settings: Settings) -> Broken | None:
    """The error to tell instead, if this one comes of a damaged file."""
    text = str(error)
    return damaged(settings, text) if any(words in text for words in _DAMAGED) else None


def damaged(settings: Settings, reason: str) -> Broken:
    reason = " ".join(reason.split())[:150]
    hint = f"stop Mainstay, keep a copy of the file, and {_restore(settings)}"
    return Broken(f"the state database {settings.data / STATE} is damaged: {reason}", hint=hint)


def _restore(settings: Settings) -> str:
    found = _snapshots(settings)
    here = f"the newest: {', '.join(found)}" if found else "there is no snapshot in the place named in the settings"
    return f"move everything except keys and snapshots out of the folder, and run `mainstay restore FILE` ({here})"


def _snapshots(settings: Settings) -> list[str]:
    from mainstay.store.snapshots.places import place

    to = settings[SNAPSHOT_TO] or str(settings.data / "snapshots")
    if to.startswith("s3"):
        return [f"in {to}"]
    if not Path(to).is_dir():
        return []
    try:
        there = place(to)
        return [there.address(name) for name in sorted(there.names(), reverse=True)[:_SHOWN]]
    except (MainstayError, OSError):
        return []
