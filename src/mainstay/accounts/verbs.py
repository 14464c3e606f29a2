"""Every change to accounts: people, their roles and links. Tokens are in `token_verbs.py`."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from mainstay.accounts import announcements, policies, queries, rules, token_verbs
from mainstay.accounts.events import (
    UserAddressChanged,
    UserCreated,
    UserDeactivated,
    UserLinkMade,
    UserPasswordChanged,
    UserReactivated,
    UserRecovered,
    UserRecoveryCodesShown,
    UserRecoveryMade,
    UserRoleChanged,
    UserSecondFactorChanged,
    UserSignedIn,
    UserSignedOut,
    UserSignInFailed,
)
from mainstay.accounts.last_admin import keep_an_admin
from mainstay.accounts.models import Invitation, User
from mainstay.accounts.others import person
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.clock import Clock, to_iso
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.store.models import FactRow
from mainstay.store.work import Work, unit_of_work

create_token, rotate_token, revoke_token = token_verbs.create_token, token_verbs.rotate_token, token_verbs.revoke_token

# `user/<address>` is the subject of journal entries, which hold 200 characters.
_LONGEST_EMAIL = 190


@dataclass(frozen=True, slots=True)
class Recovery:
    """`untold`: why administrators could not be told by mail; empty if they were."""

    secret: str
    untold: str


def check_email(email: str) -> str:
    """The address in lower case; UserError if it is none."""
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise UserError(f"`{email[:80]}` is not an e-mail address") from None
    if len(address) > _LONGEST_EMAIL:
        raise UserError(f"an e-mail address has at most {_LONGEST_EMAIL} characters here")
    return address


def check_password(password: str, user: User) -> None:
    """UserError with every reason why this password will not do."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise UserError(" ".join(error.messages)) from None


def _hashed(password: str, user: User) -> str:
    """Checked and hashed, before a unit of work begins: a hash takes long on purpose, and others would wait for it."""
    check_password(password, user)
    return make_password(password)


# The first administrator -----------------------------------------------------------------------------------


def make_setup_link(actor: Actor) -> str | None:
    """A new one-time token for /setup/<token>, good for 24 hours; None once there is an administrator.

    Called at every start: an earlier token stops working.
    """
    actor.require("users:write")
    with unit_of_work(actor) as work:
        if queries.has_admin():
            FactRow.objects.filter(key=queries.SETUP_FACT).delete()
            return None
        token = secrets.token_urlsafe(32)
        value = f"{rules.hash_secret(token)} {work.now + rules.SETUP_SECONDS}"
        FactRow.objects.update_or_create(key=queries.SETUP_FACT, defaults={"value": value})
    return token


def create_first_admin(token: str, email: str, password: str) -> User:
    """Use the set-up token up: the holder becomes administrator. NotFound if it is not good (any more)."""
    address = _setup_address(FactRow.objects.filter(key=queries.SETUP_FACT).first(), token, email, time.time())
    hashed = _hashed(password, User(email=address))
    with unit_of_work(Actor("link", "setup")) as work:
        # The row's lock lets one of two simultaneous visitors through.
        fact = FactRow.objects.select_for_update().filter(key=queries.SETUP_FACT).first()
        _setup_address(fact, token, email, work.now)
        # An account of this name may wait for its password: then it becomes the administrator.
        user = User.objects.filter(email=address).first() or User(email=address)
        user.role, user.is_active, user.password = "admin", True, hashed
        user.second_factor_since = _moment(work)
        user.save()
        _sync_address(user)
        FactRow.objects.filter(key=queries.SETUP_FACT).delete()
        work.record(UserCreated(f"user/{address}", address, role="admin"))
    return user


def _setup_address(fact: FactRow | None, token: str, email: str, now: float) -> str:
    """The address, checked, of who holds a token that is good now; NotFound if it is not."""
    if fact is None or not queries.fits_setup(fact.value, token, now) or queries.has_admin():
        raise NotFound("this set-up link is not valid, or no longer", hint="a new one is printed at the next start")
    return check_email(email)


# People ----------------------------------------------------------------------------------------------------


def create_user(actor: Actor, email: str, role: str) -> str:
    """Make an account and return the secret of the one-time link /join/<secret>, good for seven days."""
    actor.require("users:write")
    address = check_email(email)
    _check_handing_out(actor, role)
    with unit_of_work(actor) as work:
        if User.objects.filter(email=address).exists():
            raise Conflict(f"there is an account for {address} already", hint="change its role, or create a new link")
        user = User(email=address, role=role, second_factor_since=_moment(work))
        user.set_unusable_password()
        user.save()
        _sync_address(user)
        work.record(UserCreated(f"user/{address}", address, role=role))
        return _new_link(work, user)


def make_link(actor: Actor, email: str) -> str:
    """A new one-time link with which this person sets a new password; an earlier link stops working."""
    actor.require("users:write")
    with unit_of_work(actor) as work:
        user = person(actor, email)
        if not user.is_active:
            raise Conflict(f"the account {user.email} is switched off", hint="switch it on first")
        work.record(UserLinkMade(f"user/{user.email}", user.email))
        return _new_link(work, user)


def accept_invitation(secret: str, password: str) -> User:
    """Use a one-time link up and set the password. NotFound if the link is not good (any more)."""
    hashed = _hashed(password, _link(secret, "join", time.time()).user)
    with unit_of_work(Actor("link", "join")) as work:
        row = _link(secret, "join", work.now, locked=True)
        user = row.user
        user.password = hashed  # ends every session of theirs
        user.save(update_fields=["password"])
        row.delete()
        work.record(UserPasswordChanged(f"user/{user.email}", user.email, how="link"))
    return user


def make_recovery_link(actor: Actor, email: str) -> Recovery:
    """A one-time link that lifts whatever locks this person out, good for an hour: only on the machine itself.

    Every administrator is told by mail; where that fails, the result says why, and the link works nevertheless:
    the mail server may be what is to be mended.
    """
    actor.require("users:write")
    if actor.kind != "command":
        raise Forbidden(
            "this can only be done on the server's own machine", hint=f"run there: mainstay access recover {email[:80]}"
        )
    with unit_of_work(actor) as work:
        user = person(actor, email)
        if not user.is_active:
            raise Conflict(f"the account {user.email} is switched off", hint=f"first: mainstay users on {user.email}")
        secret = _new_link(work, user, "recover")
        expires = to_iso(work.now + rules.LINK_SECONDS["recover"])
        work.record(UserRecoveryMade(f"user/{user.email}", user.email, expires=expires))
    return Recovery(secret, announcements.recovery_made(user.email, str(actor)))


def recover(secret: str, password: str) -> User:
    """Use a recovery link up: a new password, no second factor. NotFound if the link is not good (any more)."""
    hashed = _hashed(password, _link(secret, "recover", time.time()).user)
    with unit_of_work(Actor("link", "recover")) as work:
        row = _link(secret, "recover", work.now, locked=True)
        user = row.user
        user.password = hashed  # ends every session of theirs
        user.second_factor_since = _moment(work)
        user.save(update_fields=["password", "second_factor_since"])
        apps.get_model("mfa", "Authenticator").objects.filter(user_id=user.pk).delete()
        row.delete()
        work.record(UserRecovered(f"user/{user.email}", user.email))
        work.after_commit(lambda: announcements.recovered(user.email))
    return user


def change_role(actor: Actor, email: str, role: str) -> None:
    """Give a person another role. Conflict if that would leave nobody who can administer."""
    actor.require("users:write")
    _check_handing_out(actor, role)
    with unit_of_work(actor) as work:
        user = person(actor, email)
        before = user.role
        if before == role:
            return
        if before == "admin":
            keep_an_admin(user)
        _give_role(work, user, role)


def _check_handing_out(actor: Actor, role: str) -> None:
    """UserError for a role that is not there, Forbidden for one that may do more than the actor."""
    known = policies.roles()
    beyond = sorted(known[rules.check_role(role, known)].scopes - actor.scopes)
    if beyond:
        raise Forbidden(
            f"{actor} cannot grant what it lacks: {' '.join(beyond)}", hint="choose a role with fewer rights"
        )


def _give_role(work: Work, user: User, role: str) -> None:
    before = user.role
    if policies.role(role).needs_factor and not policies.role(before).needs_factor:
        user.second_factor_since = _moment(work)
    user.role = role
    user.save(update_fields=["role", "second_factor_since"])
    work.record(UserRoleChanged(f"user/{user.email}", user.email, from_=before, to=role))
    work.after_commit(queries.forget_tokens)


def change_address(actor: Actor, email: str, address: str) -> None:
    """Change the e-mail address that a person signs in with; both addresses are notified. Conflict if it is taken."""
    actor.require("users:write")
    new = check_email(address)
    with unit_of_work(actor) as work:
        user = person(actor, email)
        old = user.email
        if old == new:
            return
        if User.objects.filter(email=new).exists():
            raise Conflict(f"there is an account for {new} already")
        user.email = new
        user.save(update_fields=["email"])
        apps.get_model("account", "EmailAddress").objects.filter(user_id=user.pk).delete()
        _sync_address(user)
        work.record(UserAddressChanged(f"user/{new}", from_=old, to=new))
        work.after_commit(lambda: announcements.address_changed(old, new))


def deactivate(actor: Actor, email: str) -> None:
    """Switch an account off: sessions and tokens stop at once. The last administrator stays."""
    actor.require("users:write")
    with unit_of_work(actor) as work:
        user = person(actor, email)
        if not user.is_active:
            return
        if user.role == "admin":
            keep_an_admin(user)
        user.is_active = False
        user.save(update_fields=["is_active"])
        Invitation.objects.filter(user=user).delete()
        work.record(UserDeactivated(f"user/{user.email}", user.email))
        work.after_commit(queries.forget_tokens)


def reactivate(actor: Actor, email: str) -> None:
    """Switch an account on again, with the role that it had."""
    actor.require("users:write")
    with unit_of_work(actor) as work:
        user = person(actor, email)
        if user.is_active:
            return
        user.is_active = True
        user.save(update_fields=["is_active"])
        work.record(UserReactivated(f"user/{user.email}", user.email))
        work.after_commit(queries.forget_tokens)


def reset_second_factor(actor: Actor, email: str) -> None:
    """Take away a lost second factor and its recovery codes; the grace to make a new one begins now."""
    actor.require("users:write")
    with unit_of_work(actor) as work:
        user = person(actor, email)
        removed, _ = apps.get_model("mfa", "Authenticator").objects.filter(user_id=user.pk).delete()
        if not removed:
            raise Conflict(f"{user.email} has no second factor")
        user.second_factor_since = _moment(work)
        user.save(update_fields=["second_factor_since"])
        _record_factor(work, user.email, "reset by an administrator")


def note_second_factor(actor: Actor, email: str, what: str) -> None:
    """Tell the journal of a change that allauth made to a person's second factor."""
    with unit_of_work(actor) as work:
        _record_factor(work, email, what)


def note_codes_shown(actor: Actor, email: str, how: str) -> None:
    """Tell the journal that a person was shown their recovery codes (`how`: page or file)."""
    with unit_of_work(actor) as work:
        work.record(UserRecoveryCodesShown(f"user/{email}", email, how=how))


def note_address(actor: Actor, old: str, new: str) -> None:
    """Tell the journal that a person has changed their own address, which allauth has told the old one."""
    with unit_of_work(actor) as work:
        work.record(UserAddressChanged(f"user/{new}", from_=old, to=new))
        work.after_commit(queries.forget_tokens)


def note_sign_in(
    event: type[UserSignedIn | UserSignInFailed | UserSignedOut | UserPasswordChanged],
    actor: Actor,
    email: str,
    details: dict[str, str],
) -> None:
    """Tell the journal of a sign-in, a failed one, a sign-out or a new password; `details` are the event's fields."""
    tried = email.strip().lower()[:_LONGEST_EMAIL]
    with unit_of_work(actor) as work:
        work.record(event(f"user/{tried}", tried, **details))


def forget_expired_sessions(clock: Clock | None = None) -> None:
    """Delete sessions past their end, and links that are no good (any more); called once a day or so."""
    from django.contrib.sessions.models import Session

    with unit_of_work(system("accounts"), clock, quiet=True) as work:
        Session.objects.filter(expire_date__lt=_moment(work)).delete()
        over = [row.pk for row in Invitation.objects.select_related("user") if not queries.link_lasts(row, work.now)]
        Invitation.objects.filter(pk__in=over).delete()


def _new_link(work: Work, user: User, purpose: str = "join") -> str:
    secret = secrets.token_urlsafe(32)
    expires_us = int((work.now + rules.LINK_SECONDS[purpose]) * 1e6)
    Invitation.objects.filter(user=user, purpose=purpose).delete()
    secret_hash = rules.hash_secret(secret)
    Invitation.objects.create(secret_hash=secret_hash, user=user, purpose=purpose, expires_us=expires_us)
    return secret


def _link(secret: str, purpose: str, now: float, *, locked: bool = False) -> Invitation:
    """The link of this secret. NotFound if it is unknown, used, too old, or its account is switched off."""
    links = Invitation.objects.select_for_update() if locked else Invitation.objects.all()
    row = links.filter(purpose=purpose, secret_hash=rules.hash_secret(secret)).first()
    if row is None or not queries.link_lasts(row, now):
        raise NotFound("this link is not valid, or no longer", hint="ask an administrator for a new one")
    return row


def _sync_address(user: User) -> None:
    """allauth keeps addresses in a table of its own; whoever made the account vouches for the address."""
    addresses = apps.get_model("account", "EmailAddress").objects
    addresses.update_or_create(user_id=user.pk, email=user.email, defaults={"primary": True, "verified": True})


def _record_factor(work: Work, email: str, what: str) -> None:
    work.record(UserSecondFactorChanged(f"user/{email}", email, what=what))


def _moment(work: Work) -> datetime:
    return datetime.fromtimestamp(work.now, UTC)


# Single sign-on --------------------------------------------------------------------------------------------


def welcome(provider: str, email: str, role: str) -> User:
    """Create account of a person whom a provider of single sign-on vouches for. Conflict if there is one."""
    with unit_of_work(system(f"sign-in {provider}")) as work:
        address = check_email(email)
        if User.objects.filter(email=address).exists():
            raise Conflict(f"there is an account for {address} already")
        user = User(email=address, role=role, second_factor_since=_moment(work))
        user.set_unusable_password()
        user.save()
        _sync_address(user)
        work.record(UserCreated(f"user/{address}", address, role=role, provider=provider))
    return user


def follow_provider(provider: str, email: str, role: str) -> None:
    """Give a person the role that their groups have by now. The last administrator stays one."""
    actor = system(f"sign-in {provider}")
    with unit_of_work(actor) as work:
        user = person(actor, email)
        if user.role == role:
            return
        if user.role == "admin":
            try:
                keep_an_admin(user)
            except Conflict:
                return
        _give_role(work, user, role)
