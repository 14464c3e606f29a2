"""From a stored resource to what pings and deadlines need of it."""

from __future__ import annotations

from mainstay.heartbeats.directory import KnownHeartbeat, key_hash, slug_of
from mainstay.heartbeats.rules import Rhythm
from mainstay.heartbeats.spec import HeartbeatSpec, Keywords
from mainstay.kernel.resource import Resource
from mainstay.kernel.schedule import Schedule

_NO_KEYWORDS = Keywords()
# Validating ten thousand specs takes a second, and between two looks hardly any of them has changed.
_known: dict[str, tuple[int, HeartbeatSpec]] = {}


def spec_of(resource: Resource) -> HeartbeatSpec:
    found = _known.get(resource.uid)
    if found is not None and found[0] == resource.revision:
        return found[1]
    spec: HeartbeatSpec = resource.spec
    if len(_known) > 100_000:
        _known.clear()
    _known[resource.uid] = (resource.revision, spec)
    return spec


def labels_of(resource: Resource) -> dict[str, str]:
    """The labels that its alerts carry."""
    spec = spec_of(resource)
    return {**spec.labels, "heartbeat": resource.name, "severity": spec.severity}


def rhythm_of(spec: HeartbeatSpec) -> Rhythm:
    schedule = Schedule(spec.every or 0.0, spec.cron or "", spec.timezone, spec.on_calendar or "")
    return Rhythm(schedule, spec.grace, spec.enabled, spec.manual_resume, spec.early, spec.start_within)


def entry_of(resource: Resource, ping_uuid: str, push_token: str = "") -> KnownHeartbeat:
    """`push_token` as it was resolved; empty: none."""
    spec = spec_of(resource)
    return KnownHeartbeat(
        resource.uid,
        resource.name,
        ping_uuid,
        slug_of(resource.name) if spec.slug is None else spec.slug,
        rhythm_of(spec),
        spec.severity,
        dict(spec.labels),
        spec.title,
        spec.methods == "POST",
        spec.keywords if spec.keywords != _NO_KEYWORDS else None,
        key_hash(push_token) if push_token else "",
    )
