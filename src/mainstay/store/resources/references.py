"""References between resources: each must exist after the plan, and none may lead back to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mainstay.kernel.diagnostics import Diagnostics, did_you_mean
from mainstay.kernel.resource import KINDS, Resource
from mainstay.store.resources.declarations import LIMIT_MISTAKES, Declaration

Key = tuple[str, str]
_GUESSES = 30  # comparing a name with ten thousand others takes long; a person fixes the first ones first


class Stored(Protocol):
    """What is declared already, as far as it is asked for (store/resources/queries.py)."""

    def existing(self, keys: Iterable[Key]) -> set[Key]:
        """Those of them that there are."""

    def names(self, kind: str) -> set[str]:
        """All names of a kind."""

    def named_by(self, keys: Iterable[Key]) -> list[Resource]:
        """The resources that name any of these."""

    def named_in(self, kind: str, names: Iterable[str]) -> dict[str, list[str]]:
        """Which others of its own kind each of these names."""


@dataclass(slots=True)
class _Names:
    """The names that will exist, and guesses at what was meant by one that will not."""

    desired: Mapping[Key, Declaration]
    deleted: set[Key]
    stored: Stored | None
    known: set[Key] = field(default_factory=set)  # those of the named ones that are stored
    guesses_left: int = _GUESSES
    guessed: dict[Key, str] = field(default_factory=dict)

    def has(self, key: Key) -> bool:
        return key in self.desired or (key in self.known and key not in self.deleted)

    def guess(self, key: Key) -> str:
        if key not in self.guessed and self.guesses_left > 0:
            self.guesses_left -= 1
            names = self.stored.names(key[0]) if self.stored is not None else ()
            stored = {(key[0], name) for name in names} - self.deleted
            known = sorted(name for kind, name in stored | self.desired.keys() if kind == key[0])
            self.guessed[key] = did_you_mean(key[1], known)
        return self.guessed.get(key, "")


def check_references(
    desired: Mapping[Key, Declaration], deleted: set[Key], diagnostics: Diagnostics, stored: Stored | None = None
) -> None:
    """Note references to what will not exist, deletions of what is still named, and cycles.

    stored: None if nothing is declared beside it.
    """
    names = _Names(desired, deleted, stored)
    if stored is not None:
        names.known = stored.existing({key for own in desired.values() for key in own.targets} - desired.keys())
    for own in desired.values():
        if len(diagnostics) <= LIMIT_MISTAKES:
            _check_targets(own, names, diagnostics)
    if stored is not None:
        _check_deleted(desired, deleted, diagnostics, stored)
    named = {key: [name for kind, name in own.targets if kind == key[0]] for key, own in desired.items()}
    if stored is not None:
        _read_on(named, deleted, stored)
    _check_cycles(desired, named, diagnostics)


def _check_targets(own: Declaration, names: _Names, diagnostics: Diagnostics) -> None:
    for reference in own.references:
        key = (reference.kind, reference.name)
        if not names.has(key):
            hint = names.guess(key) or f"declare it under `{KINDS[reference.kind].plural}`"
            place = own.origin.place(reference.path)
            message = f"no {reference.kind} `{reference.name[:100]}`"
            diagnostics.add(message, place, hint=hint, path=own.origin.dotted(reference.path))


def _check_deleted(
    desired: Mapping[Key, Declaration], deleted: set[Key], diagnostics: Diagnostics, stored: Stored
) -> None:
    gone = deleted - desired.keys()
    for resource in stored.named_by(gone):
        key = (resource.kind, resource.name)
        if key not in deleted and key not in desired:
            _note_users(resource, gone, diagnostics)


def _note_users(resource: Resource, gone: set[Key], diagnostics: Diagnostics) -> None:
    for reference in KINDS[resource.kind].references(resource.spec):
        if (reference.kind, reference.name) in gone:
            where = ".".join(str(step) for step in reference.path)
            message = (
                f"the {reference.kind} `{reference.name}` cannot be deleted: "
                f"the {resource.kind} `{resource.name}` refers to it in `{where}`"
            )
            path = f"{KINDS[reference.kind].plural}.{reference.name}"
            diagnostics.add(message, hint="change that first, or delete both together", path=path)


def _check_cycles(desired: Mapping[Key, Declaration], named: Mapping[Key, list[str]], diagnostics: Diagnostics) -> None:
    """Follow references within one kind, from what is declared now; what was stored has no cycle of its own."""
    finished: set[Key] = set()
    for key, own in desired.items():
        cycle = _cycle_from(key, lambda key: named.get(key, ()), finished)
        if cycle:
            chain = " -> ".join(cycle)
            message = f"the {own.kind.name}s depend on each other in a cycle: {chain}"
            first = desired.get((key[0], cycle[0]), own)
            diagnostics.add(message, first.origin.place(key=True), path=first.origin.dotted())


def _read_on(named: dict[Key, list[str]], deleted: set[Key], stored: Stored) -> None:
    """Add what stored ones name that are named, and so on, generation by generation."""
    ahead = {(kind, name) for (kind, _), names in named.items() for name in names} - named.keys() - deleted
    while ahead:
        named.update((key, []) for key in ahead)
        for kind in {kind for kind, _ in ahead}:
            found = stored.named_in(kind, [name for other, name in ahead if other == kind])
            named.update(((kind, name), targets) for name, targets in found.items())
        ahead = {(kind, name) for kind, own in ahead for name in named[kind, own]} - named.keys() - deleted


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
