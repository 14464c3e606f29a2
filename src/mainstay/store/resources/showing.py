"""What of a declaration who may see. Some values are permissions themselves, such as the address that a job pings.

Whoever may only read sees that there is one, and whether it changed; a look by somebody who may report in is told.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mainstay.kernel.actor import Actor
from mainstay.kernel.masking import MASK
from mainstay.kernel.resource import KINDS, Kind, Resource
from mainstay.kernel.secret import REFERENCE
from mainstay.store.disclosures import note_addresses_shown
from mainstay.store.resources.export import export_yaml
from mainstay.store.resources.plan import Change, Plan, State
from mainstay.store.resources.queries import Revision

RIGHT = "monitors:check"  # who may report in for a job may know the address at which it does
_KEY = secrets.token_bytes(16)  # two hidden values differ where they did; what they were is not to be guessed


def shown(actor: Actor, found: Iterable[Resource]) -> list[Resource]:
    """Resources as this actor may see them."""
    known = list(found)
    if actor.may(RIGHT):
        _tell(actor, ((one.kind, one.name, one.uid, one.document) for one in known))
        return known
    return [replace(one, document=_hidden(KINDS[one.kind], one.document)) for one in known]


def shown_changes(actor: Actor, changes: Iterable[Change]) -> list[Change]:
    """Changes as this actor may see them; not to be applied."""
    known = list(changes)
    if actor.may(RIGHT):
        sides = ((change, side) for change in known for side in (change.before, change.after) if side is not None)
        _tell(actor, ((change.kind, change.name, change.uid, side.document) for change, side in sides))
        return known
    return [replace(one, before=_side(one.kind, one.before), after=_side(one.kind, one.after)) for one in known]


def shown_plan(actor: Actor, plan: Plan) -> Plan:
    return replace(plan, changes=tuple(shown_changes(actor, plan.changes)))


def shown_revisions(actor: Actor, revisions: Iterable[Revision]) -> list[Revision]:
    return [replace(one, changes=tuple(shown_changes(actor, one.changes))) for one in revisions]


def text_of(actor: Actor, found: Iterable[Resource]) -> str:
    """Resources as YAML for a page."""
    if not actor.may(RIGHT):
        return export_yaml(found, _hidden)
    return export_yaml(shown(actor, found))


def export_file(actor: Actor, found: Iterable[Resource], *, addresses: bool = True) -> str:
    """Resources as a file that applies elsewhere, with the addresses of heartbeats for whoever may know them."""
    actor.require("resources:read")
    known = list(found)
    whole = [one for own in (KINDS[name] for name in {one.kind for one in known}) for one in _made(own, known)]
    concerned = sum(1 for one in whole if _open(KINDS[one.kind], one.document))
    if not concerned:
        return export_yaml(known)
    many = f"{concerned} heartbeat{'s' if concerned > 1 else ''}"
    if not (addresses and actor.may(RIGHT)):
        first = f"# WITHOUT the addresses of {many}: elsewhere each gets a new one. Exporting them needs {RIGHT}."
        return f"{first}\n{export_yaml(known, _without)}"
    first = (
        f"# KEEP THIS LIKE A PASSWORD: it holds the addresses of {many}. Whoever knows one can report in for its job."
    )
    return f"{first}\n{export_yaml(shown(actor, whole))}"


def _made(kind: Kind, found: Iterable[Resource]) -> list[Resource]:
    """The resources of this kind with what was made for fields that they leave out."""
    own = [one for one in found if one.kind == kind.name]
    made = kind.made([one.uid for one in own]) if kind.made is not None else {}
    return [replace(one, document={**made.get(one.uid, {}), **one.document}) for one in own]


def _open(kind: Kind, document: dict[str, Any]) -> list[str]:
    """Names of the fields that are permissions and stand there in clear."""
    return [name for name in kind.guarded if name in document and not REFERENCE.fullmatch(str(document[name]))]


def _hidden(kind: Kind, document: dict[str, Any]) -> dict[str, Any]:
    return {**document, **{name: _mark(str(document[name])) for name in _open(kind, document)}}


def _without(kind: Kind, document: dict[str, Any]) -> dict[str, Any]:
    gone = _open(kind, document)
    return {name: value for name, value in document.items() if name not in gone}


def _mark(value: str) -> str:
    return f"{MASK} ({hashlib.blake2b(value.encode(), key=_KEY, digest_size=3).hexdigest()})"


def _side(kind: str, side: State | None) -> State | None:
    known = KINDS.by_name.get(kind)
    return side if side is None or known is None else replace(side, document=_hidden(known, side.document))


def _tell(actor: Actor, seen: Iterable[tuple[str, str, str, dict[str, Any]]]) -> None:
    """seen: (kind, name, uid, document) each."""
    known = ((KINDS.by_name.get(kind), name, uid, document) for kind, name, uid, document in seen)
    told = {name: uid for kind, name, uid, document in known if kind is not None and _open(kind, document)}
    note_addresses_shown(actor, told, time.time())
