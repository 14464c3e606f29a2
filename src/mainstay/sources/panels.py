"""What sources show beside an alert: what its sender said last, and what was changed shortly before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.template.loader import render_to_string

from mainstay.alerting.queries import alert
from mainstay.kernel.errors import NotFound
from mainstay.sources.queries import changes_near, rows_of

if TYPE_CHECKING:
    from mainstay.kernel.capability import Slot
    from mainstay.store.requests import PageRequest


def panels(request: PageRequest, subject: str, slot: Slot) -> str:
    """HTML; nothing for who may not see alerts. Beside an alert, the subject is `alert/<id>`."""
    if slot != "alert" or not request.actor.may_some("alerts:read"):
        return ""
    try:
        found = alert(subject.partition("/")[2], request.actor.limits)
    except NotFound:
        return ""
    reported = rows_of([found.name]).get(found.name) if found.kind == "alert" else None
    # Changes are of no one's part: an actor with limits sees those alone that share a label with what it sees.
    near = changes_near(found.labels, found.since)
    if request.actor.limits:
        near = [one for one in near if one.labels and request.actor.sees(one.labels)]
    context = {"alert": found, "reported": reported, "changes": near}
    return render_to_string("sources/beside.html", context, request)
