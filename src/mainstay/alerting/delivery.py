"""Verbs of the delivery lane: claim what is due, record what became of it. Each is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F, QuerySet

from mainstay.alerting import declared
from mainstay.alerting.background import told_besides
from mainstay.alerting.contact_messages import with_code
from mainstay.alerting.devices import devices_for, forget
from mainstay.alerting.events import NotificationDelivered, NotificationExpired, NotificationRefused
from mainstay.alerting.links import links_of, test_links
from mainstay.alerting.models import OutboxRow
from mainstay.alerting.outbox import close, receipt_document, subject_of
from mainstay.alerting.rules import UNDER_WAY, Failure
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import SystemClock
from mainstay.kernel.errors import MainstayError, Refused
from mainstay.kernel.ports import Notification, Receipt
from mainstay.store.work import Work, quietly, unit_of_work

if TYPE_CHECKING:
    from mainstay.alerting.spec import ChannelSpec
    from mainstay.kernel.clock import Clock
    from mainstay.kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this process may hand over until its lease ends. `attempt` proves whose claim it is."""

    channel: str
    spec: ChannelSpec
    attempt: int
    message: Notification
    ends_at: float = float("inf")  # epoch seconds; after this another process may have it
    devices: tuple[dict[str, str], ...] = ()  # those that a push goes to


@dataclass(frozen=True, slots=True)
class Room:
    """What the lane can take on: `free(channel, claimed)` messages for a channel after `claimed` of others, none for
    those in `full`."""

    free: Callable[[str, int], int]
    full: Collection[str] = ()
    total: int = 32
    claimant: str = ""  # the start of the server that claims


def claim_due(actor: Actor, settings: Settings, room: Room, lease: float, clock: Clock | None = None) -> list[Claim]:
    """Take due messages, for each channel its oldest first; `lease` is in seconds.

    A claim whose lease ended (its process died) is taken again. What is too old expires first; messages to
    channels that are gone are cancelled.
    """
    actor.require("alerts:write")

    def claim(work: Work) -> list[Claim]:
        due = OutboxRow.objects.filter(state__in=UNDER_WAY, next_at__lte=work.now)
        _expire(work, due.filter(expires_at__lte=work.now))
        waiting = due.exclude(channel__in=room.full).order_by().values_list("channel", flat=True).distinct()
        names = sorted(waiting)
        known = declared.known(work)
        channels = known.receivers if any("/" in name for name in names) else known.channels if names else {}
        claims: list[Claim] = []
        for name in names:
            rows = due.filter(channel=name).select_related("alert").order_by("next_at", "id")
            if name in channels:
                free = max(0, min(room.free(name, len(claims)), room.total - len(claims)))
                ends = work.now + lease
                taken = [row for row in rows[:free] if _take(row, ends, room.claimant)]
                to = devices_for(channels[name]) if taken else ()
                claims += [
                    Claim(name, channels[name], row.attempts + 1, message_of(row, settings), ends, to) for row in taken
                ]
            elif name not in declared.channel_names():  # else this version cannot read it: its messages wait
                for row in rows.select_for_update(of=("self",)):
                    close(work, row, "cancelled", gone(name))
        return claims

    return quietly(actor, clock, claim)


def gone(receiver: str) -> str:
    """Why a message for it is given up."""
    return "the person is not reached in this way any more" if "/" in receiver else "the channel was deleted"


def _take(row: OutboxRow, lease_end: float, claimant: str) -> bool:
    same = OutboxRow.objects.filter(id=row.id, state=row.state, attempts=row.attempts, next_at=row.next_at)
    return bool(same.update(state="delivering", attempts=F("attempts") + 1, next_at=lease_end, claimed_by=claimant))


def message_of(row: OutboxRow, settings: Settings) -> Notification:
    links = links_of(settings.base_url, row.alert, row.created_at) if row.alert else test_links(settings.base_url)
    payload = row.payload
    if "code_for" in payload:
        payload = with_code(payload, SystemClock().now())
        links = {"alert": f"{settings.base_url}/oncall/me/"}
    if row.kind != "firing":
        links.pop("acknowledge", None)
    return Notification(
        id=row.id,
        status=row.kind,
        alert=payload["alert"],
        evidence=payload["evidence"] | (told_besides(row.alert, row.kind) if row.alert else {}),
        links=links,
        changes=tuple(payload["changes"]),
        group=payload.get("group"),
        thread=payload["thread"],
    )


def mark_delivered(actor: Actor, claim: Claim, receipt: Receipt, clock: Clock | None = None) -> None:
    actor.require("alerts:write")
    with unit_of_work(actor, clock) as work:
        row = _claimed(claim)
        if row is None:
            return
        forget(work, receipt.data.get("gone", ()))
        row.receipt, row.delivered_at, row.last_error = receipt_document(receipt), work.now, ""
        work.record(NotificationDelivered(subject_of(row), seconds=round(work.now - row.created_at, 3), **_about(row)))
        close(work, row, "delivered")


def mark_failed(actor: Actor, claim: Claim, error: MainstayError, failure: Failure, clock: Clock | None = None) -> None:
    """Repeat later, or give up for good with the reason on show."""
    actor.require("alerts:write")
    with unit_of_work(actor, clock) as work:
        row = _claimed(claim)
        if row is None:
            return
        if isinstance(error, Refused):
            forget(work, error.gone)
        row.last_error, row.failed_at = str(error)[:1000], work.now
        if failure.again_in is None:
            work.record(NotificationRefused(subject_of(row), error=row.last_error, **_about(row)))
            close(work, row, "refused", failure.reason)
        else:
            row.state, row.next_at = "pending", min(work.now + failure.again_in, row.expires_at)
            row.save()


def reclaim(actor: Actor, clock: Clock | None = None, *, living: Collection[str] = ()) -> int:
    """What processes that are gone had claimed is due at once, not when their claims end. The number of rows.

    living: who else delivers from this outbox (several servers on one database); their claims stay.
    """
    actor.require("alerts:write")
    with unit_of_work(actor, clock, quiet=True) as work:
        claimed = OutboxRow.objects.filter(state="delivering", next_at__gt=work.now).exclude(claimed_by__in=living)
        return claimed.update(next_at=work.now)


def hasten(actor: Actor, channel: str = "", clock: Clock | None = None) -> int:
    """Repeat now what waits for a later attempt, on one channel or on all. The number of messages.

    For a channel that works again, at a start, and after the wall clock was set back: what was late is due then, and no
    message is newer than those that come.
    """
    actor.require("alerts:write")
    with unit_of_work(actor, clock, quiet=True) as work:
        if not channel:
            OutboxRow.objects.filter(created_at__gt=work.now).update(created_at=work.now)
        later = OutboxRow.objects.filter(state="pending", next_at__gt=work.now)
        return (later.filter(channel=channel) if channel else later).update(next_at=work.now)


def postpone_expiry(actor: Actor, seconds: float, clock: Clock | None = None) -> int:
    """The wall clock was set forward by so much: no message has waited longer for that. The number of messages."""
    actor.require("alerts:write")
    with unit_of_work(actor, clock, quiet=True):
        return OutboxRow.objects.filter(state__in=UNDER_WAY).update(expires_at=F("expires_at") + seconds)


def _expire(work: Work, late: QuerySet[OutboxRow]) -> None:
    """Give up what could not be delivered in its time, oldest first."""
    for row in late.select_for_update(of=("self",)).select_related("alert").order_by("created_at", "id")[:200]:
        row.refresh_from_db()  # an earlier one may have closed this one
        if row.state in UNDER_WAY:
            work.record(NotificationExpired(subject_of(row), error=row.last_error, **_about(row)))
            close(work, row, "expired", "it could not be delivered in time")


def _about(row: OutboxRow) -> dict[str, Any]:
    return {
        "notification": row.id,
        "alert": row.alert_id,
        "channel": row.channel,
        "message": row.kind,
        "attempts": row.attempts,
    }


def _claimed(claim: Claim) -> OutboxRow | None:
    """The row, unless the lease ended and somebody else took it."""
    rows = OutboxRow.objects.select_for_update(of=("self",)).select_related("alert").filter(id=claim.message.id)
    return rows.filter(state="delivering", attempts=claim.attempt).first()
