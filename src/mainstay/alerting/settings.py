"""Settings of notifications."""

from __future__ import annotations

from mainstay.kernel.settings import declarable

NOTIFICATION_EXPIRY = declarable(
    "notification_expiry",
    86_400,
    "seconds after which delivery of a notification is abandoned",
    "Messages",
    title="Give up after, in seconds",
    ge=60,
    le=2_592_000,
)
ALERT_DAYS = declarable(
    "alert_days",
    400,
    "days to keep resolved alerts, with their messages",
    "Retention",
    title="Alerts that are over, in days",
    ge=1,
    le=36_500,
)
CHANNEL_PROXY = declarable(
    "channel_proxy",
    "",
    "HTTP proxy that all channels go through, such as http://proxy.example.com:3128, with references as in `smtp`; "
    "empty: none",
    "Messages",
    check="mainstay.alerting.spec:check_proxy",
    title="Proxy",
)

SETTINGS = (
    NOTIFICATION_EXPIRY,
    ALERT_DAYS,
    CHANNEL_PROXY,
)
