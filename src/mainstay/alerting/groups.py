"""Groups of alerts as they are kept: how alerts join them, and what is told of them when they are flushed. Always in a
unit of work; what is told is decided by `grouping`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainstay.alerting import declared
from mainstay.alerting.escalations import begin
from mainstay.alerting.events import GroupClosed, GroupNotified
from mainstay.alerting.grouping import Entry, Now, first_flush, group_key, mark, to_tell
from mainstay.alerting.models import AlertRow, GroupRow, MemberRow, OutboxRow
from mainstay.alerting.outbox import put, row_after
from mainstay.alerting.payloads import group_payload
from mainstay.alerting.routing import GROUP_INTERVAL
from mainstay.alerting.rules import LOST, UNDER_WAY
from mainstay.alerting.stages import CALM, walk
from mainstay.alerting.views import case_of, facts_of, matching_labels
from mainstay.kernel.ids import new_id
from mainstay.kernel.timespan import format_duration
from mainstay.store.rows import update_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mainstay.alerting.grouping import Telling
    from mainstay.alerting.routing import Leaf
    from mainstay.store.work import Work

_AT_ONCE = 500  # rows of one statement
ASTRAY = "route: its route takes it no more"
_TOLD = 200  # ids of alerts that an entry of the journal names


def join(work: Work, alerts: Sequence[AlertRow]) -> None:
    """Open alerts into the groups of the routes that take them, where they are not in them yet."""
    known = declared.known(work)
    wanted: dict[tuple[str, str], tuple[AlertRow, Leaf]] = {}  # (key of the group, id of the alert)
    for alert in alerts:
        labels = matching_labels(alert)
        for leaf in known.routing(labels).leaves if alert.is_open else ():
            if leaf.group_by is not None:
                wanted[group_key(leaf.path, leaf.group(labels)), alert.id] = alert, leaf
    if not wanted:
        return
    keys, ids = {key for key, _ in wanted}, {alert for _, alert in wanted}
    groups = {row.key: row for row in GroupRow.objects.filter(key__in=keys, closed_at=None)}
    members = MemberRow.objects.filter(group__in=groups.values(), alert__in=ids)
    there = set(members.values_list("group__key", "alert_id"))
    joining = []
    for (key, alert_id), (alert, leaf) in wanted.items():
        if (key, alert_id) not in there:
            if key not in groups:
                groups[key] = _open(work, key, leaf, alert)
            joining.append(MemberRow(group=groups[key], alert=alert, joined_at=work.now))
    MemberRow.objects.bulk_create(joining, batch_size=_AT_ONCE)


def _open(work: Work, key: str, leaf: Leaf, alert: AlertRow) -> GroupRow:
    return GroupRow.objects.create(
        id=new_id(work.now),
        route=leaf.path,
        labels=leaf.group(matching_labels(alert)),
        key=key,
        opened_at=work.now,
        next_at=first_flush(work.now, alert.since, leaf.group_wait),
    )


@dataclass(slots=True)
class _Flush:
    """The alerts of a group as a flush sees them."""

    leaf: Leaf | None = None  # as it is declared now; None if the route takes none of them any more
    firing: list[MemberRow] = field(default_factory=list)
    over: list[MemberRow] = field(default_factory=list)
    leaving: list[MemberRow] = field(default_factory=list)  # over, and nobody is to hear of them
    astray: list[MemberRow] = field(default_factory=list)  # the route takes them no more
    held: dict[int, str] = field(default_factory=dict)  # key of the member -> why it is left out
    again: float = float("inf")  # epoch seconds: when one that is held back in case it passes is held back no more


def flush(work: Work, group: GroupRow) -> dict[str, Telling]:
    """Tell the receivers of a group what they are to hear of it now, and say when it is flushed next."""
    members = list(group.members.filter(left_at=None).select_related("alert").order_by("id"))
    before = [_kept(member) for member in members]
    seen = _look(work, group, members)
    telling = _tell(work, group, seen)
    _settle(work, group, members, seen)
    changed = [_kept(member) for member in members]
    rows = [now for now, then in zip(changed, before, strict=True) if now != then]
    update_rows(MemberRow._meta.db_table, "id", ("told", "held", "left_at"), rows)
    return telling


def _kept(member: MemberRow) -> tuple[int, bool, str, float | None]:
    return member.pk, member.told, member.held, member.left_at


def _look(work: Work, group: GroupRow, members: Iterable[MemberRow]) -> _Flush:
    known, seen = declared.known(work), _Flush()
    for member in members:
        alert = member.alert
        labels = matching_labels(alert)
        leaf = next((one for one in known.routing(labels).leaves if _is_of(group, one, labels)), None)
        seen.leaf = seen.leaf or leaf
        if not alert.is_open:
            passed = leaf is None or (alert.resolved_at or work.now) < alert.opened_at + leaf.hold
            (seen.leaving if passed and not member.told else seen.over).append(member)
        elif leaf is None:
            seen.astray.append(member)
            seen.held[member.pk] = ASTRAY
        elif held := _held(work, alert):
            seen.held[member.pk] = held
        elif work.now < alert.opened_at + leaf.hold:
            seen.held[member.pk] = f"route: held back for {format_duration(leaf.hold)}, in case it passes by itself"
            seen.again = min(seen.again, alert.opened_at + leaf.hold)
        else:
            seen.firing.append(member)
    return seen


def _is_of(group: GroupRow, leaf: Leaf, labels: dict[str, str]) -> bool:
    return leaf.group_by is not None and leaf.path == group.route and leaf.group(labels) == group.labels


def _held(work: Work, alert: AlertRow) -> str:
    """Why nobody is told of this one; empty if they are."""
    way = walk(case_of(alert), facts_of(work), work.now, CALM)
    return f"{way.held.stage}: {way.held.decision.reason}" if way.held else ""


def _tell(work: Work, group: GroupRow, seen: _Flush) -> dict[str, Telling]:
    """The messages of a flush. Whom the route names no more hears the end of what they were told."""
    leaf, known = seen.leaf, declared.known(work)
    firing = [] if leaf is None or known.out_of_hours(leaf, work.now) else seen.firing
    taken = all(one.alert.acknowledged_at for one in firing)
    telling: dict[str, Telling] = {}
    for receiver in dict.fromkeys((*(leaf.to if leaf else ()), *group.log)):
        entry = _entry(group, receiver)
        now = Now(_marks(firing), _marks(seen.over))
        if leaf is None or receiver not in leaf.to:
            now = Now((), [one for one in now.resolved if entry and one in entry.firing])
        wants = known.wants_resolved(receiver)
        repeat = None if taken or leaf is None else leaf.repeat
        why = to_tell(entry, now, work.now, repeat, resolved=wants)
        if why is None:
            continue
        telling[receiver] = why
        if "/" in receiver:  # paged step by step; who was paged hears the end from there
            if why not in ("all resolved", "some resolved"):
                begin(work, receiver, f"route {group.route}: {why}", group=group)
            group.log[receiver] = Entry(work.now, frozenset(now.firing), frozenset(now.resolved)).kept()
            continue
        unwanted = why == "all resolved" and not wants
        some = firing if now.firing else []
        sent = ("", "") if unwanted else _put(work, group, receiver, entry, (why, some, seen.over))
        group.log[receiver] = Entry(work.now, frozenset(now.firing), frozenset(now.resolved), *sent).kept()
    if telling:
        for member in firing:
            member.told = True
        _record(work, group, telling, firing, seen.over)
    return telling


def _marks(members: Iterable[MemberRow]) -> list[str]:
    return [mark(member.alert.subject) for member in members]


def _entry(group: GroupRow, receiver: str) -> Entry | None:
    """What the receiver was told last; nothing if that message will never come."""
    kept = group.log.get(receiver)
    if kept is None:
        return None
    entry = Entry.read(kept)
    lost = bool(entry.last) and OutboxRow.objects.filter(id=entry.last, state__in=LOST).exists()
    return None if lost else entry


def _put(
    work: Work,
    group: GroupRow,
    receiver: str,
    entry: Entry | None,
    told: tuple[Telling, Sequence[MemberRow], Sequence[MemberRow]],
) -> tuple[str, str]:
    """Write one message about the group; the ids of the first and of this one."""
    why, firing, over = told
    payload = group_payload(group, [one.alert for one in firing], [one.alert for one in over])
    before = entry.last if entry else ""
    waits = bool(before) and OutboxRow.objects.filter(id=before, state__in=UNDER_WAY).exists()
    row = row_after(work, receiver, before if waits else "")
    row.kind = "firing" if firing else "resolved"
    row.group, row.alert_id = group, payload["alert"]["id"]
    row.payload = payload | {"thread": entry.first if entry else ""}
    row.reason = f"route {group.route}: {why}"[:300]
    put(work, [row])
    return (entry.first if entry and entry.first else row.id), row.id


def _settle(work: Work, group: GroupRow, members: Sequence[MemberRow], seen: _Flush) -> None:
    """Say what became of each alert, and when the group is flushed next, or that it is over."""
    gone = {member.pk for member in (*seen.over, *seen.leaving)}
    gone |= {member.pk for member in seen.astray if not member.told}
    rerouted = [member.alert_id for member in seen.astray if member.held != ASTRAY]
    for member in members:
        member.held = seen.held.get(member.pk, "")[:400]
        if member.pk in gone:
            member.left_at = work.now
    if rerouted:  # other routes may take them now
        alerts = AlertRow.objects.filter(id__in=rerouted, status="firing")
        alerts.update(next_at=work.now, news="it goes to other routes now")
    group.flushed_at = work.now
    if len(gone) < len(members):
        interval = seen.leaf.group_interval if seen.leaf else GROUP_INTERVAL
        group.next_at = min(work.now + interval, seen.again)
    else:
        group.next_at, group.closed_at = None, work.now
        work.record(GroupClosed(f"group/{group.id}", route=group.route, labels=group.labels))
    group.save(update_fields=["flushed_at", "next_at", "closed_at", "log"])


def _record(
    work: Work,
    group: GroupRow,
    telling: dict[str, Telling],
    firing: Sequence[MemberRow],
    over: Sequence[MemberRow],
) -> None:
    work.record(
        GroupNotified(
            f"group/{group.id}",
            route=group.route,
            labels=group.labels,
            receivers=dict(telling),
            firing=len(firing),
            resolved=len(over),
            alerts=[member.alert_id for member in (*firing, *over)[:_TOLD]],
        )
    )
