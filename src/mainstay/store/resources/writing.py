"""Writing a plan down. What can be prepared is prepared before the turn to write is taken, so that it is held briefly.

A large plan is written in two steps. Its changes go to the table of changes as a draft, under a number below 0, some
hundred in a transaction; others write in between, and readers see nothing of them. One short transaction then makes the
resources so and gives the draft its revision, or finds that somebody else has applied meanwhile, and the draft is void.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction

from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import StalePlan
from mainstay.kernel.ids import new_id
from mainstay.store.events import ResourcesApplied
from mainstay.store.models import ChangeRow, ReferenceRow, ResourceRow, RevisionRow
from mainstay.store.proof import canonical
from mainstay.store.resources import queries
from mainstay.store.resources.plan import Change, Plan
from mainstay.store.resources.reference_table import move_on
from mainstay.store.rows import Row, insert_rows
from mainstay.store.work import SLICE, Work, breathe, sliced, unit_of_work

_AT_ONCE = 500  # values of one statement
_LARGE = 1000  # changes from which a plan is drafted first
_DRAFT_KEPT = 3600.0  # seconds after which a draft is what a crash has left
_NAMES_TOLD = 100  # names that an event lists per action; the counts are exact

_RESOURCE = ["uid", "kind", "name", "document", "manager", "source", "position", "revision"]
_ANEW = (
    "ON CONFLICT (uid) DO UPDATE SET document = excluded.document, manager = excluded.manager, "
    "source = excluded.source, position = excluded.position, revision = excluded.revision"
)
_CHANGE = ["uid", "kind", "name", "before", "after", "revision_id"]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The rows of a plan. `gone` are uids, `unnamed` ids of references; `changes` lack their revision."""

    gone: list[str] = field(default_factory=list)
    resources: list[Row] = field(default_factory=list)  # that are new, or changed
    changes: list[Row] = field(default_factory=list)
    named: set[Row] = field(default_factory=set)  # (uid, kind, name) of references
    unnamed: list[int] = field(default_factory=list)


@contextmanager
def written(actor: Actor, plan: Plan, message: str) -> Iterator[tuple[Work, int]]:
    """The open unit of work in which the plan has become true, and its revision's number.

    StalePlan if the resources changed since it was made; without differences nothing is written.
    """
    changes = plan.differences
    prepared = _prepare(plan, changes)
    draft = _draft(actor, plan, prepared) if len(changes) >= _LARGE else 0
    try:
        with unit_of_work(actor, long=True, name="store.resources.apply") as work:
            _check_base(plan)
            if changes:
                _write(work, plan, message, prepared, draft)
                work.record(_told(plan, changes, plan.base + 1))
            yield work, plan.base + 1 if changes else plan.base
    finally:
        if draft:
            _discard(actor, draft)


def _check_base(plan: Plan) -> None:
    base = queries.latest_revision()
    if base != plan.base:
        raise StalePlan(
            f"the resources changed since this plan was made (revision {plan.base}, now {base})", hint="plan again"
        )


def _prepare(plan: Plan, changes: list[Change]) -> _Prepared:
    prepared, revision, now = _Prepared(), plan.base + 1, time.time()
    for change in changes:
        uid, side = change.uid or new_id(now), change.after
        if side is None:
            prepared.gone.append(uid)
        else:
            row = (canonical(side.document), side.manager, side.source, side.position, revision)
            prepared.resources.append((uid, change.kind, change.name, *row))
            prepared.named.update((uid, *target) for target in change.targets)
        before, after = (canonical(one.as_dict()) if one else None for one in (change.before, side))
        prepared.changes.append((uid, change.kind, change.name, before, after))
    for some in sliced([row[0] for row in prepared.changes], _AT_ONCE):
        for found in ReferenceRow.objects.filter(uid__in=some):
            known = (found.uid, found.kind, found.name)
            if known in prepared.named:
                prepared.named.remove(known)
            else:
                prepared.unnamed.append(found.id)
    return prepared


def _draft(actor: Actor, plan: Plan, prepared: _Prepared) -> int:
    """Write the changes down where nobody looks; the number of the draft."""
    for left in RevisionRow.objects.filter(number__lt=0, at_us__lt=int((time.time() - _DRAFT_KEPT) * 1_000_000)):
        _discard(actor, left.number)
    number = -1 - secrets.randbits(60)
    with unit_of_work(actor, quiet=True) as work:
        _revision(work, plan, number, "")
    for some in sliced(prepared.changes):
        with unit_of_work(actor, quiet=True):
            insert_rows("resource_change", _CHANGE, [(*row, number) for row in some])
        breathe()
    return number


def _discard(actor: Actor, draft: int) -> None:
    """Remove a draft that was not applied; nothing is left of one that was."""
    while ids := list(ChangeRow.objects.filter(revision_id=draft).values_list("id", flat=True)[:SLICE]):
        with unit_of_work(actor, quiet=True):
            ChangeRow.objects.filter(id__in=ids).delete()
        breathe()
    if RevisionRow.objects.filter(number=draft).exists():
        with unit_of_work(actor, quiet=True):
            RevisionRow.objects.filter(number=draft).delete()


def _write(work: Work, plan: Plan, message: str, prepared: _Prepared, draft: int) -> None:
    number = plan.base + 1
    _revision(work, plan, number, message)
    for some in sliced(prepared.gone, _AT_ONCE):
        ResourceRow.objects.filter(uid__in=some).delete()
    for ids in sliced(prepared.unnamed, _AT_ONCE):
        ReferenceRow.objects.filter(id__in=ids).delete()
    insert_rows("resource", _RESOURCE, sorted(prepared.resources), _ANEW)
    insert_rows("resource_reference", ("uid", "kind", "name"), sorted(prepared.named))
    if draft:
        ChangeRow.objects.filter(revision_id=draft).update(revision_id=number)
        RevisionRow.objects.filter(number=draft).delete()
    else:
        insert_rows("resource_change", _CHANGE, [(*row, number) for row in prepared.changes])
    move_on(plan.base, number)


def _revision(work: Work, plan: Plan, number: int, message: str) -> None:
    """The number is given here and not by the database: of two writers, one finds it taken."""
    try:
        with transaction.atomic():
            RevisionRow.objects.create(
                number=number,
                at_us=int(work.now * 1_000_000),
                actor=str(work.actor)[:300],
                manager=plan.manager,
                source=plan.source[:400],
                message=message[:500],
            )
    except IntegrityError:
        raise StalePlan("somebody else applied at the same time", hint="plan again") from None


def _told(plan: Plan, changes: list[Change], revision: int) -> ResourcesApplied:
    """What the event says: exact counts, and the first names of each action by kind."""
    words = {"create": "created", "update": "changed", "delete": "deleted"}
    names: dict[str, dict[str, list[str]]] = {word: {} for word in words.values()}
    counts = dict.fromkeys(words.values(), 0)
    for change in changes:
        word = words[change.action]
        counts[word] += 1
        if counts[word] <= _NAMES_TOLD:
            names[word].setdefault(change.kind, []).append(change.name)
    return ResourcesApplied(f"revision/{revision}", revision, plan.manager, plan.source, counts, **names)
