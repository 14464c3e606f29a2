"""Rows in step with what is declared: made, redeclared and removed when it is applied."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import structlog

from mainstay.heartbeats.deadlines import condition_of
from mainstay.heartbeats.declared import entry_of, spec_of
from mainstay.heartbeats.models import HeartbeatRow, PingRow
from mainstay.heartbeats.rules import Condition, pause, redeclare
from mainstay.heartbeats.transitions import tell
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.kernel.resource import Resource
from mainstay.store.resources.queries import by_uids, resources
from mainstay.store.work import Work, unit_of_work

log = structlog.get_logger("heartbeats")


def behind() -> list[str]:
    """The uids of heartbeats whose rows are missing, are not as declared, or of a heartbeat that is gone."""
    rows = {row[0]: row for row in HeartbeatRow.objects.values_list("uid", "slug", "signature", "paused_by")}
    declared = {resource.uid: resource for resource in resources("heartbeat")}
    found = [uid for uid in rows if uid not in declared]
    for uid, resource in declared.items():
        entry = entry_of(resource, "")
        paused = uid in rows and rows[uid][3] == "declaration"
        if uid not in rows or rows[uid][1:3] != (entry.slug, entry.rhythm.signature) or paused == entry.rhythm.enabled:
            found.append(uid)
    return found


def reconcile(actor: Actor, uids: Sequence[str], clock: Clock | None = None) -> None:
    """Make, adapt and remove the rows of these heartbeats."""
    for resource in by_uids(uids):
        if resource.kind == "heartbeat":
            spec_of(resource)  # read before the turn to write is taken, which is to be short
    with unit_of_work(actor, clock) as work:
        _reconcile(work, uids)


def _reconcile(work: Work, uids: Sequence[str]) -> None:
    declared = {resource.uid: resource for resource in by_uids(uids) if resource.kind == "heartbeat"}
    present = {row.uid: row for row in HeartbeatRow.objects.filter(uid__in=uids).order_by("uid").select_for_update()}
    _remove([uid for uid in present if uid not in declared])
    addresses = _Addresses(declared.values())
    made = []
    for uid, resource in sorted(declared.items()):
        row = present.get(uid)
        if row is None:
            made.append(_make(work, resource, addresses))
        else:
            _adapt(work, row, resource, addresses)
    HeartbeatRow.objects.bulk_create(made)


def _make(work: Work, resource: Resource, addresses: _Addresses) -> HeartbeatRow:
    row = HeartbeatRow(uid=resource.uid, since=work.now, ping_uuid=addresses.of(resource, ""))
    _settle(work, row, resource)
    if spec_of(resource).begins_paused and row.state != "paused":
        _put(row, pause(condition_of(row), work.now, "person").condition)
    return row


def _adapt(work: Work, row: HeartbeatRow, resource: Resource, addresses: _Addresses) -> None:
    before = (row.ping_uuid, row.slug, row.signature, row.state, row.paused_by)
    row.ping_uuid = addresses.of(resource, row.ping_uuid)
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


class _Addresses:
    """Who has the addresses that are declared, as far as these resources declare any."""

    def __init__(self, declared: Iterable[Resource]) -> None:
        wanted = {_declared_address(resource) for resource in declared} - {""}
        self._taken: dict[str, set[str]] = {}
        for address, uid in HeartbeatRow.objects.filter(ping_uuid__in=wanted).values_list("ping_uuid", "uid"):
            self._taken.setdefault(address, set()).add(uid)

    def of(self, resource: Resource, current: str) -> str:
        """The declared one, unless another heartbeat has it; else the current one, else a new one."""
        wanted = _declared_address(resource)
        if not wanted:
            return current or str(uuid.uuid4())
        if self._taken.get(wanted, set()) - {resource.uid}:
            log.warning("another heartbeat has this uuid, so it is not used", heartbeat=resource.name)
            return current if current and current != wanted else str(uuid.uuid4())
        self._taken.setdefault(wanted, set()).add(resource.uid)
        return wanted


def _declared_address(resource: Resource) -> str:
    declared = resource.document.get("uuid")
    return "" if declared is None else str(uuid.UUID(str(declared)))


def _remove(uids: list[str]) -> None:
    for start in range(0, len(uids), 500):
        some = uids[start : start + 500]
        PingRow.objects.filter(heartbeat__in=some).delete()
        HeartbeatRow.objects.filter(uid__in=some).delete()
