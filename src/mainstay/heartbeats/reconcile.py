"""Rows in step with what is declared: made, redeclared and removed in the transaction of the apply itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict

import structlog

from mainstay.heartbeats.deadlines import condition_of
from mainstay.heartbeats.declared import entry_of, spec_of
from mainstay.heartbeats.models import HeartbeatRow, PingRow
from mainstay.heartbeats.rules import Condition, pause, redeclare
from mainstay.heartbeats.transitions import tell
from mainstay.kernel.resource import Resource
from mainstay.store.resources.queries import resources
from mainstay.store.work import Work

log = structlog.get_logger("heartbeats")


def reconcile(work: Work, changed: Iterable[str] | None = None) -> None:
    """Make, adapt and remove rows. `changed` holds the uids that a revision touched (None: look at all)."""
    wanted = None if changed is None else set(changed)
    declared = {
        resource.uid: resource for resource in resources("heartbeat") if wanted is None or resource.uid in wanted
    }
    rows = HeartbeatRow.objects.all() if wanted is None else HeartbeatRow.objects.filter(uid__in=wanted)
    present = {row.uid: row for row in rows.select_for_update()}
    _remove([uid for uid in present if uid not in declared])
    for uid, resource in sorted(declared.items()):
        row = present.get(uid)
        if row is None:
            _make(work, resource)
        else:
            _adapt(work, row, resource)


def _make(work: Work, resource: Resource) -> None:
    row = HeartbeatRow(uid=resource.uid, since=work.now, ping_uuid=_address(resource, ""))
    _settle(work, row, resource)
    if spec_of(resource).begins_paused and row.state != "paused":
        _put(row, pause(condition_of(row), work.now, "person").condition)
    row.save(force_insert=True)


def _adapt(work: Work, row: HeartbeatRow, resource: Resource) -> None:
    before = (row.ping_uuid, row.slug, row.signature, row.state, row.paused_by)
    row.ping_uuid = _address(resource, row.ping_uuid)
    _settle(work, row, resource)
    if before != (row.ping_uuid, row.slug, row.signature, row.state, row.paused_by):
        row.save()


def _settle(work: Work, row: HeartbeatRow, resource: Resource) -> None:
    """Bring slug, signature and condition to what the spec says."""
    entry = entry_of(resource, row.ping_uuid)
    row.slug = entry.slug
    paused = row.paused_by == "declaration"
    if row.signature == entry.rhythm.signature and paused != entry.rhythm.enabled:
        return
    row.signature = entry.rhythm.signature
    before = condition_of(row)
    decision = redeclare(before, entry.rhythm, work.now)
    _put(row, decision.condition)
    tell(work, entry, before, decision)


def _put(row: HeartbeatRow, condition: Condition) -> None:
    for name, value in asdict(condition).items():
        setattr(row, name, value)


def _address(resource: Resource, current: str) -> str:
    """The declared uuid, unless another heartbeat has it; else the current one, else a new one."""
    declared = resource.document.get("uuid")
    if declared is None:
        return current or str(uuid.uuid4())
    wanted = str(uuid.UUID(str(declared)))
    if HeartbeatRow.objects.filter(ping_uuid=wanted).exclude(uid=resource.uid).exists():
        log.warning("another heartbeat has this uuid, so it is not used", heartbeat=resource.name)
        return current if current and current != wanted else str(uuid.uuid4())
    return wanted


def _remove(uids: list[str]) -> None:
    for start in range(0, len(uids), 500):
        some = uids[start : start + 500]
        PingRow.objects.filter(heartbeat__in=some).delete()
        HeartbeatRow.objects.filter(uid__in=some).delete()
