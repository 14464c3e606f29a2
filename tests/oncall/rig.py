"""A small team on duty, declared, for the tests of on-call."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from mainstay.kernel.actor import Actor, system
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare_all

EVERYTHING = system("test")
LEAD = Actor("user", "lead@example.com", frozenset({"oncall:read"}))
DEPUTY = Actor("user", "deputy@example.com", frozenset({"oncall:read"}))
STRANGER = Actor("user", "stranger@example.com", frozenset({"oncall:read"}))
PLANNER = Actor("user", "planner@example.com", frozenset({"oncall:read", "oncall:write"}))
NOBODY = Actor("user", "lead@example.com", frozenset())


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def declare_team() -> None:
    """`lead` and `deputy` take turns from 2026-12-07 09:00 in Berlin, week by week, in `primary`."""
    turns = {"rotation": "weekly", "handover": "mon 09:00", "from": "2026-12-07", "people": ["lead", "deputy"]}
    contact = [{"ntfy": "lead-alerts"}, {"email": {}, "after": "3m"}]
    lead = {"email": "lead@example.com", "phone": "+4915112345678", "contact": contact}
    declare_all(
        EVERYTHING,
        [
            ("person", "lead", lead),
            ("person", "deputy", {"email": "deputy@example.com", "timezone": "Europe/Berlin"}),
            ("schedule", "primary", {"timezone": "Europe/Berlin", "layers": [turns]}),
        ],
        manager="file",
    )


def told(kind: str) -> list[dict[str, object]]:
    """The data of each event of this kind, oldest first."""
    return [entry.data for entry in entries(Filter(kind=kind), newest_first=False)]
