"""The last administrator: a check that verbs make within their transaction before an account loses its powers."""

from __future__ import annotations

from django.db.models import Q

from mainstay.accounts import queries
from mainstay.accounts.models import User
from mainstay.kernel.errors import Conflict


def keep_an_admin(leaving: User) -> None:
    """Conflict if nobody who can administer would be left."""
    if not queries.can_sign_in(leaving):
        return  # was invited only, and never could administer
    # The lock on every administrator makes two who remove each other at the same time take turns.
    others = User.objects.select_for_update().filter(Q(role="admin", is_active=True) & ~Q(pk=leaving.pk))
    if not any(queries.can_sign_in(user) for user in others):
        raise Conflict("the last administrator cannot be removed", hint="make someone else an administrator first")
