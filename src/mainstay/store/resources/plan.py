"""Plans: what would change, resource by resource and field by field. Pure: no database, no clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mainstay.kernel.diagnostics import Diagnostic
from mainstay.kernel.resource import KINDS, Manager, Resource
from mainstay.store.resources.declarations import Declaration

Action = Literal["create", "update", "delete", "unchanged"]
ABSENT: Any = object()  # there is no such field before, or after


@dataclass(frozen=True, slots=True)
class FieldChange:
    """`path` is dotted (`expect.status`); a side that has no such field holds ABSENT."""

    path: str
    before: Any = ABSENT
    after: Any = ABSENT

    def as_dict(self) -> dict[str, Any]:
        sides = {"before": self.before, "after": self.after}
        return {"path": self.path, **{name: value for name, value in sides.items() if value is not ABSENT}}


@dataclass(frozen=True, slots=True)
class State:
    """One side of a change: what a resource is, and who keeps it."""

    document: dict[str, Any]
    manager: Manager
    source: str = ""
    position: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "document": self.document,
            "manager": self.manager,
            "source": self.source,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource. `uid` is empty for one that is new; `targets`: (kind, name) of what it names."""

    action: Action
    kind: str
    name: str
    uid: str
    before: State | None
    after: State | None
    targets: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> list[FieldChange]:
        """Field by field, with the position in a listed kind as a field of its own."""
        before = self.before.document if self.before else {}
        after = self.after.document if self.after else {}
        changes = list(differences(before, after))
        if self.before and self.after and self.before.position != self.after.position:
            changes.append(FieldChange("position", self.before.position, self.after.position))
        return changes

    @property
    def takeover(self) -> bool:
        """Whether another manager, or another file, keeps the resource from now on."""
        return bool(self.before and self.after) and self.keeper_before != self.keeper_after

    @property
    def only_keeper(self) -> bool:
        """Whether nothing but who keeps it changes."""
        return self.takeover and not self.fields

    @property
    def keeper_before(self) -> str:
        return _keeper(self.before)

    @property
    def keeper_after(self) -> str:
        return _keeper(self.after)

    def as_dict(self) -> dict[str, Any]:
        side = self.after or self.before
        found: dict[str, Any] = {"action": self.action, "kind": self.kind, "name": self.name, "uid": self.uid or None}
        if side is not None:
            found |= {"manager": side.manager, "source": side.source}
        if self.takeover and self.before:
            found["taken_over_from"] = {"manager": self.before.manager, "source": self.before.source}
        return {**found, "fields": [change.as_dict() for change in self.fields]}


def _keeper(state: State | None) -> str:
    if state is None:
        return ""
    # Who on a page or through which token is told by the revision; only files keep their resources apart.
    return f"file {state.source}" if state.manager == "file" else state.manager


@dataclass(frozen=True, slots=True)
class Plan:
    """`base` is the revision that the plan was made against; apply refuses any other."""

    base: int
    changes: tuple[Change, ...]
    manager: Manager
    source: str = ""
    warnings: tuple[Diagnostic, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def differences(self) -> list[Change]:
        return [change for change in self.changes if change.action != "unchanged"]

    @property
    def is_empty(self) -> bool:
        return not self.differences

    @property
    def taken_over(self) -> int:
        """How many are as declared, and only change who keeps them; `counts` has them among the updates."""
        return sum(change.only_keeper for change in self.changes)

    @property
    def changed(self) -> int:
        """How many are different afterwards."""
        return self.counts.get("update", 0) - self.taken_over

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: `base`, `counts` by action, `changes` without the unchanged, `warnings`."""
        return {
            "base": self.base,
            "counts": dict(self.counts),
            "changes": [change.as_dict() for change in self.differences],
            "warnings": [warning.as_dict() for warning in self.warnings],
        }


def differences(before: Any, after: Any, path: str = "") -> Iterator[FieldChange]:
    """Changed fields in the order of the new document, then those that are gone."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            inner, old, new = f"{path}.{key}" if path else key, before.get(key, ABSENT), after.get(key, ABSENT)
            if isinstance(old, list | dict) or isinstance(new, list | dict):
                yield from differences(old, new, inner)
            elif not _same(old, new):
                yield FieldChange(inner, old, new)
    elif isinstance(before, dict) and before and after is ABSENT:
        yield from differences(before, {}, path)
    elif isinstance(after, dict) and after and before is ABSENT:
        yield from differences({}, after, path)
    elif _both_lists_of_mappings(before, after):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else ABSENT
            new = after[index] if index < len(after) else ABSENT
            yield from differences(old, new, f"{path}.{index}")
    elif not _same(before, after):
        yield FieldChange(path, before, after)


def _both_lists_of_mappings(before: Any, after: Any) -> bool:
    if not (isinstance(before, list) and before and isinstance(after, list) and after):
        return False
    return all(isinstance(entry, dict) for entry in (*before, *after))


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, list | dict) and isinstance(after, list | dict):
        return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    # True equals 1 in Python, and not in JSON.
    return isinstance(before, bool) == isinstance(after, bool) and bool(before == after)


def make_plan(
    base: int,
    current: Mapping[tuple[str, str], Resource],
    desired: Iterable[Declaration],
    deleted: Iterable[Resource],
    *,
    manager: Manager,
    source: str = "",
) -> Plan:
    """The changes from `current` to `desired`, in the order of kinds, and then the deletions."""
    changes: list[Change] = []
    for own in desired:
        changes += _changes(own, current.get(own.key))
    changes += [_deletion(resource) for resource in deleted]
    order = {kind.name: index for index, kind in enumerate(KINDS)}
    changes.sort(key=lambda change: (change.action == "delete", order.get(change.kind, len(order))))
    counts = Counter(change.action for change in changes)
    totals = {action: counts[action] for action in ("create", "update", "delete", "unchanged")}
    return Plan(base, tuple(changes), manager, source, counts=totals)


def _changes(own: Declaration, resource: Resource | None) -> Iterator[Change]:
    after = State(own.document, own.manager, own.source, own.position if own.kind.listed else 0)
    if resource is not None and own.uid and own.uid != resource.uid:
        yield _deletion(resource)  # an earlier resource of the same name comes back
        resource = None
    if resource is None:
        yield Change("create", own.kind.name, own.name, own.uid, None, after, own.targets)
        return
    before = State(resource.document, resource.manager, resource.source, resource.position)
    change = Change("update", own.kind.name, own.name, resource.uid, before, after, own.targets)
    # Saving on a page what a file declares in the same words takes nothing over.
    moved = own.manager == "file" or bool(own.uid)
    # As JSON, since True equals 1 in Python; field by field only where something differs.
    same = after.position == before.position and _same(before.document, after.document)
    if not same or (change.takeover and moved):
        yield change
    else:
        yield Change("unchanged", own.kind.name, own.name, resource.uid, before, before)


def _deletion(resource: Resource) -> Change:
    before = State(resource.document, resource.manager, resource.source, resource.position)
    return Change("delete", resource.kind, resource.name, resource.uid, before, None)
