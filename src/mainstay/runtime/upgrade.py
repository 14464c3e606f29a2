"""Bringing data to this program's version at start: refuse what is newer, keep a snapshot, change the tables."""

from __future__ import annotations

from dataclasses import replace

import structlog

from mainstay.kernel.actor import system
from mainstay.kernel.errors import MainstayError, UserError
from mainstay.kernel.settings import Settings
from mainstay.runtime.boot import migrate
from mainstay.store.snapshots import taking, versions

log = structlog.get_logger("mainstay")

_ACTOR = system("upgrade")


def open_data(settings: Settings) -> None:
    """After this the tables are those of this version. Raises, with nothing changed, if they cannot be.

    The caller holds the lock of the data folder.
    """
    versions.check(settings)
    waiting = versions.waiting_migrations()
    upgrade = bool(waiting) and bool(versions.applied_migrations())
    taken = _keep(settings, waiting) if upgrade and settings.snapshot_before_upgrade else None
    migrate()
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
            hint=f"{error.hint or 'mend that'}; or set MAINSTAY_SNAPSHOT_BEFORE_UPGRADE=no",
        ) from error
    log.info("snapshot taken", address=taken.address, bytes=taken.bytes)
    return taken
