"""Bringing data to this program's version at start: refuse what is newer, keep a snapshot, change the tables.

Of several servers on one database only one does so at a time; the others wait. While a new version comes up, servers
of the one before go on: versions.OLDEST says how far back a program can work beside this one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog
from django.db import OperationalError, connection

from mainstay.frames.boot import migrate
from mainstay.kernel.actor import system
from mainstay.kernel.errors import MainstayError, StoreBusy, UserError
from mainstay.kernel.settings import Settings
from mainstay.runtime.settings import SNAPSHOT_BEFORE_UPGRADE
from mainstay.store.damage import check_sound
from mainstay.store.declared_settings import take_declared
from mainstay.store.followers import begin
from mainstay.store.resources.reference_table import keep_current
from mainstay.store.snapshots import taking, versions

log = structlog.get_logger("mainstay")

_ACTOR = system("upgrade")
_LOCK = 6_245_197_834  # any number that nobody else uses


def open_data(settings: Settings) -> None:
    """After this the tables are those of this version. Raises, with nothing changed, if they cannot be.

    The caller holds the lock of the data folder.
    """
    check_sound(settings)
    try:
        with _alone(settings):
            _open(settings)
    except OperationalError as error:
        if not settings.database:
            raise
        hint = "check MAINSTAY_DATABASE, and whether the database is running"
        raise StoreBusy(f"the database did not answer: {error}", hint=hint) from error


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold PostgreSQL's advisory lock; it ends with the connection, also of a server that dies."""
    if not settings.database:
        yield
        return
    told = False
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            if cursor.fetchone()[0]:
                break
            if not told:
                log.info("waiting for another server, which is upgrading the tables")
                told = True
            time.sleep(0.2)
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _open(settings: Settings) -> None:
    versions.check(settings)
    waiting = versions.waiting_migrations()
    upgrade = bool(waiting) and bool(versions.applied_migrations())
    if versions.applied_migrations():
        take_declared(settings)  # the snapshot goes to the place that is declared
    taken = _keep(settings, waiting) if upgrade and settings[SNAPSHOT_BEFORE_UPGRADE] else None
    if waiting:
        migrate()
    begin()  # also of followers that a version brings without a change of tables
    keep_current()
    versions.record(_ACTOR, settings)
    if taken is not None:
        taking.record_taken(_ACTOR, taken)  # only now, because the tables of the journal may have changed


def _keep(settings: Settings, waiting: list[str]) -> taking.Taken:
    log.info("taking a snapshot before the upgrade", migrations=len(waiting))
    try:
        wishes = replace(taking.wishes_from(settings), offline=True, note=f"before {waiting[0]}")
        taken = taking.take(_ACTOR, settings, wishes)
    except MainstayError as error:
        raise UserError(
            f"no snapshot could be taken before the upgrade: {error.message}",
            hint=f"{error.hint or 'fix that'}; or set MAINSTAY_SNAPSHOT_BEFORE_UPGRADE=no",
        ) from error
    log.info("snapshot taken", address=taken.address, bytes=taken.bytes)
    return taken
