"""What happens in alerting."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from mainstay.kernel.event import Event

Reason = Annotated[str, "why"]
Attempts = Annotated[int, "how often it was tried"]
Error = Annotated[str, "what the channel said last"]
Level = Annotated[str, "unknown, degraded or down"]
Severity = Annotated[str, "P0 to P3"]


class AlertEvent(Event, kw_only=True):
    """Of an alert; its subject stands in the data too."""

    alert: Annotated[str, "its id"]
    monitor: Annotated[str, "the name of what it is about"]

    @property
    def data(self) -> dict[str, Any]:
        return super().data | {"subject": self.subject}


class AlertFired(AlertEvent, kw_only=True):
    """An alert opened."""

    kind, icon, title = "alert.fired", "alerts", "Alert opened"
    severity: Severity
    level: Level
    labels: Annotated[dict[str, str], "what it is routed by"]
    suppressed: Annotated[bool, "whether nobody is woken, because something else explains it"]
    why: Annotated[str | None, "why nobody is woken, if so"] = None


class Changed(AlertEvent, kw_only=True):
    """It is as bad as it was no more."""

    level: Level
    severity: Severity
    was: Annotated[dict[str, str], "level and severity before"]
    reason: Reason


class AlertEscalated(Changed):
    """An open alert got worse."""

    kind, icon, title = "alert.escalated", "down", "Got worse"


class AlertEased(Changed):
    """An open alert got milder."""

    kind, icon, title = "alert.eased", "degraded", "Got milder"


class AlertUnsuppressed(AlertEvent, kw_only=True):
    """Its parent is back and it still fails, so people are told now."""

    kind, icon, title = "alert.unsuppressed", "alerts", "No longer explained by its parent"
    suppressed_by: Annotated[str, "what explained it"]


class AlertTold(AlertEvent, kw_only=True):
    """The stages let it pass, and these channels are told."""

    kind, icon, title = "alert.told", "channels", "Channels chosen"
    channels: Annotated[list[str], "the channels that are told"]
    why: Reason


class AlertHeld(AlertEvent, kw_only=True):
    """A stage holds back what there is to tell, until its reason is gone."""

    kind, icon, title = "alert.held", "mute", "Held back"
    stage: Annotated[str, "the stage that does"]
    reason: Reason
    news: Annotated[str, "what there is to tell"]


class AlertResolved(AlertEvent, kw_only=True):
    """The cause is gone, or a person closed it."""

    kind, icon, title = "alert.resolved", "up", "Alert closed"
    reason: Reason
    seconds_open: Annotated[float, "seconds"]


class AlertAcknowledged(AlertEvent):
    """A person took it."""

    kind, icon, title = "alert.acknowledged", "check", "Acknowledged"


class AlertUnacknowledged(AlertEvent, kw_only=True):
    """Nobody has it any more."""

    kind, icon, title = "alert.unacknowledged", "cross", "Acknowledgement taken back"
    acknowledged_by: Annotated[str, "who had it"]


class AlertNoted(AlertEvent, kw_only=True):
    """A person wrote a note on it, or took it away."""

    kind, icon, title = "alert.noted", "edit", "Note"
    note: Annotated[str, "the note; empty if it was taken away"]


class AlertMuted(AlertEvent, kw_only=True):
    """No more notifications until a time."""

    kind, icon, title = "alert.muted", "mute", "Muted"
    until: Annotated[str, "when it ends"]


class AlertUnmuted(AlertEvent, kw_only=True):
    """Notifications again, by a person or because the time is over."""

    kind, icon, title = "alert.unmuted", "alerts", "No longer muted"
    reason: Reason


class NotificationEvent(Event, kw_only=True):
    """Of one message to one channel."""

    notification: Annotated[str, "its id"]
    alert: Annotated[str | None, "the alert that it is about, if it is about one"]
    channel: Annotated[str, "the channel's name"]


class Attempted(NotificationEvent, kw_only=True):
    """It was handed to the channel."""

    message: Annotated[str, "what it says: firing, resolved or report"] = msgspec.field(name="kind")
    attempts: Attempts


class NotificationDelivered(Attempted, kw_only=True):
    """A channel accepted it."""

    kind, icon, title = "notification.delivered", "channels", "Delivered"
    seconds: Annotated[float, "seconds since it was written"]


class NotificationRefused(Attempted, kw_only=True):
    """A channel refused it for good."""

    kind, icon, title = "notification.refused", "down", "Refused"
    error: Error


class NotificationExpired(Attempted, kw_only=True):
    """It could not be delivered in time."""

    kind, icon, title = "notification.expired", "down", "Never delivered"
    error: Error


class NotificationSuppressed(NotificationEvent, kw_only=True):
    """It was held back on purpose."""

    kind, icon, title = "notification.suppressed", "mute", "Held back"
    reason: Reason


class NotificationCancelled(NotificationEvent, kw_only=True):
    """It became pointless."""

    kind, icon, title = "notification.cancelled", "cross", "Cancelled"
    reason: Reason


class ChannelTested(Event):
    """A test notification was sent."""

    kind, icon, title = "channel.tested", "channels", "Test sent"
    channel: Annotated[str, "the channel's name"]
    outcome: Annotated[str, "delivered or failed"]
    error: Annotated[str | None, "why it failed"] = None


EVENTS = (
    AlertFired,
    AlertEscalated,
    AlertEased,
    AlertUnsuppressed,
    AlertTold,
    AlertHeld,
    AlertResolved,
    AlertAcknowledged,
    AlertUnacknowledged,
    AlertNoted,
    AlertMuted,
    AlertUnmuted,
    NotificationDelivered,
    NotificationRefused,
    NotificationExpired,
    NotificationSuppressed,
    NotificationCancelled,
    ChannelTested,
)
