"""The card of an alert on its own page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template

from mainstay.alerting.background import description_of
from mainstay.alerting.card import card

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.queries import Alert

register = template.Library()


@register.inclusion_tag("alerting/card.html", takes_context=True)
def alert_card(context: Mapping[str, Any], alert: Alert) -> dict[str, Any]:
    """The card of an alert on its own page, whose heading says what is wrong already."""
    request = context["request"]
    own = {"back": request.path, "headed": False, "description": description_of(alert.uid)}
    return card(alert, request.actor) | own
