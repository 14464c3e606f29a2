"""The card of an alert, the same wherever an alert is shown with what can be done about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mainstay.kernel.wording import label_links, link_name

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert
    from mainstay.kernel.actor import Actor

MUTES = (("30m", "30 minutes"), ("2h", "2 hours"), ("8h", "8 hours"), ("1d", "a day"), ("7d", "a week"))


def card(alert: Alert, actor: Actor) -> dict[str, Any]:
    """The context of alerting/card.html."""
    now = time.time()
    state = alert.state(now)
    return {
        "alert": alert,
        "state": state,
        "muted": alert.is_open and alert.muted_until is not None and alert.muted_until > now,
        "url": f"/alerts/{alert.id}/",
        "mutes": MUTES,
        "pages": [(link_name(name), url) for name, url in label_links(alert.labels).items()],
        "may_alert": actor.may_some("alerts:write"),
        "may_write": actor.may("resources:write"),
    }
