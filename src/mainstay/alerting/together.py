"""Reads of what alerts share: the groups that they are notified with, and who is paged about them step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from django.db.models import F, Q

from mainstay.alerting.models import EscalationRow, MemberRow, OutboxRow
from mainstay.kernel.views import At, View

if TYPE_CHECKING:
    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class Together(View):
    """A group of alerts that a route notifies of together."""

    id: str
    route: Annotated[str, "the route's path"]
    labels: Annotated[dict[str, str], "what its alerts share"]
    alerts: Annotated[int, "how many of them are in it now"]
    next_at: Annotated[At | None, "when it is looked at next; none once all of its alerts are over"]
    flushed_at: Annotated[At | None, "when it was looked at last"]
    held: Annotated[str, "why this alert was left out then, if it was"]


@dataclass(frozen=True, slots=True)
class Escalation(View):
    """A receiver that is paged step by step."""

    id: str
    receiver: Annotated[str, "the policy, schedule, team or person"]
    why: Annotated[str, "the route that chose it"]
    state: Annotated[str, "running, acknowledged, exhausted, fallback or over"]
    step: Annotated[int, "how many steps of this round were taken"]
    steps: Annotated[int, "of the policy"]
    round: Annotated[int, "which time the policy is gone through, from 1"]
    next_at: Annotated[At | None, "when somebody is paged next"]
    began_at: At


def groups_of(alert_id: str) -> list[Together]:
    """In the order in which the alert joined them."""
    found = []
    for member in MemberRow.objects.filter(alert=alert_id).select_related("group").order_by("id"):
        group = member.group
        count = group.members.filter(left_at=None).count()
        about = (group.id, group.route, group.labels, count, group.next_at, group.flushed_at)
        found.append(Together(*about, "" if member.left_at else member.held))
    return found


def escalations_of(alert_id: str) -> list[Escalation]:
    """Of the alert itself and of its groups, the oldest first."""
    about = Q(alert=alert_id) | Q(group__members__alert=alert_id)
    return [
        Escalation(
            run.id,
            run.receiver,
            run.why,
            run.state,
            run.step,
            len(run.policy["steps"]),
            run.round + 1,
            run.next_at,
            run.began_at,
        )
        for run in EscalationRow.objects.filter(about).distinct().order_by("began_at", "id")
    ]


def messages_about(alert_id: str) -> QuerySet[OutboxRow]:
    """Those about the alert itself, and about its groups while it was in them, the oldest first."""
    member = Q(group__members__alert=alert_id, group__members__joined_at__lte=F("created_at"))
    there = Q(group__members__left_at=None) | Q(group__members__left_at__gte=F("created_at"))
    return OutboxRow.objects.filter(Q(alert=alert_id) | (member & there)).distinct().order_by("created_at", "id")
