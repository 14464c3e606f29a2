"""Time charged to heartbeats, so that they have uptime and bars as monitors do. Pure but for `standing`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mainstay.heartbeats.models import HeartbeatRow
from mainstay.watch.results.values import Charge, Sample

_CHARGES: Mapping[str, Charge] = {"up": "up", "down": "down", "paused": "paused"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a heartbeat is, and since when (epoch seconds)."""

    uid: str
    charge: Charge
    since: float


def standing() -> list[Standing]:
    """Every heartbeat as it stands now; one that never reported in is unknown."""
    rows = HeartbeatRow.objects.values_list("uid", "state", "since")
    return [Standing(uid, _CHARGES.get(state, "unknown"), since) for uid, state, since in rows]


def charges(before: Mapping[str, Charge], now: Iterable[Standing], began: float, at: float) -> list[Sample]:
    """Samples for the time from `began` to `at`. Who changed in between is charged in two parts.

    before: uid -> what it was at `began`; one that was not there then is charged from its `since` only.
    """
    samples = []
    for one in now:
        turned = min(max(one.since, began), at)
        earlier = before.get(one.uid)
        if earlier == one.charge:
            turned = began
        elif earlier is not None and turned > began:
            samples.append(_sample(one.uid, earlier, turned, turned - began))
        if at > turned:
            samples.append(_sample(one.uid, one.charge, at, at - turned))
    return samples


def _sample(uid: str, charge: Charge, at: float, seconds: float) -> Sample:
    verdict = charge if charge in ("up", "down") else "unknown"
    return Sample(uid=uid, at=at, verdict=verdict, duration=0.0, charge=charge, charged=seconds)
