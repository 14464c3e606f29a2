"""The only writers of resources: apply a plan, declare, remove, roll back. One transaction each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import IntegrityError, transaction

from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Forbidden, StalePlan
from mainstay.kernel.event import Event
from mainstay.kernel.ids import new_id
from mainstay.kernel.patterns import stored
from mainstay.kernel.resource import KINDS, Manager, Resource
from mainstay.store.models import ChangeRow, ResourceRow, RevisionRow
from mainstay.store.proof import canonical
from mainstay.store.resources import queries
from mainstay.store.resources.files import read_paths
from mainstay.store.resources.plan import Change, Plan, State
from mainstay.store.resources.planning import (
    Prune,
    Terms,
    plan_reading,
    plan_removal,
    plan_resource,
    plan_resources,
    plan_rollback,
)
from mainstay.store.secrets import SecretSource
from mainstay.store.work import Work, unit_of_work

_BATCH = 500
_NAMES_TOLD = 100  # names that an event lists per action; the counts are exact
_REPEATS = 5


def apply(actor: Actor, plan: Plan, *, message: str = "") -> int:
    """Make a plan true and return the revision's number; without differences nothing is written.

    StalePlan if the resources changed since it was made.
    """
    actor.require("resources:write")
    _require_grants(actor, plan)
    with unit_of_work(actor, long=True) as work:
        return _write(work, plan, message)


def apply_files(
    actor: Actor,
    paths: Iterable[str],
    *,
    prune: Prune = "none",
    takeover: bool = False,
    secrets: SecretSource | None = None,
) -> tuple[int, Plan]:
    """Plan and apply files; (revision, the plan that was applied). InvalidInput: nothing was applied."""
    actor.require("resources:write")
    reading = read_paths(paths)
    source = ", ".join(dict.fromkeys(reading.sources.values()))[:400]
    terms = Terms("file", source, takeover, prune, secrets)
    return _replanned(actor, lambda: plan_reading(actor, reading, terms))


def declare(
    actor: Actor,
    kind: str,
    name: str,
    document: Any,
    *,
    manager: Manager,
    source: str = "",
    takeover: bool = False,
    position: int | None = None,
    expected: int | None = None,
) -> Resource:
    """Create or change one resource and return it.

    `expected` is the revision of the resource that the caller saw (0: it must be new); StalePlan if it moved.
    Conflict if a file keeps it, unless `takeover`. InvalidInput carries paths such as `monitors.api.every`.
    """
    actor.require("resources:write")
    terms = Terms(manager, source, takeover)

    def make() -> Plan:
        _check_expected(kind, name, expected)
        return plan_resource(actor, kind, name, document, terms, position=position)

    _replanned(actor, make)
    return queries.resource(kind, name)


def declare_all(
    actor: Actor, wanted: Iterable[tuple[str, str, Any]], *, manager: Manager, source: str = "", takeover: bool = False
) -> int:
    """Create or change several resources, (kind, name, document) each, in one revision; its number."""
    actor.require("resources:write")
    entries, terms = list(wanted), Terms(manager, source, takeover)
    return _replanned(actor, lambda: plan_resources(actor, entries, terms))[0]


def remove(
    actor: Actor,
    kind: str,
    name: str,
    *,
    manager: Manager,
    source: str = "",
    takeover: bool = False,
    expected: int | None = None,
) -> int:
    """Delete one resource and return the revision. InvalidInput while another one names it."""
    actor.require("resources:write")
    terms = Terms(manager, source, takeover)

    def make() -> Plan:
        _check_expected(kind, name, expected)
        return plan_removal(actor, kind, name, terms)

    return _replanned(actor, make)[0]


def rollback(actor: Actor, number: int, *, manager: Manager = "command", source: str = "") -> tuple[int, Plan]:
    """Restore all resources as they were right after a revision; (new revision, the plan)."""
    actor.require("resources:write")
    terms = Terms(manager, source, takeover=True)
    message = f"roll back to revision {number}"
    for _ in range(_REPEATS):
        plan = plan_rollback(actor, number, terms)
        try:
            return apply_rollback(actor, number, plan, message), plan
        except StalePlan:
            continue
    raise _never_still()


def apply_rollback(actor: Actor, number: int, plan: Plan, message: str = "") -> int:
    """Apply what `plan_rollback` made, and say in the journal that it was one."""
    actor.require("resources:write")
    _require_grants(actor, plan)
    with unit_of_work(actor, long=True) as work:
        revision = _write(work, plan, message or f"roll back to revision {number}")
        if not plan.is_empty:
            data = {"to": number, "revision": revision}
            work.record(Event("resources.rolled_back", f"revision/{revision}", data))
        return revision


def changes_access(plan: Plan) -> bool:
    """Whether a plan touches what says who may do what, or what is as good as an account on this machine."""
    return any(_grants(change) is not None or _needs(change) for change in plan.differences)


def _require_grants(actor: Actor, plan: Plan) -> None:
    """Forbidden if the plan hands out, takes back or declares what the actor has no say in."""
    for change in plan.differences:
        for scope in sorted(_needs(change)):
            _require_named(actor, scope, change)
        granted = _grants(change)
        if granted is None:
            continue
        actor.require("users:write")
        beyond = sorted(granted - actor.scopes)
        if beyond:
            raise Forbidden(
                f"{actor} cannot hand out what it lacks: {' '.join(beyond)}",
                hint=f"the {change.kind} `{change.name}` is for somebody who holds all of these",
            )


def _grants(change: Change) -> frozenset[str] | None:
    """The scopes that a change hands out or takes back; None for a kind that has to do with neither."""
    kind = KINDS.by_name.get(change.kind)
    if kind is None or kind.grants is None:
        return None
    scopes: frozenset[str] = frozenset()
    with stored():
        for state in (change.before, change.after):
            scopes |= kind.grants(kind.validate(state.document)) if state is not None else frozenset()
    return scopes


def _needs(change: Change) -> frozenset[str]:
    """The scopes that a change takes by what it declares; who takes a resource away needs none of them."""
    kind = KINDS.by_name.get(change.kind)
    if kind is None or change.after is None:
        return frozenset()
    return kind.needs(kind.validate(change.after.document))


def _require_named(actor: Actor, scope: str, change: Change) -> None:
    if not actor.may(scope):
        raise Forbidden(
            f"{actor} may not declare the {change.kind} `{change.name}`: the scope {scope} is missing",
            hint="an administrator may, or a file or command on the machine itself; leave it out to apply the rest",
        )


def _replanned(actor: Actor, make: Callable[[], Plan]) -> tuple[int, Plan]:
    """Plan and apply, again if somebody else applied in between."""
    for _ in range(_REPEATS):
        plan = make()
        try:
            return apply(actor, plan), plan
        except StalePlan:
            continue
    raise _never_still()


def _never_still() -> StalePlan:
    return StalePlan("the resources keep changing", hint="try again when the other changes are through")


def _check_expected(kind: str, name: str, expected: int | None) -> None:
    if expected is None:
        return
    row = ResourceRow.objects.filter(kind=kind, name=name).values("revision").first()
    actual = row["revision"] if row else 0
    if actual != expected:
        what = (
            "is there already" if expected == 0 else "is gone" if actual == 0 else f"was changed in revision {actual}"
        )
        raise StalePlan(f"the {kind} `{name[:100]}` {what}", hint="look at it again before you change it")


def _write(work: Work, plan: Plan, message: str) -> int:
    changes = plan.differences
    base = queries.latest_revision()
    if base != plan.base:
        raise StalePlan(
            f"the resources changed since this plan was made (revision {plan.base}, now {base})", hint="plan again"
        )
    if not changes:
        return base
    revision = _new_revision(work, plan, message)
    identified = [(change, change.uid or new_id(work.now)) for change in changes]
    _delete([uid for change, uid in identified if change.after is None])
    _upsert([_row(change, uid, revision.number) for change, uid in identified if change.after is not None])
    records = [_record(change, uid, revision) for change, uid in identified]
    ChangeRow.objects.bulk_create(records, batch_size=_BATCH)
    work.record(Event("resources.applied", f"revision/{revision.number}", _told(plan, changes, revision.number)))
    return revision.number


def _new_revision(work: Work, plan: Plan, message: str) -> RevisionRow:
    """The next number is given here and not by the database: of two writers, one finds it taken."""
    try:
        with transaction.atomic():
            return RevisionRow.objects.create(
                number=plan.base + 1,
                at_us=int(work.now * 1_000_000),
                actor=str(work.actor)[:300],
                manager=plan.manager,
                source=plan.source[:400],
                message=message[:500],
            )
    except IntegrityError:
        raise StalePlan("somebody else applied at the same time", hint="plan again") from None


def _delete(uids: list[str]) -> None:
    for start in range(0, len(uids), _BATCH):
        ResourceRow.objects.filter(uid__in=uids[start : start + _BATCH]).delete()


def _upsert(rows: list[ResourceRow]) -> None:
    kept = ["kind", "name", "document", "manager", "source", "position", "revision"]
    ResourceRow.objects.bulk_create(
        rows, batch_size=_BATCH, update_conflicts=True, unique_fields=["uid"], update_fields=kept
    )


def _row(change: Change, uid: str, revision: int) -> ResourceRow:
    after = change.after or State({}, "file")
    return ResourceRow(
        uid=uid,
        kind=change.kind,
        name=change.name,
        document=canonical(after.document),
        manager=after.manager,
        source=after.source,
        position=after.position,
        revision=revision,
    )


def _record(change: Change, uid: str, revision: RevisionRow) -> ChangeRow:
    before = canonical(change.before.as_dict()) if change.before else None
    after = canonical(change.after.as_dict()) if change.after else None
    return ChangeRow(revision=revision, uid=uid, kind=change.kind, name=change.name, before=before, after=after)


def _told(plan: Plan, changes: list[Change], revision: int) -> dict[str, Any]:
    """What the event says: exact counts, and the first names of each action by kind."""
    words = {"create": "created", "update": "changed", "delete": "deleted"}
    names: dict[str, dict[str, list[str]]] = {word: {} for word in words.values()}
    counts = dict.fromkeys(words.values(), 0)
    for change in changes:
        word = words[change.action]
        counts[word] += 1
        if counts[word] <= _NAMES_TOLD:
            names[word].setdefault(change.kind, []).append(change.name)
    return {"revision": revision, "manager": plan.manager, "source": plan.source, "counts": counts, **names}
