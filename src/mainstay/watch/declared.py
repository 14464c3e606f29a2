"""Keeps the rows of monitor states, and those of locations, in step with what is declared."""

from __future__ import annotations

from mainstay.kernel.actor import Actor
from mainstay.store.resources.queries import resources
from mainstay.watch import location_verbs, verbs
from mainstay.watch.facts import facts_of
from mainstay.watch.models import MonitorStateRow


def follow_resources(actor: Actor) -> None:
    """Describe monitors that are new or changed, forget those that are gone. Cheap if there are none."""
    actor.require("monitors:check")
    known = dict(MonitorStateRow.objects.values_list("uid", "revision"))
    found = resources("monitor")
    changed = [resource for resource in found if known.get(resource.uid) != resource.revision]
    if changed:
        described = []
        for resource in changed:
            spec = resource.spec
            described.append((resource, facts_of(resource, spec), spec.every))
        verbs.describe_monitors(actor, described)
    location_verbs.follow_locations(actor, {resource.uid: resource.name for resource in resources("location")})
    if gone := known.keys() - {resource.uid for resource in found}:
        verbs.forget_monitors(actor, sorted(gone))
