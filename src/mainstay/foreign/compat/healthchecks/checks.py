"""Heartbeats in the words of Healthchecks, and the way back: finding, making and changing them.

A heartbeat without history of its own yet is `new`; one that is unknown (nobody could listen, maintenance) is
shown as `grace`: not late by its own fault, and not confirmed either.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.conf import settings

from mainstay.foreign.compat.healthchecks import integrations
from mainstay.foreign.compat.healthchecks.keys import Call
from mainstay.foreign.compat.healthchecks.wishes import DAY, HOUR, Wish, changed
from mainstay.heartbeats import queries
from mainstay.heartbeats.badges import check_badge_key
from mainstay.heartbeats.directory import slug_of
from mainstay.heartbeats.queries import HeartbeatView
from mainstay.kernel.errors import StalePlan
from mainstay.kernel.resource import NAME_LIMIT, check_name
from mainstay.store.resources import queries as resources
from mainstay.store.resources.apply import declare, remove
from mainstay.store.work import unit_of_work

# Two requests with the same `unique` must not make two checks.
_making = threading.Lock()


def isostring(at: float | None) -> str | None:
    """ISO 8601 in UTC without fractions, as the original writes times."""
    return None if at is None else datetime.fromtimestamp(int(at), UTC).isoformat()


def status(view: HeartbeatView, *, with_started: bool = False) -> str:
    """new, up, grace, down or paused; `started` before all others if asked for (version 1)."""
    if with_started and view.started:
        return "started"
    if view.state == "unknown":
        return "new" if view.reason == "resumed" else "grace"
    return "grace" if view.late else view.state


def shown(view: HeartbeatView, call: Call, channels: str) -> dict[str, Any]:
    """The check as the API gives it; `channels` is left out for read-only keys."""
    spec, words = view.spec, view.spec.keywords
    document: dict[str, Any] = {
        "name": view.title,
        "slug": view.slug,
        "tags": " ".join(spec.tags),
        "desc": spec.description,
        "grace": int(spec.grace),
        "n_pings": view.pings,
        "status": status(view, with_started=call.version == 1),
        "started": view.started,
        "last_ping": isostring(view.last_ping),
        "next_ping": isostring(view.due_at),
        "manual_resume": spec.manual_resume,
        "methods": spec.methods,
        "subject": words.success if words.subject else "",
        "subject_fail": words.failure if words.subject else "",
        "start_kw": words.start,
        "success_kw": words.success,
        "failure_kw": words.failure,
        "filter_subject": words.subject,
        "filter_body": words.body,
        "filter_http_body": words.http_body,
        "filter_default_fail": words.default_fail,
        "badge_url": f"{settings.MAINSTAY.base_url}/b/2/{check_badge_key(view.uid)}.svg",
    }
    if view.last_duration is not None:
        document["last_duration"] = int(view.last_duration)
    if call.readonly:
        document["unique_key"] = queries.unique_key_of(view.uuid)
    else:
        own = f"{settings.MAINSTAY.base_url}/api/v{call.version}/checks/{view.uuid}"
        document["uuid"] = view.uuid
        document["ping_url"] = view.ping_url
        document["update_url"] = own
        document["pause_url"] = f"{own}/pause"
        document["resume_url"] = f"{own}/resume"
        document["channels"] = channels
    if spec.every is None:
        document |= {"schedule": spec.cron or spec.on_calendar, "tz": spec.timezone}
    else:
        document["timeout"] = int(spec.every)
    return document


def everything() -> list[HeartbeatView]:
    """In the order in which they were declared."""
    return sorted(queries.heartbeats(), key=lambda view: view.uid)


def create(call: Call, wish: Wish) -> tuple[HeartbeatView, bool]:
    """The check that fits `unique`, changed, or a new one; True if it is new."""
    wanted = integrations.wanted(wish.channels)  # before anything is written
    with _making:
        found = _matching(wish)
        if found is not None:
            return _change(call, found, wish, wanted), False
        return _make(call, wish, wanted), True


def change(call: Call, view: HeartbeatView, wish: Wish) -> HeartbeatView:
    """Bring what the wish names, leave the rest."""
    return _change(call, view, wish, integrations.wanted(wish.channels))


def delete(call: Call, view: HeartbeatView) -> None:
    with unit_of_work(call.actor):
        integrations.unassign(call.actor, view)
        remove(call.actor, "heartbeat", view.name, manager="api", source=_source(call))


def _change(call: Call, view: HeartbeatView, wish: Wish, channels: list[str] | None) -> HeartbeatView:
    document = resources.resource("heartbeat", view.name).document
    after = changed(document, view.name, wish, call.version)
    with unit_of_work(call.actor):
        if wish.model_fields_set - {"channels", "unique"}:
            declare(call.actor, "heartbeat", view.name, after, manager="api", source=_source(call))
        integrations.assign(call.actor, view, channels)
    return queries.heartbeat(view.name)


def _make(call: Call, wish: Wish, channels: list[str] | None) -> HeartbeatView:
    for name in _names(wish):
        start = {"every": DAY, "grace": HOUR, "title": ""}
        # An unnamed check is unnamed; only addresses and labels need a word for it.
        document = changed(start, name, wish.model_copy(update={"name": wish.name or ""}), call.version)
        if call.version >= 3 and wish.slug is None:
            document["slug"] = ""
        try:
            with unit_of_work(call.actor):
                declare(call.actor, "heartbeat", name, document, manager="api", source=_source(call), expected=0)
                view = queries.heartbeat(name)
                integrations.assign(call.actor, view, channels)
        except StalePlan:  # the name is taken
            continue
        return queries.heartbeat(name)
    raise StalePlan("no free name was found for the check", hint="give it a name of its own")


def _names(wish: Wish) -> list[str]:
    """Names that a new heartbeat may get: the given one as it is, else made of letters that a name may hold."""
    given = wish.name or ""
    try:
        check_name(given)
        base = given
    except ValueError:
        base = (slug_of(given) or wish.slug or "").strip("-_")
    if not base:
        return [f"check-{uuid4().hex[:12]}"]
    taken = {one.name for one in resources.resources("heartbeat")}
    numbered = [base, *(f"{base[: NAME_LIMIT - 6].rstrip('-_.')}-{number}" for number in range(2, 10_000))]
    free = [name for name in numbered if name not in taken][:5]
    return [*free, f"check-{uuid4().hex[:12]}"]


def _matching(wish: Wish) -> HeartbeatView | None:
    """The first check that is like the wish in all fields of `unique`; None if one of them is not given."""
    fields = wish.unique or []
    if not fields or any(getattr(wish, field) is None for field in fields):
        return None
    wanted = {field: getattr(wish, field) for field in fields}
    return next((view for view in everything() if {field: _value(view, field) for field in fields} == wanted), None)


def _value(view: HeartbeatView, field: str) -> str | int | None:
    values: dict[str, str | int | None] = {
        "name": view.title,
        "slug": view.slug,
        "tags": " ".join(view.spec.tags),
        "timeout": None if view.spec.every is None else int(view.spec.every),
        "grace": int(view.spec.grace),
    }
    return values[field]


def _source(call: Call) -> str:
    return call.actor.name
