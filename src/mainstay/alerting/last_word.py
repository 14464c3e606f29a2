"""The last word: what channels are told directly while this server cannot write, and so cannot tell of any alert.

Only `remember` reads the database; the rest works from what it gave, and never waits for a store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.alerting import declared
from mainstay.alerting.handover import look_up_secrets
from mainstay.alerting.routing import find_routes
from mainstay.kernel.clock import to_iso
from mainstay.kernel.ports import Notification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.spec import ChannelSpec
    from mainstay.kernel.settings import Settings

_SEVERITY = "P0"  # nothing else reaches anybody meanwhile
_NAME = "storage"  # as of an alert about `mainstay/storage`
_LABELS = {"mainstay": _NAME, "severity": _SEVERITY}


@dataclass(frozen=True, slots=True)
class Outage:
    """`id` stays from its first message to its last; `since` and `until` are epoch seconds."""

    id: str
    server: str
    since: float
    wrong: Mapping[str, str]  # part of the server -> what is wrong with it
    until: float | None = None


def remember(settings: Settings) -> dict[str, ChannelSpec]:
    """The channels that the routes name for an alert about Mainstay itself, else all; call it on a thread.

    Secrets from the vault are looked at as well, so that they are in memory when they are needed.
    """
    channels = declared.channels()
    routed = find_routes(declared.routes(), list(channels), _LABELS).channels
    chosen = [name for name in routed if name in channels] or list(channels)
    for name in chosen:
        look_up_secrets(channels[name], settings)
    return {name: channels[name] for name in chosen}


def message(trouble: Outage, settings: Settings) -> Notification:
    """What is wrong, since when, on which server and what to do; or that it is over, once `until` is set."""
    over = trouble.until is not None
    wrong = "; ".join(f"{name}: {answer}" for name, answer in trouble.wrong.items())[:1000]
    summary = f"None of its alerts reach anybody until this is resolved: {wrong}"
    advice = f"{_advice(settings)} What was found meanwhile waits in memory and is written and reported afterwards."
    evidence = {
        "reason": "it cannot write to its database",
        "error": wrong,
        "address": settings.base_url,
        "details": {},
    }
    evidence |= {"ended": "it can write again"} if over else {"description": advice}
    alert = {
        "id": trouble.id,
        "monitor": _NAME,
        "kind": "mainstay",
        "severity": _SEVERITY,
        "labels": {**_LABELS, "server": trouble.server},
        "since": to_iso(trouble.since),
        "until": None if trouble.until is None else to_iso(trouble.until),
        "title": f"Mainstay on {trouble.server} cannot record or report what happens",
        "summary": "It can write again, and reports what waited." if over else summary,
    }
    links = {"alert": f"{settings.base_url}/health/"}
    if over:
        return Notification(f"{trouble.id}-over", "resolved", alert, evidence, links, thread=trouble.id)
    return Notification(trouble.id, "firing", alert, evidence, links)


def _advice(settings: Settings) -> str:
    if settings.database:
        return "Check whether PostgreSQL responds and has disk space, and read this server's log."
    return (
        f"Check whether the disk of {settings.data} is full and whether another program holds the database there, and "
        "read this server's log."
    )
