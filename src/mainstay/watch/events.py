"""What happens in watch."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mainstay.kernel.event import Event
from mainstay.kernel.subject import (
    Address,
    AlertOn,
    Code,
    Evidence,
    Labels,
    Message,
    Reason,
    Severity,
    Since,
    SuppressedBy,
    Trouble,
    Uid,
)

Previous = Annotated[str, "the state before"]
Downtime = Annotated[float | None, "seconds that it was down, if any"]
Seconds = Annotated[float, "seconds that it was gone"]


class Fall(Trouble, kw_only=True):
    """A monitor is not well."""

    previous: Previous
    downtime: Downtime = None
    flapping: Annotated[str | None, "how often it went down, if flapping starts with this"] = None


class MonitorWentDown(Fall, kw_only=True):
    """Confirmed failing."""

    kind, icon, title = "monitor.went_down", "down", "Went down"


class MonitorWentDegraded(Fall, kw_only=True):
    """Working, but outside its limits."""

    kind, icon, title = "monitor.went_degraded", "degraded", "Became degraded"


class MonitorWentUnknown(Fall, kw_only=True):
    """Its state cannot be determined."""

    kind, icon, title = "monitor.went_unknown", "unknown", "Became unknown"


class MonitorStayedDown(Fall, kw_only=True):
    """Still failing after the parent that suppressed it came back, or after flapping."""

    kind, icon, title = "monitor.stayed_down", "down", "Still down"


class MonitorStayedDegraded(Fall, kw_only=True):
    """Still outside its limits after flapping."""

    kind, icon, title = "monitor.stayed_degraded", "degraded", "Still degraded"


class Move(Event, kw_only=True):
    """A monitor is in another state, and nothing is wrong with that."""

    uid: Uid
    severity: Severity
    labels: Labels
    address: Address
    alert_on: AlertOn
    code: Code
    message: Message
    evidence: Evidence
    previous: Previous
    since: Since
    reason: Reason
    suppressed_by: SuppressedBy
    downtime: Downtime = None


class MonitorWentUp(Move, kw_only=True):
    """Working again, or for the first time."""

    kind, icon, title, over = "monitor.went_up", "up", "Is up", "it works again"
    ends: Annotated[str | None, "why its alert is resolved, if not because it works again"] = msgspec.field(
        default=None, name="over"
    )


class MonitorWentPaused(Move, kw_only=True):
    """Paused by a person."""

    kind, icon, title, over = "monitor.went_paused", "paused", "Paused", "the monitor was paused"
    by: Annotated[str, "who paused it"]


class MonitorResumed(Move):
    """No longer paused; it waits for its next result."""

    kind, icon, title = "monitor.resumed", "play", "Resumed"


class MonitorWentMaintenance(Move, kw_only=True):
    """A maintenance window covers it."""

    kind, icon, title = "monitor.went_maintenance", "maintenance", "Maintenance started"
    window: Annotated[str, "the window's name"]
    aside: Annotated[str, "why notifications are held back meanwhile"]


class MonitorHistoryErased(Event):
    """A person deleted all of its results up to then."""

    kind, icon, title = "monitor.history_erased", "trash", "History erased"
    uid: Uid


class Flapping(Event, kw_only=True):
    """How often a monitor changes its state."""

    uid: Uid
    severity: Severity
    labels: Labels
    message: Annotated[str | None, "how often it went down"] = None


class MonitorFlappingStarted(Flapping):
    """It goes down too often; recoveries are held back."""

    kind, icon, title = "monitor.flapping_started", "degraded", "Flapping"


class MonitorFlappingStopped(Flapping):
    """It no longer flaps."""

    kind, icon, title = "monitor.flapping_stopped", "up", "No longer flapping"


class UplinkLost(Trouble):
    """The machine itself has no network; results are unknown."""

    kind, icon, title = "uplink.lost", "unknown", "Network lost"


class UplinkRestored(Event):
    """The network is back."""

    kind, icon, title, over = "uplink.restored", "up", "Network is back", "it is back"
    since: Annotated[float, "when it was back"]
    seconds: Seconds


class LocationWentSilent(Trouble, kw_only=True):
    """A location that checks are made from has stopped reporting."""

    kind, icon, title = "location.went_silent", "down", "Location went silent"
    version: Annotated[str, "of Mainstay, as its prober said"]


class LocationCameBack(Event):
    """A location that checks are made from reports again, or for the first time."""

    kind, icon, title, over = "location.came_back", "up", "Location reports again", "it reports again"
    uid: Uid
    severity: Severity
    labels: Labels
    address: Address
    previous: Previous
    seconds: Seconds


EVENTS = (
    MonitorWentDown,
    MonitorWentDegraded,
    MonitorWentUp,
    MonitorWentUnknown,
    MonitorWentPaused,
    MonitorResumed,
    MonitorWentMaintenance,
    MonitorStayedDown,
    MonitorStayedDegraded,
    MonitorHistoryErased,
    MonitorFlappingStarted,
    MonitorFlappingStopped,
    UplinkLost,
    UplinkRestored,
    LocationWentSilent,
    LocationCameBack,
)
