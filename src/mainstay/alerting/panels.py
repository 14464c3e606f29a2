"""What alerting shows on the pages of others: the open alert with its orders, and who was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.template.loader import render_to_string

from mainstay.alerting import device_pages
from mainstay.alerting.card import card
from mainstay.alerting.queries import notifications_of, open_alerts_by_subject

if TYPE_CHECKING:
    from mainstay.kernel.capability import Slot
    from mainstay.store.requests import PageRequest

_TOLD = 10


def panels(request: PageRequest, subject: str, slot: Slot) -> str:
    """HTML; nothing for who may not see alerts."""
    if slot == "alert" or not request.actor.may_some("alerts:read"):
        return ""
    if subject.startswith("account/"):
        return device_pages.panel(request) if slot == "side" else ""
    if slot == "now":
        found = open_alerts_by_subject([subject]).get(subject)
        if found is None or not request.actor.sees(found.labels):
            return ""
        context = card(found, request.actor) | {"back": request.path, "headed": True}
        return render_to_string("alerting/card.html", context, request)
    return render_to_string("alerting/told.html", {"told": notifications_of(subject, limit=_TOLD)}, request)
