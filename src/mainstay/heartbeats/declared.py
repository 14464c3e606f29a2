"""From a stored resource to what pings and deadlines need of it."""

from __future__ import annotations

from mainstay.heartbeats.directory import Entry, slug_of
from mainstay.heartbeats.rules import Rhythm
from mainstay.heartbeats.spec import HeartbeatSpec
from mainstay.kernel.resource import Resource
from mainstay.kernel.schedule import Schedule

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


def rhythm_of(spec: HeartbeatSpec) -> Rhythm:
    schedule = Schedule(cron=spec.cron, timezone=spec.timezone) if spec.cron else Schedule(every=spec.every or 0.0)
    return Rhythm(schedule, spec.grace, spec.enabled)


def entry_of(resource: Resource, ping_uuid: str) -> Entry:
    spec = spec_of(resource)
    return Entry(
        resource.uid,
        resource.name,
        ping_uuid,
        slug_of(resource.name),
        rhythm_of(spec),
        spec.severity,
        dict(spec.labels),
    )
