"""Telling the journal that something was handed out: exports, and addresses that are permissions themselves."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict

from mainstay.kernel.actor import Actor
from mainstay.store.events import HeartbeatAddressesShown, HeartbeatAddressShown, JournalExported
from mainstay.store.journal import Filter
from mainstay.store.work import unit_of_work

_DAY = 86_400
_KEPT = 10_000  # disclosures that are remembered as told
_told: set[tuple[str, str, int]] = set()
_lock = threading.Lock()


def note_export(actor: Actor, wanted: Filter, how: str) -> None:
    """`how`: page, api or command."""
    actor.require("journal:export")
    asked = {name: value for name, value in asdict(wanted).items() if value not in ("", None, 0)}
    with unit_of_work(actor) as work:
        work.record(JournalExported("journal", how, asked))


def note_address_shown(actor: Actor, name: str, uid: str, now: float) -> None:
    """Once a day for each person and heartbeat, as far as this process remembers."""
    actor.require_some("monitors:check")
    if not _is_told(actor, uid, now):
        with unit_of_work(actor) as work:
            work.record(HeartbeatAddressShown(f"heartbeat/{name}", uid))


def note_addresses_shown(actor: Actor, uids: Mapping[str, str], now: float) -> None:
    """Likewise of several at once, by name: one entry with their number, once a day for each person and number."""
    actor.require_some("monitors:check")
    if len(uids) == 1:
        note_address_shown(actor, *next(iter(uids.items())), now)
    elif uids and not _is_told(actor, str(len(uids)), now):
        with unit_of_work(actor) as work:
            work.record(HeartbeatAddressesShown("heartbeat", len(uids)))


def _is_told(actor: Actor, what: str, now: float) -> bool:
    """Whether it was told today; it counts as told from now on."""
    day = (str(actor), what, int(now // _DAY))
    with _lock:
        if day in _told:
            return True
        if len(_told) >= _KEPT:
            _told.clear()
        _told.add(day)
    return False
