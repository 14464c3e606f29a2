"""Keeps the rows of monitor states, and those of locations, in step with what is declared."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.kernel.actor import Actor
from mainstay.store.resources.queries import by_uids, resources, revisions_of
from mainstay.store.work import SLICE
from mainstay.watch import location_verbs, verbs
from mainstay.watch.facts import facts_of
from mainstay.watch.models import MonitorStateRow


def follow_resources(actor: Actor) -> bool:
    """Mend some rows that are not in step with what is declared; whether there are more of them.

    Rows follow an apply by themselves. This is for what came about in another way, such as by a crash.
    """
    actor.require("monitors:check")
    found = behind()
    if found:
        follow_monitors(actor, found[:SLICE])
    follow_locations(actor)
    return len(found) > SLICE


def behind() -> list[str]:
    """The uids of monitors whose rows are missing, are of an earlier revision, or of a monitor that is gone."""
    known, declared = dict(MonitorStateRow.objects.values_list("uid", "revision")), revisions_of("monitor")
    return [uid for uid in known.keys() | declared.keys() if known.get(uid) != declared.get(uid)]


def follow_monitors(actor: Actor, uids: Sequence[str]) -> None:
    """Describe those of these monitors that are declared, forget those that are gone."""
    actor.require("monitors:check")
    found = [resource for resource in by_uids(uids) if resource.kind == "monitor"]
    described = []
    for resource in found:
        spec = resource.spec
        described.append((resource, facts_of(resource, spec), spec.every))
    if described:
        verbs.describe_monitors(actor, described)
    if gone := set(uids) - {resource.uid for resource in found}:
        verbs.forget_monitors(actor, sorted(gone))


def follow_locations(actor: Actor) -> None:
    location_verbs.follow_locations(actor, {resource.uid: resource.name for resource in resources("location")})
