"""What accounts have a say in when resources change: nobody's role may vanish, and tokens follow at once."""

from __future__ import annotations

from mainstay.accounts import policies, queries
from mainstay.accounts.models import User
from mainstay.kernel.errors import Conflict
from mainstay.kernel.event import Event
from mainstay.store.work import Work, guard

_KINDS = frozenset({"role", "service_account"})


@guard("resources.applied")
def roles_changed(work: Work, event: Event) -> None:
    """Tokens follow at once. Conflict, and nothing is applied, if somebody has a role that would be gone."""
    touched = {kind for action in ("created", "changed", "deleted") for kind in event.data.get(action, {})}
    counts = event.data.get("counts", {})
    # The event lists the first names only; where there are more, a role may be among the others.
    if not touched & _KINDS and sum(counts.values()) == sum(_listed(event, action) for action in counts):
        return
    work.after_commit(queries.forget_tokens)
    known = policies.roles()
    lost = sorted(set(User.objects.values_list("role", flat=True)) - set(known))
    if lost:
        raise Conflict(
            f"people have the role `{lost[0]}`, which would be deleted",
            hint="assign them another role first, under People",
        )


def _listed(event: Event, action: str) -> int:
    return sum(len(names) for names in event.data.get(action, {}).values())
