"""The card of an alert, the same wherever an alert is shown with what can be done about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django import template

from mainstay.alerting import queries
from mainstay.alerting.background import description_of
from mainstay.kernel.wording import label_links, link_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.queries import Alert
    from mainstay.kernel.actor import Actor

register = template.Library()

MUTES = (("30m", "30 minutes"), ("2h", "2 hours"), ("8h", "8 hours"), ("1d", "a day"), ("7d", "a week"))


@register.inclusion_tag("alerting/card.html", takes_context=True)
def open_alert(context: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The card of what is open about one monitor or heartbeat; nothing if nothing is, or the visitor may not see it."""
    request = context["request"]
    subject = f"{kind}/{name}"
    found = queries.open_alerts_by_subject([subject]).get(subject)
    if found is None or not request.actor.may_some("alerts:read") or not request.actor.sees(found.labels):
        return {}
    return _card(found, request.actor) | {"back": request.path, "headed": True}


@register.inclusion_tag("alerting/card.html", takes_context=True)
def alert_card(context: Mapping[str, Any], alert: Alert) -> dict[str, Any]:
    """The card of an alert on its own page, whose heading says what is wrong already."""
    request = context["request"]
    own = {"back": request.path, "headed": False, "description": description_of(alert.uid)}
    return _card(alert, request.actor) | own


def _card(alert: Alert, actor: Actor) -> dict[str, Any]:
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
    }
