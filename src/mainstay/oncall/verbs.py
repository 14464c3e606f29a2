"""Changes by hand to who is on duty: overrides, swaps and temporary schedules.

`oncall:write` changes everything. Whoever may read may also take a shift, if a person has their e-mail address, ask
another to take a shift of their own, and answer when they are asked: who takes a shift must agree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.kernel.ids import new_id
from mainstay.kernel.resource import Resource
from mainstay.oncall import events
from mainstay.oncall.models import OverrideRow, SwapRow, TemporaryRow
from mainstay.oncall.queries import duty, forecast, named_by
from mainstay.oncall.rules.forecast import WEEK
from mainstay.store.resources.queries import by_uid, resource
from mainstay.store.work import Work, unit_of_work

READ, WRITE = "oncall:read", "oncall:write"
LONGEST = 366 * 86_400.0  # seconds
_MOST_SHIFTS = 500
Answer = Literal["accepted", "declined", "withdrawn"]
Span = tuple[float, float]  # epoch seconds, from the first to before the second


def override(
    actor: Actor,
    schedule: str,
    span: Span,
    *,
    add: str = "",
    remove: str = "",
    note: str = "",
    clock: Clock | None = None,
) -> str:
    """Change who is on duty for a while; its id. The same again is no second one.

    add: is on duty too. remove: is not. Both: the one stands in for the other, where that one would be on duty.
    """
    actor.require(READ)
    with unit_of_work(actor, clock) as work:
        own = named_by(actor)
        if not actor.may(WRITE) and not (own and add == own):
            raise _not_yours("take a shift yourself, or ask for a swap")
        found = _asked(work, schedule, span, (add, remove))
        if not add and not remove:
            raise UserError("an override adds or removes somebody", hint="say who")
        if add == remove:
            raise UserError(f"{add} cannot stand in for {add}", hint="say two different people")
        return _override(work, found, span, (add, remove), note)


def remove_override(actor: Actor, identifier: str, *, clock: Clock | None = None) -> bool:
    """Remove one that is not over; what is past of it stays as it was recorded. False if there is none."""
    actor.require(READ)
    with unit_of_work(actor, clock) as work:
        row = OverrideRow.objects.filter(id=identifier, end__gt=work.now).first()
        if row is None:
            return False
        own = named_by(actor)
        if not actor.may(WRITE) and not (own and row.add == own and row.made_by == str(actor)):
            raise _not_yours("ask somebody with this scope, or ask another person to take the shift")
        if row.start < work.now:
            OverrideRow.objects.filter(id=identifier).update(end=work.now)
        else:
            row.delete()
        work.record(events.OverrideRemoved(_subject(row.schedule), override=identifier))
        return True


def ask_swap(
    actor: Actor,
    schedule: str,
    span: Span,
    people: tuple[str, str],
    *,
    back: Span | None = None,
    note: str = "",
    clock: Clock | None = None,
) -> str:
    """Ask the second of `people` to take a shift of the first, perhaps for one in return; the id of the swap."""
    actor.require(READ)
    giver, taker = people
    with unit_of_work(actor, clock) as work:
        if not actor.may(WRITE) and named_by(actor) != giver:
            raise _not_yours("ask for a swap of a shift of your own")
        found = _asked(work, schedule, span, people)
        if not giver or not taker or giver == taker:
            raise UserError("a swap is between two people", hint="say whose shift it is and who is to take it")
        _check_on_duty(work, schedule, giver, span)
        if back is not None:
            _check_span(work, back)
            _check_on_duty(work, schedule, taker, back)
        known = SwapRow.objects.filter(
            schedule=found.uid, start=span[0], end=span[1], giver=giver, taker=taker, state="asked"
        ).first()
        if known is not None:
            return known.id
        row = SwapRow(
            id=new_id(work.now),
            schedule=found.uid,
            start=span[0],
            end=span[1],
            giver=giver,
            taker=taker,
            back_start=back[0] if back else None,
            back_end=back[1] if back else None,
            note=_note(note),
            made_by=str(actor),
        )
        row.save(force_insert=True)
        told = events.SwapAsked(
            found.subject, swap=row.id, start=span[0], end=span[1], giver=giver, taker=taker, note=row.note
        )
        work.record(told)
        return row.id


def answer_swap(actor: Actor, identifier: str, answer: Answer, *, clock: Clock | None = None) -> bool:
    """The taker accepts or declines, the giver withdraws. Accepted, it is an override. False if it was so already.

    NotFound if there is none, Conflict if it was answered otherwise, UserError if the shift is over.
    """
    actor.require(READ)
    with unit_of_work(actor, clock) as work:
        row = SwapRow.objects.select_for_update().filter(id=identifier).first()
        if row is None:
            raise NotFound(f"there is no swap `{identifier[:30]}`")
        if not actor.may(WRITE) and named_by(actor) != (row.giver if answer == "withdrawn" else row.taker):
            raise _not_yours("the person who is asked answers, and the one who asked withdraws")
        if row.state == answer:
            return False
        if row.state != "asked":
            raise Conflict(f"the swap was {row.state} already", hint="ask for another one")
        row.state = answer
        row.save(update_fields=["state"])
        if answer == "accepted":
            _swap(work, row)
        subject = _subject(row.schedule)
        work.record(events.SwapAnswered(subject, swap=row.id, giver=row.giver, taker=row.taker, answer=answer))
        return True


def make_temporary(
    actor: Actor,
    schedule: str,
    span: Span,
    shifts: Sequence[tuple[float, float, str]],
    *,
    note: str = "",
    clock: Clock | None = None,
) -> str:
    """From one time to another, these shifts stand for all rotations and overrides; its id."""
    actor.require(WRITE)
    with unit_of_work(actor, clock) as work:
        found = _asked(work, schedule, span, tuple(person for _, _, person in shifts))
        if len(shifts) > _MOST_SHIFTS:
            raise UserError(f"a temporary schedule has at most {_MOST_SHIFTS} shifts", hint="make a shorter one")
        for start, end, person in shifts:
            if not person or not span[0] <= start < end <= span[1]:
                raise UserError("each shift has a person and lies within the temporary schedule", hint="mend its times")
        row = TemporaryRow(
            id=new_id(work.now),
            schedule=found.uid,
            start=span[0],
            end=span[1],
            shifts=json.dumps([list(shift) for shift in shifts]),
            note=_note(note),
            made_by=str(actor),
        )
        row.save(force_insert=True)
        work.record(events.TemporaryMade(found.subject, temporary=row.id, start=row.start, end=row.end, note=row.note))
        return row.id


def remove_temporary(actor: Actor, identifier: str, *, clock: Clock | None = None) -> bool:
    """Remove one that is not over. False if there is none."""
    actor.require(WRITE)
    with unit_of_work(actor, clock) as work:
        row = TemporaryRow.objects.filter(id=identifier, end__gt=work.now).first()
        if row is None:
            return False
        if row.start < work.now:
            TemporaryRow.objects.filter(id=identifier).update(end=work.now)
        else:
            row.delete()
        work.record(events.TemporaryRemoved(_subject(row.schedule), temporary=identifier))
        return True


def _override(work: Work, schedule: Resource, span: Span, people: tuple[str, str], note: str) -> str:
    add, remove = people
    same = OverrideRow.objects.filter(schedule=schedule.uid, start=span[0], end=span[1], add=add, remove=remove).first()
    if same is not None:
        return same.id
    row = OverrideRow(
        id=new_id(work.now),
        schedule=schedule.uid,
        start=span[0],
        end=span[1],
        add=add,
        remove=remove,
        note=_note(note),
        made_by=str(work.actor),
    )
    row.save(force_insert=True)
    work.record(
        events.Overridden(
            schedule.subject, override=row.id, start=row.start, end=row.end, add=add, remove=remove, note=row.note
        )
    )
    return row.id


def _swap(work: Work, row: SwapRow) -> None:
    """What of the shifts is still to come changes hands."""
    schedule = by_uid(row.schedule)
    if schedule is None or row.end <= work.now:
        raise UserError("the shift is over", hint="decline the swap")
    _override(work, schedule, (max(row.start, work.now), row.end), (row.taker, row.giver), row.note)
    if row.back_start is not None and row.back_end is not None and row.back_end > work.now:
        back = (max(row.back_start, work.now), row.back_end)
        _override(work, schedule, back, (row.giver, row.taker), row.note)


def _asked(work: Work, schedule: str, span: Span, people: Sequence[str]) -> Resource:
    """The schedule; UserError if the times make no sense, NotFound if it or a person is not declared."""
    found = resource("schedule", schedule)
    _check_span(work, span)
    for person in filter(None, dict.fromkeys(people)):
        resource("person", person)
    return found


def _check_on_duty(work: Work, schedule: str, person: str, span: Span) -> None:
    begin = max(span[0], work.now)
    seen = forecast(duty(work.now).schedules[schedule], begin, (span[1] - begin) / WEEK)
    if not any(shift.person == person for shift in seen.shifts):
        raise UserError(f"{person} is not on duty then", hint="choose the times of a shift")


def _check_span(work: Work, span: Span) -> None:
    start, end = span
    if not start < end or end - start > LONGEST:
        raise UserError("it must end after it begins, and last a year at most", hint="mend its times")
    if end <= work.now:
        raise UserError("it would be over already: the past is as it was recorded", hint="choose a time to come")


def _note(text: str) -> str:
    if len(text) > 500:
        raise UserError("a note has at most 500 characters", hint="say less")
    return text.strip().replace("\0", "")


def _subject(uid: str) -> str:
    found = by_uid(uid)
    return found.subject if found is not None else f"schedule/{uid}"


def _not_yours(hint: str) -> Forbidden:
    return Forbidden("this changes the duty of others, for which the scope oncall:write is missing", hint=hint)
