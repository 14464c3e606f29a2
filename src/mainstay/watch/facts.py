"""From a declared monitor to what is known of it without any result."""

from __future__ import annotations

import hashlib

from mainstay.kernel.resource import Resource
from mainstay.watch.board import Watched
from mainstay.watch.reach import Reach, reach_of
from mainstay.watch.rules import policy_of
from mainstay.watch.spec import MonitorSpec
from mainstay.watch.telling import Facts
from mainstay.watch.votes import Terms


def facts_of(resource: Resource, spec: MonitorSpec | None = None) -> Facts:
    monitor: MonitorSpec = spec or resource.spec
    return Facts(
        uid=resource.uid,
        name=resource.name,
        kind=monitor.check.name,
        severity=monitor.severity,
        labels=monitor.labels,
        address=monitor.address,
        alert_on=tuple(monitor.alert_on),
    )


def watched_of(resource: Resource, spec: MonitorSpec) -> Watched:
    return Watched(
        facts=facts_of(resource, spec),
        policy=policy_of(spec),
        parents=tuple(spec.parents),
        reach=Reach("loopback") if spec.check.local else reach_of(spec.address),
        share=share_of(resource.uid),
        inverted=spec.inverted,
    )


def terms_of(spec: MonitorSpec, here: str) -> Terms | None:
    """How its locations vote; None if this server alone checks it, and nothing is to be voted on."""
    if not spec.locations or spec.locations == (here,):
        return None
    silence = 3 * spec.every + spec.timeout
    confirm = spec.confirm
    return Terms(spec.locations, spec.agreeing, confirm.elsewhere, confirm.failures, spec.every, silence)


def share_of(uid: str, purpose: str = "slot") -> float:
    """A number from 0 up to 1 that a uid always has: jitter that survives restarts."""
    digest = hashlib.blake2b(f"{purpose}:{uid}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
