"""Probes of health that look into the database: messages that wait, and secrets that cannot be used."""

from __future__ import annotations

from django.db import DatabaseError, close_old_connections

from mainstay.alerting.queries import oldest_due
from mainstay.kernel.settings import Settings
from mainstay.store import vault

_DUE = 60.0  # seconds
_TRIED = 50  # stored secrets that are tried


def oldest_due_probe(now: float) -> str:
    """Whether messages wait that are due; call it on a thread."""
    close_old_connections()
    try:
        waited = oldest_due(now)
    except DatabaseError as error:
        return f"the outbox cannot be read: {str(error)[:100]}"
    return "ok" if waited < _DUE else f"the oldest message has been due for {waited:.0f} s"


def vault_probe(settings: Settings) -> str:
    """Whether stored secrets can be used; call it on a thread."""
    close_old_connections()
    try:
        return vault.trouble(settings, limit=_TRIED) or "ok"
    except DatabaseError:
        return "ok"  # the database's own probe tells of it
