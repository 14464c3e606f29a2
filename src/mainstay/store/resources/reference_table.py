"""The table of who names what, so that neither a plan nor a page reads all that is declared to know.

A fact says up to which revision it is complete for this program: others may write beside it that know no such table,
or kinds that name other things.
"""

from __future__ import annotations

from pydantic import ValidationError

from mainstay import __version__
from mainstay.kernel.actor import system
from mainstay.kernel.resource import KINDS, Resource
from mainstay.store.models import ChangeRow, FactRow, ReferenceRow
from mainstay.store.resources import queries
from mainstay.store.resources.queries import Key
from mainstay.store.work import unit_of_work

_FACT = f"references.{__version__}"
_AT_ONCE = 500  # resources of one transaction


def keep_current() -> None:
    """Fill the table with what other programs have declared; after an upgrade, with everything."""
    newest, known = queries.latest_revision(), _known()
    if known >= newest:
        return
    if known:
        touched = ChangeRow.objects.filter(revision_id__gt=known).values_list("uid", flat=True)
        uids = list(dict.fromkeys(touched))
    else:
        uids = [resource.uid for resource in queries.resources()]
    for start in range(0, len(uids), _AT_ONCE):
        _index(uids[start : start + _AT_ONCE])
    with unit_of_work(system("references"), quiet=True):
        FactRow.objects.update_or_create(key=_FACT, defaults={"value": str(newest)})


def move_on(base: int, revision: int) -> None:
    """A revision was written with its references; if the table was complete before, it is so still."""
    if base:
        FactRow.objects.filter(key=_FACT, value=str(base)).update(value=str(revision))
    else:
        FactRow.objects.update_or_create(key=_FACT, defaults={"value": str(revision)})


def _known() -> int:
    return int(FactRow.objects.filter(key=_FACT).values_list("value", flat=True).first() or 0)


def _index(uids: list[str]) -> None:
    rows = [
        ReferenceRow(uid=resource.uid, kind=kind, name=name)
        for resource in queries.by_uids(uids)
        for kind, name in _targets(resource)
    ]
    with unit_of_work(system("references"), quiet=True):
        ReferenceRow.objects.filter(uid__in=uids).delete()
        ReferenceRow.objects.bulk_create(rows, batch_size=_AT_ONCE)


def _targets(resource: Resource) -> list[Key]:
    if resource.kind not in KINDS:
        return []
    try:
        found = KINDS[resource.kind].references(resource.spec)
    except ValidationError:  # another version declared it, and this one cannot read it
        return []
    return list(dict.fromkeys((reference.kind, reference.name) for reference in found))
