"""What happens in heartbeats."""

from __future__ import annotations

from mainstay.kernel.capability import EventKind

EVENTS = (
    EventKind(
        "heartbeat.went_down",
        "down",
        "Went down",
        "a deadline passed or a failure was reported; data: reason, last ping, deadline",
        tells="trouble",
    ),
    EventKind(
        "heartbeat.went_up",
        "up",
        "Reported success",
        "a success was reported; data: previous, downtime in seconds",
        tells="over",
    ),
    EventKind(
        "heartbeat.went_unknown",
        "unknown",
        "Became unknown",
        "a ping may have been missed through no fault of the job; data as for went_down",
    ),
    EventKind(
        "heartbeat.went_paused",
        "paused",
        "Paused",
        "paused by a person or by its declaration",
        tells="over",
        over="the heartbeat was paused",
    ),
    EventKind(
        "heartbeat.created_by_ping",
        "plus",
        "Created by its first ping",
        "a ping with create=1 made it; data: slug",
    ),
    EventKind(
        "heartbeat.address_shown",
        "heartbeats",
        "Ping address shown",
        "a person was shown the address that a job pings, told once a day; data: uid",
    ),
    EventKind(
        "heartbeat.addresses_shown",
        "heartbeats",
        "Ping addresses shown or exported",
        "somebody was shown, or exported, the addresses of several jobs, told once a day; data: count",
    ),
    EventKind(
        "token.ping_key_rotated",
        "refresh",
        "New ping key made",
        "a new ping key was made; the old one stops working",
    ),
)
