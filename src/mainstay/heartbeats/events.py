"""What happens in heartbeats."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event
from mainstay.kernel.subject import Code, Evidence, Labels, Message, Reason, Severity, Since, SuppressedBy, Trouble, Uid

Previous = Annotated[str, "the state before"]
Downtime = Annotated[float | None, "seconds that it was down, if any"]
Schedule = Annotated[str, "when it is due to report in"]


class HeartbeatWentDown(Trouble, kw_only=True):
    """A deadline passed, or a failure was reported."""

    kind, icon, title = "heartbeat.went_down", "down", "Went down"
    previous: Previous
    downtime: Downtime = None


class Move(Event, kw_only=True):
    """A heartbeat is in another state, and nothing is known to be wrong with that."""

    uid: Uid
    severity: Severity
    labels: Labels
    address: Schedule
    previous: Previous
    since: Since
    reason: Reason
    code: Code
    message: Message
    evidence: Evidence
    suppressed_by: SuppressedBy
    downtime: Downtime = None


class HeartbeatWentUp(Move):
    """A success was reported."""

    kind, icon, title, over = "heartbeat.went_up", "up", "Reported success", "it works again"


class HeartbeatWentUnknown(Move):
    """A ping may have been missed through no fault of the job."""

    kind, icon, title = "heartbeat.went_unknown", "unknown", "Became unknown"


class HeartbeatWentPaused(Move):
    """Paused by a person or by its declaration."""

    kind, icon, title, over = "heartbeat.went_paused", "paused", "Paused", "the heartbeat was paused"


class HeartbeatCreatedByPing(Event):
    """A ping with create=1 created it."""

    kind, icon, title = "heartbeat.created_by_ping", "plus", "Created by its first ping"
    slug: Annotated[str, "the name in the address that was pinged"]


class PingKeyRotated(Event):
    """A new ping key was created; the old one stops working."""

    kind, icon, title = "token.ping_key_rotated", "refresh", "New ping key created"


EVENTS = (
    HeartbeatWentDown,
    HeartbeatWentUp,
    HeartbeatWentUnknown,
    HeartbeatWentPaused,
    HeartbeatCreatedByPing,
    PingKeyRotated,
)
