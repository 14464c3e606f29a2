"""Who may touch whose account: the one door to another person that every verb about people goes through."""

from __future__ import annotations

from mainstay.accounts import policies
from mainstay.accounts.models import User
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Forbidden, NotFound


def person(actor: Actor, email: str) -> User:
    """The account, locked until the end of the unit of work. NotFound, or Forbidden as `require_over` says."""
    actor.require("users:write")
    found = User.objects.select_for_update().filter(email=email.strip().lower()).first()
    if found is None:
        raise NotFound(f"there is no account for {email[:80]}")
    require_over(actor, found)
    return found


def require_over(actor: Actor, user: User) -> None:
    """Forbidden if the person's role may do what the actor may not.

    Whoever can put a new password, address or second factor in the place of another's becomes that person.
    """
    actor.require("users:write")
    beyond = sorted(policies.role(user.role).scopes - actor.scopes)
    if beyond:
        raise Forbidden(
            f"{actor} may not change the account {user.email}: its role {user.role} may also do {' '.join(beyond)}",
            hint="ask someone whose role covers all of that",
        )
