"""From read documents to declared resources: sections, names, positions, and typed specs.

A file is a mapping of plural kinds. Most hold a mapping of names to specs; listed kinds (routes) hold a
list, whose entries are named by their own `name` or by their position; a kind of which there is one (settings)
holds its spec. Keys that begin with `x-` are
left alone, as a place for anchors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

from mainstay.kernel.diagnostics import Diagnostics, Place, did_you_mean
from mainstay.kernel.resource import KINDS, NAME_LIMIT, Kind, Manager, Reference, Spec, check_name
from mainstay.store.resources.documents import Document, Path
from mainstay.store.resources.mistakes import explain
from mainstay.store.resources.scalars import noun

LIMIT_MISTAKES = 500  # of one plan; what is wrong beyond them is not listed
LIMIT_RESOURCES = 100_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a declaration stands, so that anything about it can be told with its place."""

    document: Document
    path: Path = ()

    def place(self, path: Path = (), *, key: bool = False) -> Place:
        return self.document.place((*self.path, *path), key=key)

    def dotted(self, path: Path = ()) -> str:
        return ".".join(str(step)[:NAME_LIMIT] for step in (*self.path, *path))


@dataclass(slots=True)
class Declaration:
    """One resource as somebody wants it to be. `raw` is as it was written, `document` the shortest equal."""

    kind: Kind
    name: str
    raw: Any
    origin: Origin
    manager: Manager
    source: str = ""
    position: int = 0
    automatic: bool = False  # named by its position
    uid: str = ""  # kept when an earlier resource is restored
    spec: Spec | None = None
    partial: Spec | None = None  # what is right in a document with mistakes, so that its references are checked too
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.kind.name, self.name

    @property
    def references(self) -> list[Reference]:
        """What it names, as far as it is right."""
        spec = self.spec or self.partial
        return list(self.kind.references(spec)) if spec is not None else []

    @property
    def targets(self) -> tuple[tuple[str, str], ...]:
        """(kind, name) of each resource that it names."""
        return tuple(dict.fromkeys((reference.kind, reference.name) for reference in self.references))


def declared(
    documents: Iterable[Document], manager: Manager, diagnostics: Diagnostics, source_of: Callable[[str], str] = str
) -> list[Declaration]:
    """All declarations of the documents, in order, typed; mistakes go to `diagnostics`."""
    found: dict[tuple[str, str], Declaration] = {}
    positions: dict[str, int] = {}
    for document in documents:
        for kind, name, raw, path in _entries(document, positions, diagnostics):
            origin = Origin(document, path)
            own = Declaration(kind, name, raw, origin, manager, source_of(document.file)[:400])
            own.position = positions.get(kind.name, 0)
            own.automatic = kind.listed and not (isinstance(raw, dict) and raw.get("name"))
            first = found.setdefault(own.key, own)
            if first is not own:
                _note_twice(own, first, diagnostics)
    for own in found.values():
        type_declaration(own, diagnostics)
        if len(diagnostics) > LIMIT_MISTAKES:
            diagnostics.add(f"more than {LIMIT_MISTAKES} mistakes; the rest are not listed", own.origin.place())
            break
    return list(found.values())


def _note_twice(own: Declaration, first: Declaration, diagnostics: Diagnostics) -> None:
    message = f"the {own.kind.name} `{own.name}` is declared twice, first at {first.origin.place(key=True)}"
    diagnostics.add(message, own.origin.place(key=True), path=own.origin.dotted())


def _entries(
    document: Document, positions: dict[str, int], diagnostics: Diagnostics
) -> Iterator[tuple[Kind, str, Any, Path]]:
    if not isinstance(document.data, dict):
        message = f"a file is a mapping of {', '.join(kind.plural for kind in KINDS)}, not {noun(document.data)}"
        diagnostics.add(message, document.place())
        return
    for plural, section in document.data.items():
        kind = KINDS.by_plural(plural)
        if kind is None:
            if not plural.startswith("x-"):
                _note_unknown_kind(plural, document, diagnostics)
        elif section is not None:
            yield from _section(kind, section, document, positions, diagnostics)


def _note_unknown_kind(plural: str, document: Document, diagnostics: Diagnostics) -> None:
    known = [kind.plural for kind in KINDS]
    singular = {kind.name: kind.plural for kind in KINDS}
    hint = did_you_mean(singular.get(plural, plural), known) or f"known are {', '.join(known)}"
    place = document.place((plural,), key=True)
    diagnostics.add(f"unknown key `{plural[:60]}`", place, hint=hint, path=plural[:60])


def _section(
    kind: Kind, section: Any, document: Document, positions: dict[str, int], diagnostics: Diagnostics
) -> Iterator[tuple[Kind, str, Any, Path]]:
    path: Path = (kind.plural,)
    if kind.alone:
        yield kind, kind.name, section, path
        return
    wanted = list if kind.listed else dict
    if not isinstance(section, wanted):
        form = f"a list of {kind.plural}" if kind.listed else f"a mapping of names to {kind.plural}"
        diagnostics.add(f"must be {form}, not {noun(section)}", document.place(path), path=kind.plural)
        return
    if len(section) > LIMIT_RESOURCES:
        diagnostics.add(f"more than {LIMIT_RESOURCES:,} {kind.plural}", document.place((kind.plural,)))
        return
    entries: Iterable[tuple[Any, Any]] = section.items() if isinstance(section, dict) else enumerate(section)
    for key, raw in entries:
        path = (kind.plural, key)
        if kind.listed:
            positions[kind.name] = positions.get(kind.name, 0) + 1
        own = raw.get("name") if kind.listed and isinstance(raw, dict) else None
        name: Any = (own or f"{kind.name}-{positions[kind.name]}") if kind.listed else key
        if _name_fits(kind, name, document, (*path, "name") if own else path, diagnostics):
            yield kind, name, raw, path


def _name_fits(kind: Kind, name: Any, document: Document, path: Path, diagnostics: Diagnostics) -> bool:
    try:
        check_name(name)
    except ValueError as error:
        shown = f"`{name[:40]}`" if isinstance(name, str) else noun(name)
        place = document.place(path, key=not kind.listed)
        diagnostics.add(
            f"{shown} cannot name a {kind.name}: {error}", place, path=".".join(str(step)[:NAME_LIMIT] for step in path)
        )
        return False
    return True


def type_declaration(own: Declaration, diagnostics: Diagnostics) -> None:
    """Fill `spec` and `document`, or note every mistake with its place."""
    raw = own.raw
    try:
        own.spec = own.kind.validate(raw)
    except ValidationError as error:
        _note_mistakes(own, error, diagnostics)
        return
    for complaint in own.kind.check(own.name, own.spec):
        place = own.origin.place(complaint.path, key=not complaint.path)
        dotted = own.origin.dotted(complaint.path)
        diagnostics.add(complaint.message, place, hint=complaint.hint, path=dotted, severity=complaint.severity)
    own.document = own.spec.to_document()
    if own.kind.listed:
        own.document.pop("name", None)  # it is the resource's name


def _note_mistakes(own: Declaration, error: ValidationError, diagnostics: Diagnostics) -> None:
    told = {item.place for item in diagnostics.errors if item.place.line}
    mistakes = explain(error, own.kind.name, own.raw)
    own.partial = _validated(own.kind, _without(own.raw, [mistake.path for mistake in mistakes]))
    for mistake in mistakes:
        place = own.origin.place(mistake.path, key=mistake.at_key or not mistake.path)
        if place in told and not mistake.at_key:
            continue  # the reader has said already why there is no value here
        message = mistake.message
        if message.startswith(("must ", "does not ", "is not ", "contains ")):
            message = f"{_subject(own, mistake.path)} {message}"
        diagnostics.add(message, place, hint=mistake.hint, path=own.origin.dotted(mistake.path))


def _subject(own: Declaration, path: Path) -> str:
    """What a complaint is about: the nearest key, and the position within a list."""
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return f"the {own.kind.name} `{own.name[:NAME_LIMIT]}`"
    index = path[-1]
    return f"`{names[-1][:60]}`" if isinstance(index, str) else f"entry {index + 1} of `{names[-1][:60]}`"


def _validated(kind: Kind, raw: Any) -> Spec | None:
    try:
        return kind.validate(raw)
    except ValidationError:
        return None


def _without(raw: Any, paths: Iterable[Path]) -> Any:
    """A copy without the keys that are wrong or lead to what is wrong in a list."""
    copy = deepcopy(raw)
    for path in paths:
        steps = list(takewhile(lambda step: isinstance(step, str), path))
        inner = copy
        for step in steps[:-1]:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if steps and isinstance(inner, dict):
            inner.pop(steps[-1], None)
    return copy
