"""Escalations as they are kept: how they begin, what each step tells whom, and how they end. Always in a unit of work;
who is paged is decided by `escalating`. One keeps the policy that it began with; edits do not disturb it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.alerting import declared
from mainstay.alerting.escalating import Contact, Trouble, after_step, take_step
from mainstay.alerting.events import (
    EscalationBegan,
    EscalationEnded,
    EscalationExhausted,
    EscalationFellBack,
    EscalationStepped,
)
from mainstay.alerting.models import AlertRow, EscalationRow, GroupRow, OutboxRow
from mainstay.alerting.outbox import put, row_after
from mainstay.alerting.payloads import MOST_TOLD, alert_payload, group_payload
from mainstay.alerting.rules import HEARD, UNDER_WAY
from mainstay.alerting.stages import CALM, walk
from mainstay.alerting.views import case_of, facts_of
from mainstay.kernel.ids import new_id
from mainstay.oncall.spec import EscalationPolicySpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.store.work import Work

LOOK_AGAIN = 60.0  # seconds until an escalation whose alerts are held back is looked at again


def begin(work: Work, receiver: str, why: str, *, alert: AlertRow | None = None, group: GroupRow | None = None) -> None:
    """Page a receiver about an alert, or a group of them: from the first step on, unless that is going on already."""
    run = EscalationRow.objects.filter(alert=alert, group=group, receiver=receiver).first()
    if run is not None and run.state == "running":
        return
    again = run is not None
    run = run or EscalationRow(id=new_id(work.now), alert=alert, group=group, receiver=receiver)
    run.policy = _policy(work, receiver)
    run.why, run.state, run.step, run.round, run.contacts = why[:300], "running", 0, 0, []
    run.step_at = work.now + EscalationPolicySpec.model_validate(run.policy).steps[0].after
    run.next_at, run.began_at, run.ended_at = run.step_at, work.now, None
    run.save()
    work.record(EscalationBegan(_subject(run), escalation=run.id, receiver=receiver, why=run.why, again=again))


def _policy(work: Work, receiver: str) -> dict[str, Any]:
    """The policy as a document; of a schedule, a team or a person, one of a single step."""
    kind, _, name = receiver.partition("/")
    if kind != "policy":
        return {"steps": [{"to": [receiver]}]}
    known = declared.known(work)
    found = known.duty.policy(name)
    if found is None:  # taken away by another version, or unreadable by this one
        return {"steps": [{"to": [f"channel/{channel}" for channel in known.channel_names[:40]]}]}
    return found.to_document()


def advance_escalation(work: Work, run: EscalationRow) -> None:
    """Do what is due of it, and say what comes next."""
    alerts = _open_alerts(run)
    if not alerts:
        _end(work, run)
        return
    policy = EscalationPolicySpec.model_validate(run.policy)
    running = run.state == "running"
    if all(one.acknowledged_at for one in alerts) and not (running and _is_forced(policy, run)):
        _acknowledged(work, run)
        return
    free, again = _free(work, alerts)
    if not free:
        run.next_at = max(work.now + 1.0, again)
    elif running:
        _go_on(work, run, policy, free)
    else:
        _after_the_last_step(work, run, free)
    run.save()


def _is_forced(policy: EscalationPolicySpec, run: EscalationRow) -> bool:
    return any(step.forced for step in policy.steps[run.step :])


def _go_on(work: Work, run: EscalationRow, policy: EscalationPolicySpec, alerts: Sequence[AlertRow]) -> None:
    """Take the step that is due, and tell whom earlier steps tell now."""
    trouble = _trouble(alerts)
    contacts = Contact.read(run.contacts)
    if run.step_at is not None and (run.step_at <= work.now or (not contacts and _was_in_vain(run))):
        contacts += _step(work, run, policy, trouble)
    _tell(work, run, alerts, [one for one in contacts if one.at <= work.now])
    _schedule(run, [] if trouble.acknowledged else [one for one in contacts if one.at > work.now])
    if run.next_at is None:
        run.state, run.ended_at = "exhausted", work.now
        reached = _has_reached(run)
        named = {"escalation": run.id, "receiver": run.receiver}
        work.record(EscalationExhausted(_subject(run), reached=reached, **named))
        if not reached:
            _after_the_last_step(work, run, alerts)


def _has_reached(run: EscalationRow) -> bool:
    """Whether a message of it got through to anybody, or may yet."""
    return run.notifications.filter(kind="firing", state__in=HEARD).exists()


def _was_in_vain(run: EscalationRow) -> bool:
    """Whether its messages were written and none of them will get through: nobody is to wait for the next step."""
    return run.notifications.filter(kind="firing").exists() and not _has_reached(run)


def _after_the_last_step(work: Work, run: EscalationRow, alerts: Sequence[AlertRow]) -> None:
    """Nobody answered. If nobody could be reached at all, every channel hears of it, and of that, once."""
    run.next_at = None
    if run.state != "exhausted" or _has_reached(run):
        return
    run.state = "fallback"
    why = f"{run.receiver} could reach nobody, so every channel is notified"
    channels = list(declared.known(work).channels)
    _tell(work, run, alerts, [Contact(work.now, name, why) for name in channels])
    work.record(EscalationFellBack(_subject(run), escalation=run.id, receiver=run.receiver, channels=channels))


def _open_alerts(run: EscalationRow) -> list[AlertRow]:
    if run.alert is not None:
        return [run.alert] if run.alert.is_open else []
    return list(AlertRow.objects.filter(memberships__group=run.group_id, status="firing").order_by("severity", "since"))


def _trouble(alerts: Sequence[AlertRow]) -> Trouble:
    """Of a group what nobody took; all of it once somebody has taken all. Alerts that are held back do not count."""
    untaken = [one for one in alerts if one.acknowledged_at is None]
    return Trouble(min(one.severity for one in untaken or alerts), len(alerts), not untaken)


def _free(work: Work, alerts: Sequence[AlertRow]) -> tuple[list[AlertRow], float]:
    """Those that nothing holds back now, such as a mute, a silence or maintenance; and when to look again."""
    facts, free, again = facts_of(work), [], work.now + LOOK_AGAIN
    for alert in alerts:
        way = walk(case_of(alert), facts, work.now, CALM)
        if way.held is None:
            free.append(alert)
        again = min(again, way.next_at or again)
    return free, again


def _step(work: Work, run: EscalationRow, policy: EscalationPolicySpec, trouble: Trouble) -> list[Contact]:
    """Whom the next step tells, now or later."""
    known, step = declared.known(work), policy.steps[run.step]
    turn = EscalationRow.objects.filter(receiver=run.receiver, began_at__lt=run.began_at).count()
    paged = take_step(step, trouble, known.duty, work.now, turn)
    contacts = [one for one in paged.contacts if one.to in known.receivers]
    missed = {one.to: "this server has no means to reach it" for one in paged.contacts if one not in contacts}
    work.record(
        EscalationStepped(
            _subject(run),
            escalation=run.id,
            receiver=run.receiver,
            step=run.step + 1,
            round=run.round + 1,
            paged={one.to: one.why for one in contacts},
            missed=paged.missed | missed,
            skipped=paged.skipped or None,
        )
    )
    following = after_step(policy, run.step, run.round, work.now, reached=bool(contacts))
    run.step, run.round, run.step_at = following.step, following.round, following.at
    return contacts


def _schedule(run: EscalationRow, later: Sequence[Contact]) -> None:
    run.contacts = [one.kept() for one in later]
    times = [one.at for one in later] + ([run.step_at] if run.step_at is not None else [])
    run.next_at = min(times, default=None)


def _tell(work: Work, run: EscalationRow, alerts: Sequence[AlertRow], contacts: Sequence[Contact]) -> None:
    """One message for each contact that there still is a way for."""
    known, rows = declared.known(work), []
    for contact in contacts:
        if contact.to in known.receivers:
            payload = group_payload(run.group, alerts, []) if run.group else alert_payload(alerts[0], "firing")
            rows.append(_message(work, run, contact, payload, "firing"))
    put(work, rows)


def _message(work: Work, run: EscalationRow, contact: Contact, payload: dict[str, Any], kind: str) -> OutboxRow:
    before = run.notifications.filter(channel=contact.to).order_by("created_at", "id")
    first = before.values_list("id", flat=True).first() or ""
    tail = before.filter(state__in=UNDER_WAY).values_list("id", flat=True).last() or ""
    row = row_after(work, contact.to, tail)
    row.kind, row.escalation, row.group, row.alert_id = kind, run, run.group, payload["alert"]["id"]
    row.payload, row.reason = payload | {"thread": first}, contact.why[:300]
    return row


def _acknowledged(work: Work, run: EscalationRow) -> None:
    if run.state == "acknowledged":  # another alert of its group ended
        run.next_at = None
        run.save(update_fields=["next_at"])
        return
    run.state, run.next_at, run.step_at, run.contacts, run.ended_at = "acknowledged", None, None, [], work.now
    run.save()
    work.record(EscalationEnded(_subject(run), escalation=run.id, receiver=run.receiver, reason="somebody took it"))


def _end(work: Work, run: EscalationRow) -> None:
    """What it was about is over; everybody who was paged hears of that."""
    known = declared.known(work)
    heard = run.notifications.filter(kind="firing", state__in=HEARD).values_list("channel", flat=True).distinct()
    told = [Contact(work.now, to, "it is over") for to in sorted(heard) if known.wants_resolved(to)]
    put(work, [_message(work, run, contact, _over(run), "resolved") for contact in told])
    work.record(EscalationEnded(_subject(run), escalation=run.id, receiver=run.receiver, reason="it is over"))
    run.state, run.next_at, run.step_at, run.contacts, run.ended_at = "over", None, None, [], work.now
    run.save()


def _over(run: EscalationRow) -> dict[str, Any]:
    if run.alert is not None:
        return alert_payload(run.alert, "resolved")
    if run.group is None:
        raise AssertionError("an escalation is about an alert or about a group")
    ended = AlertRow.objects.filter(memberships__group=run.group_id).exclude(status="firing")
    return group_payload(run.group, [], list(ended.order_by("severity", "since")[:MOST_TOLD]))


def wake(work: Work, alert: AlertRow) -> None:
    """Somebody took an alert, gave it back, or it is over: its escalations are looked at now."""
    about = EscalationRow.objects.exclude(state="over")
    own = list(about.filter(alert=alert)) + list(
        about.filter(group__members__alert=alert, group__members__left_at=None)
    )
    for run in own:
        if run.state == "acknowledged" and alert.is_open and alert.acknowledged_at is None:
            run.state, run.step, run.round, run.step_at, run.ended_at = "running", 0, 0, work.now, None
        run.next_at = work.now
        run.save(update_fields=["state", "step", "round", "step_at", "ended_at", "next_at"])


def _subject(run: EscalationRow) -> str:
    return run.alert.subject if run.alert is not None else f"group/{run.group_id}"
