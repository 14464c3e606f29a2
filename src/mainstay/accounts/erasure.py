"""Erasing a person: the account and everything of it, then whatever others remember of them."""

from __future__ import annotations

from contextlib import suppress

from django.apps import apps
from django.contrib.sessions.models import Session

from mainstay.accounts import queries
from mainstay.accounts.last_admin import keep_an_admin
from mainstay.accounts.models import Token, User
from mainstay.accounts.others import require_over
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import NotFound
from mainstay.store.erasure import Erased, erase
from mainstay.store.journal import Filter
from mainstay.store.seals.reading import history
from mainstay.store.work import unit_of_work


def erase_person(actor: Actor, email: str) -> Erased:
    """Delete the account with its tokens, second factors and sessions, and erase the person from the journal.

    NotFound if neither the accounts nor the journal know the address; Conflict for the last administrator.
    What somebody declared (a channel that mails to the address) is theirs to change and stays.
    """
    actor.require("users:write")
    address = email.strip().lower()
    with unit_of_work(actor, long=True) as work:
        user = User.objects.select_for_update().filter(email=address).first()
        if user is not None:
            require_over(actor, user)
            if user.role == "admin":
                keep_an_admin(user)
            _end_sessions(user)
            user.delete()  # takes invitations, tokens, addresses and second factors along
        erased = Erased("", 0)
        for one in (address, *_former(address)):
            found = erase(work, one)
            Token.objects.filter(made_by=f"user:{one}").update(made_by=f"user:{found.name}")
            unsearched = tuple(dict.fromkeys([*erased.unsearched, *found.unsearched]))
            erased = Erased(erased.name or found.name, erased.entries + found.entries, unsearched)
        if user is None and not erased.entries:
            raise NotFound(f"nothing is recorded about {email[:80]}")
        work.after_commit(queries.forget_tokens)
    return erased


def _former(address: str) -> list[str]:
    """Addresses that the person had before, newest first; not those that are somebody else's by now."""
    found = [address]
    with suppress(NotFound):  # a segment that is missing is told as one that was not searched
        for entry in history(Filter(kind="user.address_changed"), limit=0):
            before = str(entry.data.get("from", ""))
            if entry.data.get("to") == found[-1] and before and before not in found:
                found.append(before)
    in_use = set(User.objects.filter(email__in=found[1:]).values_list("email", flat=True))
    return [one for one in found[1:] if one not in in_use]


def _end_sessions(user: User) -> None:
    sessions = apps.get_model("usersessions", "UserSession").objects.filter(user_id=user.pk)
    Session.objects.filter(session_key__in=list(sessions.values_list("session_key", flat=True))).delete()
