"""Alerts of one source as Opsgenie's API shows them."""

from __future__ import annotations

import uuid
from typing import Any

from mainstay.kernel.clock import to_iso
from mainstay.sources.directory import Source
from mainstay.sources.queries import Outside, known_alerts, open_alerts, rows_of
from mainstay.sources.rules import fingerprint


def alert_id(key: str) -> str:
    """A UUID that begins with the fingerprint."""
    return str(uuid.UUID(key.ljust(32, "0")))


def _key(source: Source, name: str, kind: str) -> str:
    if kind == "alias":
        return fingerprint({"source": source.name, "key": name})
    return name.replace("-", "")[:16] if kind == "id" else name[:16]


def named(source: Source, key: str) -> str | None:
    """The alias of the alert with this fingerprint, if it is of this source."""
    row = rows_of([key]).get(key)
    return row.key if row is not None and row.uid == source.uid else None


def known(source: Source, name: str, kind: str) -> str | None:
    """The alias of what a client names by id, alias or tiny id; None if nothing is known by it."""
    return name if kind == "alias" else named(source, _key(source, name, kind))


def found_by(source: Source, name: str, kind: str) -> dict[str, Any] | None:
    found = known_alerts(source.uid, [_key(source, name, kind)])
    return _shown(source, found[0]) if found else None


def listing(source: Source, query: str, _limit: int) -> list[dict[str, Any]]:
    """The open ones, the newest first; of `query` only `status:` and plain words are read."""
    words = query.lower().split()
    if any(word in ("status:closed", "status=closed") for word in words):
        return []
    plain = [word for word in words if ":" not in word and "=" not in word and word not in ("and", "or")]
    found = [one for one in open_alerts() if one.source == source.name]
    found.sort(key=lambda one: -one.alert.opened_at)
    shown = [_shown(source, one) for one in found]
    return [one for one in shown if all(word in one["message"].lower() for word in plain)]


def _shown(source: Source, one: Outside) -> dict[str, Any]:
    alert = one.alert
    return {
        "id": alert_id(one.fingerprint),
        "tinyId": one.fingerprint,
        "alias": one.key,
        "message": alert.title,
        "status": "open" if alert.is_open else "closed",
        "acknowledged": alert.acknowledged_at is not None,
        "isSeen": alert.acknowledged_at is not None,
        "tags": [tag for tag in one.labels.get("tags", "").split(",") if tag],
        "snoozed": alert.muted_until is not None and alert.is_open,
        "snoozedUntil": to_iso(alert.muted_until) if alert.muted_until is not None else None,
        "count": 1,
        "lastOccurredAt": to_iso(one.updated_at),
        "createdAt": to_iso(alert.opened_at),
        "updatedAt": to_iso(one.updated_at),
        "source": one.labels.get("source", ""),
        "owner": alert.acknowledged_by,
        "priority": one.labels.get("priority", alert.severity),
        "responders": [],
        "integration": {"id": source.uid, "name": source.name, "type": "API"},
        "entity": one.labels.get("entity", ""),
        "description": alert.message,
        "details": dict(one.annotations),
    }
