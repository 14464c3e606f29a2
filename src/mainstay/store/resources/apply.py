"""The only writers of resources: apply a plan, declare, remove, roll back. All of a plan holds, or nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Forbidden, StalePlan
from mainstay.kernel.patterns import stored
from mainstay.kernel.resource import KINDS, Manager, Resource
from mainstay.store.events import ResourcesRolledBack
from mainstay.store.models import ResourceRow
from mainstay.store.resources import queries
from mainstay.store.resources.files import read_paths
from mainstay.store.resources.plan import Change, Plan
from mainstay.store.resources.planning import (
    Prune,
    Terms,
    plan_reading,
    plan_removal,
    plan_resource,
    plan_resources,
    plan_rollback,
)
from mainstay.store.resources.writing import written
from mainstay.store.secrets import SecretSource

_REPEATS = 5


def apply(actor: Actor, plan: Plan, *, message: str = "") -> int:
    """Make a plan true and return the revision's number; without differences nothing is written.

    StalePlan if the resources changed since it was made.
    """
    actor.require("resources:write")
    _require_grants(actor, plan)
    with written(actor, plan, message) as (_work, revision):
        return revision


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
        return plan_removal(actor, [(kind, name)], terms)

    return _replanned(actor, make)[0]


def remove_all(
    actor: Actor, keys: Iterable[tuple[str, str]], *, manager: Manager, source: str = "", takeover: bool = False
) -> int:
    """Delete these resources, (kind, name) each, in one revision; its number. InvalidInput while others name them."""
    actor.require("resources:write")
    wanted, terms = list(keys), Terms(manager, source, takeover)
    return _replanned(actor, lambda: plan_removal(actor, wanted, terms))[0]


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
    with written(actor, plan, message or f"roll back to revision {number}") as (work, revision):
        if not plan.is_empty:
            work.record(ResourcesRolledBack(f"revision/{revision}", to=number, revision=revision))
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
                f"{actor} cannot grant what it lacks: {' '.join(beyond)}",
                hint=f"the {change.kind} `{change.name}` requires all of these",
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
    """The scopes that a change takes by what it declares; who takes a resource away needs none, but of a kind alone."""
    kind = KINDS.by_name.get(change.kind)
    state = change.after or (change.before if kind is not None and kind.alone else None)
    if kind is None or state is None:
        return frozenset()
    with stored():
        return kind.needs(kind.validate(state.document))


def _require_named(actor: Actor, scope: str, change: Change) -> None:
    if not actor.may(scope):
        verb = "declare" if change.after else "delete"
        raise Forbidden(
            f"{actor} may not {verb} the {change.kind} `{change.name}`: the scope {scope} is missing",
            hint="an administrator, or a file or command on the machine itself, may; leave it out to apply the rest",
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
    return StalePlan("the resources keep changing", hint="try again when the other changes are done")


def _check_expected(kind: str, name: str, expected: int | None) -> None:
    if expected is None:
        return
    row = ResourceRow.objects.filter(kind=kind, name=name).values("revision").first()
    actual = row["revision"] if row else 0
    if actual != expected:
        what = "already exists" if expected == 0 else "is gone" if actual == 0 else f"was changed in revision {actual}"
        raise StalePlan(f"the {kind} `{name[:100]}` {what}", hint="review it again before you change it")
