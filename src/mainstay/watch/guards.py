"""Reactions of watch to events of other capabilities."""

from __future__ import annotations

import json
from functools import partial

from mainstay.kernel.actor import system
from mainstay.kernel.event import Event
from mainstay.store.erasure import on_erasure
from mainstay.store.resources.queries import changed_in
from mainstay.store.work import Work, guard, in_slices
from mainstay.watch.models import MonitorStateRow


@on_erasure
def forget_person(before: str, after: str) -> None:
    """Who paused a monitor; the version makes the lane read the row anew."""
    for row in MonitorStateRow.objects.filter(paused_by=before):
        row.paused_by, row.version = after, row.version + 1
        row.counters = row.counters.replace(json.dumps(before), json.dumps(after))
        row.save(update_fields=["paused_by", "counters", "version"])


@guard("resources.applied")
def on_applied(work: Work, event: Event) -> None:
    """The rows of states follow what is declared: in the transaction that declares it, unless it declares many."""
    from mainstay.watch.declared import follow_locations, follow_monitors

    revision, actor = int(event.data["revision"]), system("watch")
    in_slices(work, changed_in(revision, "monitor"), partial(follow_monitors, actor))
    if changed_in(revision, "location"):
        follow_locations(actor)
