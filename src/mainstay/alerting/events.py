"""What happens in alerting."""

from __future__ import annotations

from mainstay.kernel.capability import EventKind

EVENTS = (
    EventKind(
        "alert.fired",
        "alerts",
        "Alert opened",
        "an alert opened; data: alert, monitor, severity, level, labels, suppressed and why",
    ),
    EventKind(
        "alert.escalated",
        "down",
        "Got worse",
        "an open alert got worse; data: alert, monitor, severity, level and what they were",
    ),
    EventKind("alert.eased", "degraded", "Got milder", "an open alert got milder; data as for escalated"),
    EventKind(
        "alert.unsuppressed",
        "alerts",
        "No longer explained by its parent",
        "its parent is back and it still fails, so people are told now; data: alert, suppressed_by",
    ),
    EventKind(
        "alert.told",
        "channels",
        "Channels chosen",
        "the stages let it pass, and these channels are told; data: alert, monitor, channels, why",
    ),
    EventKind(
        "alert.held",
        "mute",
        "Held back",
        "a stage holds back what there is to tell, until its reason is gone; data: alert, monitor, stage, reason, news",
    ),
    EventKind(
        "alert.resolved",
        "up",
        "Alert closed",
        "the cause is gone, or a person closed it; data: alert, monitor, reason, seconds open",
    ),
    EventKind("alert.acknowledged", "check", "Acknowledged", "a person took it; data: alert, monitor"),
    EventKind(
        "alert.unacknowledged",
        "cross",
        "Acknowledgement taken back",
        "nobody has it any more; data: alert, monitor, and who had it",
    ),
    EventKind(
        "alert.noted",
        "edit",
        "Note",
        "a person wrote a note on it, or took it away; data: alert, monitor, note",
    ),
    EventKind("alert.muted", "mute", "Muted", "no more notifications until a time; data: alert, monitor, until"),
    EventKind(
        "alert.unmuted",
        "alerts",
        "No longer muted",
        "notifications again, by a person or because the time is over; data: alert, monitor, reason",
    ),
    EventKind(
        "notification.delivered",
        "channels",
        "Delivered",
        "a channel accepted it; data: notification, channel, attempts",
    ),
    EventKind(
        "notification.refused",
        "down",
        "Refused",
        "a channel refused it for good; data: notification, channel, error",
    ),
    EventKind(
        "notification.expired",
        "down",
        "Never delivered",
        "it could not be delivered in time; data: notification, channel, attempts, error",
    ),
    EventKind(
        "notification.suppressed",
        "mute",
        "Held back",
        "it was held back on purpose; data: alert, channel, reason",
    ),
    EventKind(
        "notification.cancelled",
        "cross",
        "Cancelled",
        "it became pointless; data: notification, alert, channel, reason",
    ),
    EventKind("channel.tested", "channels", "Test sent", "a test notification was sent; data: channel, outcome"),
)
