"""What happens in alerting."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from mainstay.kernel.event import Event

Reason = Annotated[str, "why"]
Attempts = Annotated[int, "number of attempts"]
Error = Annotated[str, "the channel's last answer"]
Level = Annotated[str, "unknown, degraded or down"]
Severity = Annotated[str, "P0 to P3"]


class AlertEvent(Event, kw_only=True):
    """Of an alert; its subject stands in the data too."""

    alert: Annotated[str, "its id"]
    monitor: Annotated[str, "the name of its subject"]

    @property
    def data(self) -> dict[str, Any]:
        return super().data | {"subject": self.subject}


class AlertFired(AlertEvent, kw_only=True):
    """An alert opened."""

    kind, icon, title = "alert.fired", "alerts", "Alert opened"
    severity: Severity
    level: Level
    labels: Annotated[dict[str, str], "what it is routed by"]
    suppressed: Annotated[bool, "whether notifications are suppressed because something else explains it"]
    why: Annotated[str | None, "why notifications are suppressed, if so"] = None


class Changed(AlertEvent, kw_only=True):
    """It is as bad as it was no more."""

    level: Level
    severity: Severity
    was: Annotated[dict[str, str], "level and severity before"]
    reason: Reason


class AlertEscalated(Changed):
    """An open alert became more severe."""

    kind, icon, title = "alert.escalated", "down", "Became more severe"


class AlertEased(Changed):
    """An open alert became less severe."""

    kind, icon, title = "alert.eased", "degraded", "Became less severe"


class AlertUnsuppressed(AlertEvent, kw_only=True):
    """Its parent is back and it still fails, so people are notified now."""

    kind, icon, title = "alert.unsuppressed", "alerts", "No longer explained by its parent"
    suppressed_by: Annotated[str, "what explained it"]


class AlertTold(AlertEvent, kw_only=True):
    """The stages let it pass, and these channels are notified."""

    kind, icon, title = "alert.told", "channels", "Channels chosen"
    channels: Annotated[list[str], "the channels that are notified"]
    why: Reason


class AlertHeld(AlertEvent, kw_only=True):
    """A stage holds back what there is to report, until its reason is gone."""

    kind, icon, title = "alert.held", "mute", "Held back"
    stage: Annotated[str, "the stage that does"]
    reason: Reason
    news: Annotated[str, "what there is to report"]


class AlertResolved(AlertEvent, kw_only=True):
    """The cause is gone, or a person closed it."""

    kind, icon, title = "alert.resolved", "up", "Alert resolved"
    reason: Reason
    seconds_open: Annotated[float, "seconds"]


class AlertAcknowledged(AlertEvent):
    """A person acknowledged it."""

    kind, icon, title = "alert.acknowledged", "check", "Acknowledged"


class AlertUnacknowledged(AlertEvent, kw_only=True):
    """The acknowledgement was withdrawn."""

    kind, icon, title = "alert.unacknowledged", "cross", "Alert unacknowledged"
    acknowledged_by: Annotated[str, "who had acknowledged it"]


class AlertNoted(AlertEvent, kw_only=True):
    """A person wrote a note on it, or removed the note."""

    kind, icon, title = "alert.noted", "edit", "Note"
    note: Annotated[str, "the note; empty if it was removed"]


class AlertMuted(AlertEvent, kw_only=True):
    """No notifications until a given time."""

    kind, icon, title = "alert.muted", "mute", "Muted"
    until: Annotated[str, "when it ends"]


class AlertUnmuted(AlertEvent, kw_only=True):
    """Notifications resume, because a person said so or the time is up."""

    kind, icon, title = "alert.unmuted", "alerts", "Unmuted"
    reason: Reason


class GroupEvent(Event, kw_only=True):
    """Of alerts that a route tells of together."""

    route: Annotated[str, "the route's path"]
    labels: Annotated[dict[str, str], "what its alerts share"]


class GroupNotified(GroupEvent, kw_only=True):
    """A group of alerts was told of."""

    kind, icon, title = "group.notified", "channels", "Group notified"
    receivers: Annotated[dict[str, str], "who was notified, each with why: first, new alerts, repeat and so on"]
    firing: Annotated[int, "how many of its alerts fire"]
    resolved: Annotated[int, "how many are over"]
    alerts: Annotated[list[str], "their ids, at most 200"]


class GroupClosed(GroupEvent, kw_only=True):
    """All alerts of a group are over."""

    kind, icon, title = "group.closed", "up", "Group closed"


class EscalationEvent(Event, kw_only=True):
    """Of a receiver that is paged step by step about an alert or a group of them."""

    escalation: Annotated[str, "its id"]
    receiver: Annotated[str, "the policy, schedule, team or person"]


class EscalationBegan(EscalationEvent, kw_only=True):
    """People are paged step by step until somebody answers."""

    kind, icon, title = "escalation.began", "alerts", "Escalation began"
    why: Reason
    again: Annotated[bool, "whether it had ended before"]


class EscalationStepped(EscalationEvent, kw_only=True):
    """A step of the policy was taken."""

    kind, icon, title = "escalation.stepped", "alerts", "Escalation step"
    step: Annotated[int, "which one, from 1"]
    round: Annotated[int, "how often the policy was gone through, with this time"]
    paged: Annotated[dict[str, str], "who is paged, now or later, each with why"]
    missed: Annotated[dict[str, str], "who could not be reached, each with why"]
    skipped: Annotated[str | None, "why the step was not taken, if it was not"] = None


class EscalationExhausted(EscalationEvent, kw_only=True):
    """All steps were taken and nobody answered."""

    kind, icon, title = "escalation.exhausted", "down", "Nobody answered"
    reached: Annotated[bool, "whether a message got through to anybody, or still may"]


class EscalationFellBack(EscalationEvent, kw_only=True):
    """It could reach nobody, so every channel is notified."""

    kind, icon, title = "escalation.fell_back", "down", "Nobody could be reached"
    channels: Annotated[list[str], "the channels that are notified instead"]


class EscalationEnded(EscalationEvent, kw_only=True):
    """Somebody answered, or it is over."""

    kind, icon, title = "escalation.ended", "check", "Escalation ended"
    reason: Reason


class NotificationEvent(Event, kw_only=True):
    """Of one message to one channel."""

    notification: Annotated[str, "its id"]
    alert: Annotated[str | None, "the alert that it is about, if any"]
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
    """A channel refused it permanently."""

    kind, icon, title = "notification.refused", "down", "Refused"
    error: Error


class NotificationExpired(Attempted, kw_only=True):
    """It could not be delivered in time."""

    kind, icon, title = "notification.expired", "down", "Never delivered"
    error: Error


class NotificationSuppressed(NotificationEvent, kw_only=True):
    """It was deliberately held back."""

    kind, icon, title = "notification.suppressed", "mute", "Held back"
    reason: Reason


class NotificationCancelled(NotificationEvent, kw_only=True):
    """It was no longer needed."""

    kind, icon, title = "notification.cancelled", "cross", "Cancelled"
    reason: Reason


class ChannelTested(Event):
    """A test notification was sent."""

    kind, icon, title = "channel.tested", "channels", "Test sent"
    channel: Annotated[str, "the channel's name"]
    outcome: Annotated[str, "delivered or failed"]
    error: Annotated[str | None, "why it failed"] = None


class DeviceAdded(Event, kw_only=True):
    """Somebody switched notifications on in a browser."""

    kind, icon, title = "device.added", "channels", "Device added"
    device: Annotated[str, "its id"]
    label: Annotated[str, "what it is, by its own words"]


class DeviceRemoved(Event, kw_only=True):
    """A device is notified no more."""

    kind, icon, title = "device.removed", "channels", "Device removed"
    device: Annotated[str, "its id"]
    label: Annotated[str, "what it is, by its own words"]
    reason: Reason


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
    GroupNotified,
    GroupClosed,
    EscalationBegan,
    EscalationStepped,
    EscalationExhausted,
    EscalationFellBack,
    EscalationEnded,
    NotificationDelivered,
    NotificationRefused,
    NotificationExpired,
    NotificationSuppressed,
    NotificationCancelled,
    ChannelTested,
    DeviceAdded,
    DeviceRemoved,
)
