"""What accounts do when resources change: forget what was remembered, and keep people's roles from vanishing."""

from __future__ import annotations

from django.apps import apps

from mainstay.accounts import policies, queries
from mainstay.accounts.models import User
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Conflict
from mainstay.kernel.event import Event
from mainstay.store.work import Work, react

_KINDS = frozenset({"role", "service_account"})


@react("resources.applied")
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
            f"people have the role `{lost[0]}`, which would be gone", hint="give them another role first, under People"
        )


@react("resources.applied")
def ways_closed(work: Work, event: Event) -> None:
    """Where single sign-on has become the only way in, sessions that came by another end, if it is known to work."""
    if any("sign_in" in event.data.get(action, {}) for action in ("created", "changed")):
        work.after_commit(_end_other_ways)


def _end_other_ways() -> None:
    if apps.is_installed("allauth.usersessions"):  # a command is light and leaves it to the next sign-in
        from mainstay.accounts.session_verbs import end_other_ways

        end_other_ways(system("sign-in"))


def _listed(event: Event, action: str) -> int:
    return sum(len(names) for names in event.data.get(action, {}).values())
