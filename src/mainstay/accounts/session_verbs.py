"""Sessions of people: when each was last used, and the end of those that came by a way that is closed now."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection

from mainstay.accounts import policies, queries
from mainstay.accounts.events import UserSessionsEnded
from mainstay.accounts.models import User
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.clock import Clock
from mainstay.kernel.errors import StoreBusy
from mainstay.store.work import unit_of_work

_NOTE_SECONDS = 60.0
_KEPT = 1000
_noted: dict[str, float] = {}
_lock = threading.Lock()
_notes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="session-use")


def note_use(key: str, address: str) -> None:
    """Write down, at most once a minute and on another thread than the request's, that a session is in use."""
    moment = time.monotonic()
    with _lock:
        if moment - _noted.get(key, -_NOTE_SECONDS) < _NOTE_SECONDS:
            return
        if len(_noted) >= _KEPT:
            _noted.clear()
        _noted[key] = moment
    _notes.submit(_write_use, key, address)


def _write_use(key: str, address: str) -> None:
    with suppress(StoreBusy), unit_of_work(system("accounts"), quiet=True) as work:
        seen = {"last_seen_at": datetime.fromtimestamp(work.now, UTC), **({"ip": address} if address else {})}
        UserSession.objects.filter(session_key=key).update(**seen)
    # This thread serves no request, so nothing else would give its connection back.
    connection.close()


def end_other_ways(actor: Actor, *, shown: bool = False) -> int:
    """Where single sign-on is the only way in, end the sessions that came by another; how many.

    None is ended before an administrator is in by single sign-on: until then it has not been shown to work, and they
    may be what mends it. shown: one is coming in now. Sessions of a recovery link stay for the time that it gives.
    """
    actor.require("users:write")
    if not policies.only_sso():
        return 0
    with unit_of_work(actor) as work:
        now = work.now
        visits = {row: queries.visit_of(_stored(row.session_key), "") for row in UserSession.objects.all()}
        admins = set(User.objects.filter(role="admin", is_active=True).values_list("pk", flat=True))
        if not shown and not any(row.user_id in admins and visit.provider for row, visit in visits.items()):
            return 0
        others = [row for row, visit in visits.items() if not visit.provider and not queries.recovered(visit, now)]
        keys = [row.session_key for row in others]
        Session.objects.filter(session_key__in=keys).delete()
        UserSession.objects.filter(session_key__in=keys).delete()
        if others:
            people = len({row.user_id for row in others})
            work.record(UserSessionsEnded("user", len(others), people))
    return len(others)


def bring_expiries_back(actor: Actor, clock: Clock | None = None) -> int:
    """Sessions that began while the clock was ahead last as long as they were meant to, from now on; how many."""
    actor.require("users:write")
    with unit_of_work(actor, clock, quiet=True) as work:
        latest = datetime.fromtimestamp(work.now + settings.SESSION_COOKIE_AGE, UTC)
        return Session.objects.filter(expire_date__gt=latest).update(expire_date=latest)


def _stored(key: str) -> dict[str, object]:
    loaded: dict[str, object] = import_module(settings.SESSION_ENGINE).SessionStore(key).load()
    return loaded
