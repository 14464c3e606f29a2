"""PagerDuty by its Events API v2."""

from __future__ import annotations

from pydantic import Field

from mainstay.kernel.ports import ChannelKind, Deliver
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Secret, Text


class PagerDutyTarget(Spec):
    routing_key: Secret = Field(description="integration key of a service or an event orchestration")
    url: Text = Field(
        "https://events.pagerduty.com/v2/enqueue",
        pattern=r"^https?://",
        max_length=2000,
        description="another address, such as https://events.eu.pagerduty.com/v2/enqueue",
    )


def _load() -> Deliver:
    from mainstay.integrations.channels.pagerduty.deliver import deliver

    return deliver


KIND = ChannelKind("pagerduty", "PagerDuty by Events API v2", PagerDutyTarget, _load, shorthand="routing_key")
