"""Making plans against the store: read what is, check what is wanted, and say what would change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

from mainstay.kernel.actor import Actor
from mainstay.kernel.diagnostics import Diagnostic, Diagnostics, Place
from mainstay.kernel.errors import Conflict
from mainstay.kernel.resource import KINDS, Manager, Resource, check_name
from mainstay.kernel.secret import references as secret_references
from mainstay.store.resources import queries
from mainstay.store.resources.declarations import Declaration, Origin, declared, type_declaration
from mainstay.store.resources.documents import Document, Path
from mainstay.store.resources.files import Reading
from mainstay.store.resources.json_text import is_plain
from mainstay.store.resources.plan import Plan, State, make_plan
from mainstay.store.resources.reference_table import keep_current
from mainstay.store.resources.references import Key, check_references
from mainstay.store.secrets import SecretSource

# What goes when it is no longer declared. none: nothing. sources: what the same files declared before.
# all: what anybody declared in the same way (any file, or any program over the API).
Prune = Literal["none", "sources", "all"]
_LATER = "it may be set elsewhere, and is looked up there when used"
_AT_USE = "it is looked up when used"


@dataclass(frozen=True, slots=True)
class Terms:
    """On whose behalf a plan is made, and how far it may go.

    takeover: also change what another file, or a file at all, keeps.
    secrets: where references would get their values; a missing one becomes a warning of the plan.
    """

    manager: Manager
    source: str = ""
    takeover: bool = False
    prune: Prune = "none"
    secrets: SecretSource | None = None


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What is stored of what a plan is about, with the number of the revision that it is not older than."""

    base: int
    resources: dict[Key, Resource]


def plan_reading(actor: Actor, reading: Reading, terms: Terms) -> Plan:
    """The plan of what was read. Raises InvalidInput with every mistake of every file."""
    actor.require("resources:write")
    base = _base()
    diagnostics = Diagnostics(list(reading.diagnostics))
    source_of = reading.source_of if terms.manager == "file" else lambda _file: terms.source
    found = declared(reading.documents, terms.manager, diagnostics, source_of)
    desired = {own.key: own for own in found}
    stored = _stored(base, queries.by_keys(desired))
    _check_automatic_names(found, stored.resources, terms, diagnostics)
    for file in reading.empty if terms.prune != "none" else ():
        # Perhaps it is being written just now; all that it declared would be deleted.
        diagnostics.add("the file is empty", Place(file), hint="write {} if nothing is to be declared any more")
    # A file with mistakes may mean to declare what it seems to leave out.
    sources = set(reading.sources.values()) or {terms.source}
    deleted = {} if diagnostics.errors else _pruned(desired, sources, terms)
    return _plan(stored, desired, deleted, terms, diagnostics)


def plan_resource(
    actor: Actor, kind: str, name: str, document: Any, terms: Terms, *, position: int | None = None
) -> Plan:
    """The plan that declares one resource, as a page or a program gives it."""
    return plan_resources(actor, [(kind, name, document)], terms, position=position)


def plan_resources(
    actor: Actor, wanted: Iterable[tuple[str, str, Any]], terms: Terms, *, position: int | None = None
) -> Plan:
    """The plan that declares (kind, name, document) each; `position` holds for listed kinds."""
    actor.require("resources:write")
    base = _base()
    diagnostics = Diagnostics()
    given = [_given(kind, name, document, terms, diagnostics) for kind, name, document in wanted]
    desired = {own.key: own for own in given if own is not None}
    stored = _stored(base, queries.by_keys(desired))
    last: dict[str, int] = {}
    for own in desired.values():
        own.position = position if position is not None else _position(own, stored.resources, last)
    return _plan(stored, desired, {}, terms, diagnostics)


def plan_removal(actor: Actor, keys: Iterable[Key], terms: Terms) -> Plan:
    """The plan that deletes these resources, (kind, name) each; NotFound if one of them is not there."""
    actor.require("resources:write")
    base, wanted = _base(), [(queries.kind_named(kind).name, name) for kind, name in keys]
    stored = _stored(base, queries.by_keys(wanted))
    deleted = {key: stored.resources.get(key) or queries.resource(*key) for key in wanted}
    return _plan(stored, {}, deleted, terms, Diagnostics())


def plan_rollback(actor: Actor, number: int, terms: Terms) -> Plan:
    """The plan that makes everything as it was right after a revision, uids and managers included."""
    actor.require("resources:write")
    stored = _stored(_base(), queries.resources())
    queries.revision(number, limit=0)
    diagnostics = Diagnostics()
    desired: dict[Key, Declaration] = {}
    for uid, kind, name, state in queries.states_after(number):
        origin = Origin(Document(f"revision {number}"), KINDS[kind].path(name))
        own = Declaration(KINDS[kind], name, state.document, origin, state.manager, state.source, state.position)
        own.uid = uid
        type_declaration(own, diagnostics)
        desired[own.key] = own
    deleted = {key: resource for key, resource in stored.resources.items() if key not in desired}
    return _plan(stored, desired, deleted, terms, diagnostics)


def _base() -> int:
    """Read before anything else: a change in between makes the plan stale rather than wrong."""
    base = queries.latest_revision()
    keep_current()
    return base


def _stored(base: int, found: Iterable[Resource]) -> _Snapshot:
    return _Snapshot(base, {(resource.kind, resource.name): resource for resource in found})


def _given(kind: str, name: str, document: Any, terms: Terms, diagnostics: Diagnostics) -> Declaration | None:
    known = queries.kind_named(kind)
    path = known.path(str(name))
    try:
        check_name(name)
    except ValueError as error:
        diagnostics.add(str(error), path="name")
        return None
    if not is_plain(document):
        message = "the document is nested too deep, or holds control characters or numbers that cannot be kept"
        diagnostics.add(message, path=".".join(path))
        return None
    if known.listed and isinstance(document, dict) and document.get("name") not in (None, name):
        diagnostics.add(f"the name in the document differs from `{name}`", path=f"{known.plural}.{name}.name")
        return None
    own = Declaration(known, name, document, Origin(Document("", document), path), terms.manager, terms.source[:400])
    type_declaration(own, diagnostics)
    return own


def _position(own: Declaration, current: Mapping[Key, Resource], last: dict[str, int]) -> int:
    """Where it stands already, else after all others, also those that are declared with it (`last`, by kind)."""
    if own.key in current:
        return current[own.key].position
    kind = own.kind.name
    last[kind] = (last[kind] if kind in last else queries.last_position(kind)) + 1
    return last[kind]


def _plan(
    stored: _Snapshot,
    desired: Mapping[Key, Declaration],
    deleted: Mapping[Key, Resource],
    terms: Terms,
    diagnostics: Diagnostics,
) -> Plan:
    check_references(desired, set(deleted), diagnostics, queries)
    _check_requirements(desired.values(), diagnostics)
    _raise_sorted(diagnostics)
    _settle_made(stored.resources, desired, diagnostics)
    plan = make_plan(
        stored.base,
        stored.resources,
        desired.values(),
        deleted.values(),
        manager=terms.manager,
        source=terms.source,
    )
    if not terms.takeover and terms.manager != "file":
        _refuse_takeovers(plan)
    warnings = [item for item in diagnostics if item.severity == "warning"]
    warnings += _missing_secrets(plan, desired, terms.secrets)
    return replace(plan, warnings=tuple(warnings))


def _settle_made(current: Mapping[Key, Resource], desired: Mapping[Key, Declaration], diagnostics: Diagnostics) -> None:
    """To declare what was made for a field that was left out is no difference; to declare something else is told."""
    for kind in KINDS:
        own = [one for one in desired.values() if one.kind.name == kind.name and one.key in current]
        own = [one for one in own if any(name in one.document for name in kind.guarded)]
        made = kind.made([current[one.key].uid for one in own]) if kind.made is not None and own else {}
        for one in own:
            stored = current[one.key]
            for name, value in made.get(stored.uid, {}).items():
                declared = one.document.get(name, value)
                if declared == value and name not in stored.document:
                    one.document = {key: inner for key, inner in one.document.items() if key != name}
                elif declared not in (value, stored.document.get(name)):
                    what = f"the {name} of the {kind.name} `{one.name}` changes"
                    message = f"{what}: whatever uses the current one stops working"
                    place, path = one.origin.place((name,)), one.origin.dotted((name,))
                    diagnostics.add(message, place, path=path, severity="warning")


def _raise_sorted(diagnostics: Diagnostics) -> None:
    """InvalidInput with mistakes in the order of the files and their lines."""
    files = {file: index for index, file in enumerate(dict.fromkeys(item.place.file for item in diagnostics))}
    diagnostics.items.sort(key=lambda item: (files[item.place.file], item.place.line, item.place.column))
    diagnostics.raise_if_errors()


def _pruned(desired: Mapping[Key, Declaration], sources: set[str], terms: Terms) -> dict[Key, Resource]:
    if terms.prune == "none":
        return {}
    found = queries.kept_by(terms.manager, None if terms.prune == "all" else sources)
    return {key: resource for resource in found if (key := (resource.kind, resource.name)) not in desired}


def _check_automatic_names(
    found: Iterable[Declaration], current: Mapping[Key, Resource], terms: Terms, diagnostics: Diagnostics
) -> None:
    """A name made from a position must not replace by accident what somebody else declared at that position."""
    for own in found:
        other = current.get(own.key)
        if other is None or not own.automatic or terms.takeover or own.document == other.document:
            continue
        if other.manager != own.manager or (own.manager == "file" and other.source != own.source):
            message = f"the {own.kind.name} `{own.name}` is already managed by {keeper(other)}"
            hint = "give this one a `name`, apply both files together, or take it over"
            diagnostics.add(message, own.origin.place(), hint=hint, path=own.origin.dotted())


def keeper(resource: Resource | State) -> str:
    """Who keeps a resource, for a person: `the file /etc/x.yaml`, `a page`."""
    if resource.manager == "file":
        return f"the file {resource.source}"
    return {"page": "a page", "api": "the API", "command": "the command line", "ping": "a ping"}[resource.manager]


def _refuse_takeovers(plan: Plan) -> None:
    for change in plan.differences:
        if change.before is not None and change.before.manager == "file":
            raise Conflict(
                f"the {change.kind} `{change.name}` is managed by {keeper(change.before)}",
                hint="change it there, or take it over; the file's next apply then shows the difference",
            )


def _check_requirements(desired: Iterable[Declaration], diagnostics: Diagnostics) -> None:
    for own in desired:
        if own.spec is None:
            continue
        for module, extra in own.kind.requires(own.spec):
            if not _installed(module):
                message = f"the {own.kind.name} `{own.name}` needs the Python package `{module}`, which is missing"
                hint = f'install it with: pip install "mainstay[{extra}]"'
                diagnostics.add(message, own.origin.place(key=True), hint=hint, path=own.origin.dotted())


@cache
def _installed(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None


def _missing_secrets(plan: Plan, desired: Mapping[Key, Declaration], secrets: SecretSource | None) -> list[Diagnostic]:
    """One warning for each reference that has no value now; it is looked up again at use."""
    if secrets is None:
        return []
    warnings: list[Diagnostic] = []
    told: set[tuple[str, str]] = set()
    for change in plan.differences:
        own = desired.get((change.kind, change.name))
        if own is None:
            continue
        for source, name in secret_references(own.document):
            if (source, name) in told:
                continue
            told.add((source, name))
            text = f"${{{source}:{name}}}"
            for reason in secrets.missing(text):
                path = _path_to(own.raw, text) or ()
                place = own.origin.place(path, key=not path)
                hint = _AT_USE if source == "vault" else _LATER
                warnings.append(Diagnostic(reason, place, hint, own.origin.dotted(path), "warning"))
    return warnings


def _path_to(value: Any, text: str, path: Path = ()) -> Path | None:
    """The path of the first text that holds `text`."""
    if isinstance(value, str):
        return path if text in value else None
    steps: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        steps = value.items()
    elif isinstance(value, list):
        steps = enumerate(value)
    for step, inner in steps:
        found = _path_to(inner, text, (*path, step))
        if found is not None:
            return found
    return None
