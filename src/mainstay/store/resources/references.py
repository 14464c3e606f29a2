"""References between resources: each must exist after the plan, and none may lead back to itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mainstay.kernel.diagnostics import Diagnostics, did_you_mean
from mainstay.kernel.resource import KINDS, Resource
from mainstay.store.resources.declarations import LIMIT_MISTAKES, Declaration

Key = tuple[str, str]
_GUESSES = 30  # comparing a name with ten thousand others takes long; a person fixes the first ones first


@dataclass(slots=True)
class _Names:
    """The names that will exist, and guesses at what was meant by one that will not."""

    by_kind: Mapping[str, set[str]]
    guesses_left: int = _GUESSES
    guessed: dict[Key, str] = field(default_factory=dict)

    def guess(self, key: Key) -> str:
        if key not in self.guessed and self.guesses_left > 0:
            self.guesses_left -= 1
            self.guessed[key] = did_you_mean(key[1], self.by_kind.get(key[0], ()))
        return self.guessed.get(key, "")


def check_references(
    current: Mapping[Key, Resource], desired: Mapping[Key, Declaration], deleted: set[Key], diagnostics: Diagnostics
) -> None:
    """Note references to what will not exist, deletions of what is still named, and cycles."""
    by_kind: dict[str, set[str]] = {kind.name: set() for kind in KINDS}
    for kind, name in (current.keys() - deleted) | desired.keys():
        by_kind.setdefault(kind, set()).add(name)
    names = _Names(by_kind)
    for own in desired.values():
        if len(diagnostics) <= LIMIT_MISTAKES:
            _check_targets(own, names, diagnostics)
    _check_deleted(current, desired, deleted, diagnostics)
    _check_cycles(current, desired, deleted, diagnostics)


def _check_targets(own: Declaration, names: _Names, diagnostics: Diagnostics) -> None:
    spec = own.spec or own.partial
    for reference in own.kind.references(spec) if spec is not None else ():
        if reference.name not in names.by_kind.get(reference.kind, ()):
            hint = names.guess((reference.kind, reference.name)) or f"declare it under `{KINDS[reference.kind].plural}`"
            place = own.origin.place(reference.path)
            message = f"no {reference.kind} `{reference.name[:100]}`"
            diagnostics.add(message, place, hint=hint, path=own.origin.dotted(reference.path))


def _check_deleted(
    current: Mapping[Key, Resource], desired: Mapping[Key, Declaration], deleted: set[Key], diagnostics: Diagnostics
) -> None:
    gone = deleted - desired.keys()
    if not gone:
        return
    quoted = [json.dumps(name, ensure_ascii=False) for _, name in gone]
    for key, resource in current.items():
        if key in deleted or key in desired:
            continue
        text = json.dumps(resource.document, ensure_ascii=False)
        if any(name in text for name in quoted):  # typing a spec is slow; most name nothing that goes
            _note_users(resource, gone, diagnostics)


def _note_users(resource: Resource, gone: set[Key], diagnostics: Diagnostics) -> None:
    for reference in KINDS[resource.kind].references(resource.spec):
        if (reference.kind, reference.name) in gone:
            where = ".".join(str(step) for step in reference.path)
            message = (
                f"the {reference.kind} `{reference.name}` cannot be deleted: "
                f"the {resource.kind} `{resource.name}` names it in `{where}`"
            )
            path = f"{KINDS[reference.kind].plural}.{reference.name}"
            diagnostics.add(message, hint="change that first, or delete both together", path=path)


def _check_cycles(
    current: Mapping[Key, Resource], desired: Mapping[Key, Declaration], deleted: set[Key], diagnostics: Diagnostics
) -> None:
    """Follow references within one kind, from what is declared now; what was stored has no cycle of its own."""

    def targets(key: Key) -> list[str]:
        own = desired.get(key)
        if own is not None:
            spec = own.spec or own.partial
        elif key in current and key not in deleted:
            spec = current[key].spec
        else:
            return []
        if spec is None:
            return []
        return [found.name for found in KINDS[key[0]].references(spec) if found.kind == key[0]]

    finished: set[Key] = set()
    for key, own in desired.items():
        cycle = _cycle_from(key, targets, finished)
        if cycle:
            chain = " -> ".join(cycle)
            message = f"the {own.kind.name}s depend on each other in a circle: {chain}"
            first = desired.get((key[0], cycle[0]), own)
            diagnostics.add(message, first.origin.place(key=True), path=first.origin.dotted())


def _cycle_from(start: Key, targets: Callable[[Key], Iterable[str]], finished: set[Key]) -> list[str]:
    """The names of the first cycle that can be reached from `start`, closed; empty if there is none."""
    kind = start[0]
    trail: dict[str, None] = {}
    stack: list[tuple[str, bool]] = [(start[1], True)]
    while stack:
        name, entering = stack.pop()
        if not entering:
            trail.pop(name)
            finished.add((kind, name))
        elif name in trail:
            way = list(trail)
            cycle = [*way[way.index(name) :], name]
            finished.update((kind, step) for step in way)
            return cycle
        elif (kind, name) not in finished:
            trail[name] = None
            stack.append((name, False))
            stack += [(target, True) for target in targets((kind, name))]
    return []
