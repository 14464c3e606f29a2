"""Reads of resources and their revisions. Callers check `resources:read` at their door."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from django.db.models import Count, Max

from mainstay.kernel.clock import to_iso
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import NotFound
from mainstay.kernel.resource import KINDS, Kind, Manager, Resource
from mainstay.store.models import ChangeRow, ReferenceRow, ResourceRow, RevisionRow
from mainstay.store.resources.plan import Action, Change, State

if TYPE_CHECKING:
    from typing import Any

Key = tuple[str, str]  # kind and name
_AT_ONCE = 500  # values of one query


def kind_named(name: str) -> Kind:
    """The kind by its name or its plural; NotFound with a guess if there is none."""
    plural = KINDS.by_plural(name)
    if plural is not None:
        return plural
    if name not in KINDS:
        known = [kind.name for kind in KINDS]
        guess = did_you_mean(name, known) or f"known are {', '.join(known)}"
        raise NotFound(f"there is no kind `{name[:40]}`", hint=guess)
    return KINDS[name]


def resources(kind: str | None = None) -> list[Resource]:
    """All resources, or those of one kind, in the order in which files are exported."""
    rows = ResourceRow.objects.filter(kind=kind) if kind else ResourceRow.objects.all()
    return _in_order(_resource(row) for row in rows)


def _in_order(found: Iterable[Resource]) -> list[Resource]:
    order = {known.name: index for index, known in enumerate(KINDS)}
    return sorted(found, key=lambda one: (order.get(one.kind, len(order)), one.kind, one.position, one.name))


def resource(kind: str, name: str) -> Resource:
    """One resource; NotFound with a guess if there is none."""
    found = find(kind_named(kind).name, name)
    if found is None:
        names = ResourceRow.objects.filter(kind=kind).values_list("name", flat=True)[:2000]
        raise NotFound(f"there is no {kind} `{name[:100]}`", hint=did_you_mean(name, names))
    return found


def find(kind: str, name: str) -> Resource | None:
    row = ResourceRow.objects.filter(kind=kind, name=name).first()
    return _resource(row) if row else None


def by_uid(uid: str) -> Resource | None:
    row = ResourceRow.objects.filter(uid=uid).first()
    return _resource(row) if row else None


def by_uids(uids: Iterable[str]) -> list[Resource]:
    """Those of them that there are, in no order."""
    return [_resource(row) for some in _sliced(uids) for row in ResourceRow.objects.filter(uid__in=some)]


def by_keys(keys: Iterable[Key]) -> list[Resource]:
    """Those of them that there are, in no order."""
    found = (ResourceRow.objects.filter(kind=kind, name__in=names) for kind, names in _by_kind(keys))
    return [_resource(row) for rows in found for row in rows]


def existing(keys: Iterable[Key]) -> set[Key]:
    """Those of them that there are."""
    found = (ResourceRow.objects.filter(kind=kind, name__in=names) for kind, names in _by_kind(keys))
    return {key for rows in found for key in rows.values_list("kind", "name")}


def living(uids: Iterable[str]) -> set[str]:
    """Those of them that are declared."""
    found = (ResourceRow.objects.filter(uid__in=some) for some in _sliced(uids))
    return {uid for rows in found for uid in rows.values_list("uid", flat=True)}


def keys() -> list[Key]:
    """Of everything declared, in no order."""
    return list(ResourceRow.objects.values_list("kind", "name"))


def names(kind: str) -> set[str]:
    return set(ResourceRow.objects.filter(kind=kind).values_list("name", flat=True))


def kept_by(manager: Manager, sources: Collection[str] | None) -> list[Resource]:
    """What is kept in this way, by any of these sources (None: by whatever), in the order of exports."""
    rows = ResourceRow.objects.filter(manager=manager)
    return _in_order(_resource(row) for row in (rows if sources is None else rows.filter(source__in=sources)))


def revisions_of(kind: str) -> dict[str, int]:
    """uid -> the revision that wrote it last, of all resources of a kind."""
    return dict(ResourceRow.objects.filter(kind=kind).values_list("uid", "revision"))


def last_position(kind: str) -> int:
    """Of those of a listed kind; 0 if there is none."""
    return ResourceRow.objects.filter(kind=kind).aggregate(last=Max("position"))["last"] or 0


def named_by(keys: Iterable[Key]) -> list[Resource]:
    """The resources that name any of these, in the order of exports."""
    found = (ReferenceRow.objects.filter(kind=kind, name__in=some) for kind, some in _by_kind(keys))
    uids = {uid for rows in found for uid in rows.values_list("uid", flat=True)}
    return _in_order(by_uids(uids))


def named_in(kind: str, names: Iterable[str]) -> dict[str, list[str]]:
    """Which others of its own kind each of these names; what names none is left out."""
    found: dict[str, list[str]] = {}
    for some in _sliced(names):
        uids = dict(ResourceRow.objects.filter(kind=kind, name__in=some).values_list("uid", "name"))
        for uid, target in ReferenceRow.objects.filter(uid__in=uids, kind=kind).values_list("uid", "name"):
            found.setdefault(uids[uid], []).append(target)
    return found


def changed_in(revision: int, kind: str) -> list[str]:
    """The uids of this kind that a revision created, changed or deleted."""
    return list(ChangeRow.objects.filter(revision_id=revision, kind=kind).values_list("uid", flat=True))


def _by_kind(keys: Iterable[Key]) -> Iterator[tuple[str, list[str]]]:
    """Names by kind, so many at once as one query takes."""
    grouped: dict[str, list[str]] = {}
    for kind, name in keys:
        grouped.setdefault(kind, []).append(name)
    return ((kind, some) for kind, names in grouped.items() for some in _sliced(names))


def _sliced(items: Iterable[str]) -> Iterator[list[str]]:
    every = list(items)
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))


def latest_revision() -> int:
    """The newest revision number, 0 before the first apply; cheap enough to poll."""
    return max(0, RevisionRow.objects.aggregate(newest=Max("number"))["newest"] or 0)


def newest_change() -> float:
    """When something was declared last, epoch seconds; minus infinity before the first apply."""
    newest = RevisionRow.objects.filter(number__gt=0).order_by("-number").values_list("at_us", flat=True).first()
    return float("-inf") if newest is None else newest / 1_000_000


def _resource(row: ResourceRow) -> Resource:
    manager = cast("Manager", row.manager)
    return Resource(
        row.uid, row.kind, row.name, json.loads(row.document), manager, row.source, row.revision, row.position
    )


@dataclass(frozen=True, slots=True)
class Revision:
    """One apply: who, when, how much. `changes` is filled by `revision` and `history` only."""

    number: int
    at: float
    actor: str
    manager: str
    source: str
    message: str
    counts: dict[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": to_iso(self.at),
            "actor": self.actor,
            "manager": self.manager,
            "source": self.source,
            "message": self.message,
            "counts": self.counts,
            "changes": [change.as_dict() for change in self.changes],
        }


def revisions(*, limit: int = 50, before: int | None = None) -> list[Revision]:
    """The newest revisions with their counts; `before` pages back."""
    rows = RevisionRow.objects.filter(number__gt=0).order_by("-number")
    if before is not None:
        rows = rows.filter(number__lt=before)
    found = list(rows[:limit])
    counts = _counts(row.number for row in found)
    return [_revision(row, counts.get(row.number, {})) for row in found]


def revision(number: int, *, limit: int = 500) -> Revision:
    """One revision with its first `limit` changes; NotFound if there is none."""
    row = RevisionRow.objects.filter(number=number).first() if 0 < number < 2**63 else None
    if row is None:
        raise NotFound(f"there is no revision {number}", hint=f"the newest is {latest_revision()}")
    changes = tuple(_change(found) for found in row.changes.order_by("id")[:limit])
    return _revision(row, _counts([number]).get(number, {}), changes)


def history(kind: str, name: str, *, limit: int = 50) -> list[Revision]:
    """The revisions that touched one resource, newest first, each with its change to it."""
    rows = (
        ChangeRow.objects.filter(kind=kind, name=name, revision_id__gt=0)
        .select_related("revision")
        .order_by("-id")[:limit]
    )
    return [_revision(row.revision, {}, (_change(row),)) for row in rows]


def states_after(number: int) -> list[tuple[str, str, str, State]]:
    """(uid, kind, name, state) of every resource as it was right after a revision."""
    rows = ChangeRow.objects.filter(revision_id__lte=number, revision_id__gt=0)
    newest = rows.values("uid").annotate(newest=Max("id")).values("newest")
    alive = ChangeRow.objects.filter(id__in=newest, after__isnull=False).order_by("id")
    return [(row.uid, row.kind, row.name, _state(row.after)) for row in alive if row.after is not None]


def _counts(numbers: Iterable[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    rows = ChangeRow.objects.filter(revision_id__in=list(numbers))
    totals = rows.values("revision_id").annotate(every=Count("id"), before=Count("before"), after=Count("after"))
    for total in totals:
        created, deleted = total["every"] - total["before"], total["every"] - total["after"]
        changed = total["every"] - created - deleted
        found[total["revision_id"]] = {"create": created, "update": changed, "delete": deleted}
    return found


def _revision(row: RevisionRow, counts: dict[str, int], changes: tuple[Change, ...] = ()) -> Revision:
    at = row.at_us / 1_000_000
    return Revision(row.number, at, row.actor, row.manager, row.source, row.message, counts, changes)


def _change(row: ChangeRow) -> Change:
    before = _state(row.before) if row.before is not None else None
    after = _state(row.after) if row.after is not None else None
    action: Action = "create" if before is None else "delete" if after is None else "update"
    return Change(action, row.kind, row.name, row.uid, before, after)


def _state(text: str) -> State:
    kept = json.loads(text)
    return State(kept["document"], kept["manager"], kept["source"], kept["position"])
