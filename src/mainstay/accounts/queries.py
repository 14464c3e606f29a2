"""Reads of accounts: who somebody is, what they may do, and lists for the pages."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from django.apps import apps
from django.conf import settings

from mainstay.accounts import rules
from mainstay.accounts.models import Invitation, Token, User
from mainstay.kernel.actor import Actor
from mainstay.store.models import FactRow

SETUP_FACT = "accounts.setup"
_TOKEN_NAME = re.compile(r" \(([0-9a-z]{10})\)$")


# People ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """One account as lists show it; times are epoch seconds."""

    email: str
    role: str
    active: bool
    factor: bool
    invited: bool  # has not yet set a password
    joined_at: float
    last_sign_in: float | None


def has_admin() -> bool:
    """Whether somebody can sign in as administrator. While nobody can, the set-up link is open."""
    return any(user.has_usable_password() for user in User.objects.filter(role="admin", is_active=True))


def setup_is_open(token: str, now: float | None = None) -> bool:
    """Whether this is the one-time token that makes the first administrator, and still good."""
    fact = FactRow.objects.filter(key=SETUP_FACT).first()
    return fact is not None and fits_setup(fact.value, token, time.time() if now is None else now) and not has_admin()


def fits_setup(fact: str, token: str, now: float) -> bool:
    """Compare with the stored `<SHA-256> <expiry in epoch seconds>`."""
    secret_hash, _, expires = fact.partition(" ")
    return rules.same_secret(token, secret_hash) and now < float(expires)


def invited_email(secret: str, now: float | None = None) -> str | None:
    """The account that a one-time link belongs to; None if it is unknown, used or too old."""
    found = Invitation.objects.select_related("user").filter(secret_hash=rules.hash_secret(secret)).first()
    if found is None or found.expires_us <= (time.time() if now is None else now) * 1e6 or not found.user.is_active:
        return None
    return found.user.email


def factor_policy() -> rules.FactorPolicy:
    """Who needs a second factor, from the settings."""
    ours = settings.MAINSTAY
    roles = frozenset(role.strip() for role in ours.require_second_factor.split(",") if role.strip())
    return rules.FactorPolicy(roles, ours.second_factor_grace_days)


def users_with_factor(user_ids: Iterable[int]) -> set[int]:
    """Those of the users who have a second factor (recovery codes alone are none)."""
    authenticators = apps.get_model("mfa", "Authenticator").objects
    found = authenticators.filter(user_id__in=list(user_ids)).exclude(type="recovery_codes")
    return set(found.values_list("user_id", flat=True))


def standing_of(user: User, now: float | None = None) -> rules.Standing:
    """What a signed-in person may do at this moment."""
    return rules.standing(
        user.role,
        has_factor=user.pk in users_with_factor([user.pk]),
        since=user.second_factor_since.timestamp(),
        policy=factor_policy(),
        now=time.time() if now is None else now,
    )


def actor_of_user(user: User, now: float | None = None) -> Actor:
    """The actor for a signed-in person; without scopes while an overdue second factor is missing."""
    return Actor("user", user.email, standing_of(user, now).scopes if user.is_active else frozenset())


def people(actor: Actor) -> list[Person]:
    """Every account, by e-mail address."""
    actor.require("users:write")
    users = list(User.objects.order_by("email"))
    with_factor = users_with_factor(user.pk for user in users)
    return [
        Person(
            email=user.email,
            role=user.role,
            active=user.is_active,
            factor=user.pk in with_factor,
            invited=not user.has_usable_password(),
            joined_at=user.joined_at.timestamp(),
            last_sign_in=user.last_login.timestamp() if user.last_login else None,
        )
        for user in users
    ]


# Tokens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenView:
    """One token as lists show it, without its secret; times are epoch seconds."""

    id: str
    name: str
    scopes: tuple[str, ...]
    owner: str  # e-mail address; empty for tokens of the command line
    made_by: str
    created_at: float
    expires_at: float
    last_used_at: float | None
    revoked_at: float | None

    def state(self, now: float) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "active"


def tokens(actor: Actor) -> list[TokenView]:
    """The actor's own tokens, newest first; everybody's for those who keep the people."""
    actor.require("tokens:write")
    rows = Token.objects.select_related("owner").order_by("-created_us", "id")
    if not actor.may("users:write"):
        rows = rows.filter(owner__isnull=False, owner=owner_of(actor))
    return [_view(row) for row in rows]


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6


def _view(row: Token) -> TokenView:
    return TokenView(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes.split()),
        owner=row.owner.email if row.owner else "",
        made_by=row.made_by,
        created_at=row.created_us / 1e6,
        expires_at=row.expires_us / 1e6,
        last_used_at=_seconds(row.last_used_us),
        revoked_at=_seconds(row.revoked_us),
    )


def token_actor_name(name: str, token_id: str) -> str:
    """How a token signs in the journal: `deploy (k3j9x2m1p0)`."""
    return f"{name} ({token_id})"


def owner_of(actor: Actor) -> User | None:
    """The person behind a user's or a token's actor; None for the machine itself."""
    if actor.kind == "user":
        return User.objects.filter(email=actor.name).first()
    named = _TOKEN_NAME.search(actor.name) if actor.kind == "token" else None
    row = Token.objects.select_related("owner").filter(id=named[1]).first() if named else None
    return row.owner if row else None


@dataclass(frozen=True, slots=True)
class _Known:
    secret_hash: str
    actor: Actor
    expires_at: float
    read_at: float  # monotonic


# A scrape every few seconds should not cost a query each; a second is how long a revocation made by another
# process may take. One made by this process is immediate (`forget_token`).
_KEPT_SECONDS = 1.0
_KEPT_TOKENS = 1000
_NOTE_SECONDS = 60.0
_known: dict[str, _Known] = {}
_noted: dict[str, float] = {}
_lock = threading.Lock()
_notes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="token-use")


def actor_of_token(text: str, now: float | None = None) -> Actor | None:
    """The actor of an API token; None if it is malformed, unknown, wrong, expired, revoked or its owner left."""
    parsed = rules.parse_token(text)
    if parsed is None:
        return None
    known = _lookup(parsed.id)
    if known is None or not rules.same_secret(parsed.secret, known.secret_hash):
        return None
    if known.expires_at <= (time.time() if now is None else now):
        return None
    _note_use(parsed.id)
    return known.actor


def forget_token(token_id: str) -> None:
    """Drop what this process remembers of a token."""
    with _lock:
        _known.pop(token_id, None)


def forget_tokens() -> None:
    """Drop what this process remembers of every token (a role changed, a person left)."""
    with _lock:
        _known.clear()


def _lookup(token_id: str) -> _Known | None:
    found = _known.get(token_id)
    if found is not None and time.monotonic() - found.read_at < _KEPT_SECONDS:
        return found
    row = Token.objects.select_related("owner").filter(id=token_id, revoked_us=None).first()
    scopes = frozenset() if row is None else _scopes_now(row)
    if row is None or scopes is None:
        forget_token(token_id)
        return None
    actor = Actor("token", token_actor_name(row.name, row.id), scopes)
    found = _Known(row.secret_hash, actor, row.expires_us / 1e6, time.monotonic())
    with _lock:
        if len(_known) >= _KEPT_TOKENS:
            _known.clear()
        _known[token_id] = found
    return found


def _scopes_now(row: Token) -> frozenset[str] | None:
    """A token never outlives its owner's account, and never does more than their role does now."""
    scopes = frozenset(row.scopes.split())
    if row.owner is None:
        return scopes
    return scopes & rules.scopes_of(row.owner.role) if row.owner.is_active else None


def _note_use(token_id: str) -> None:
    """Write the last use down at most once a minute, on another thread than the request's."""
    moment = time.monotonic()
    with _lock:
        if moment - _noted.get(token_id, -_NOTE_SECONDS) < _NOTE_SECONDS:
            return
        if len(_noted) >= _KEPT_TOKENS:
            _noted.clear()
        _noted[token_id] = moment
    from mainstay.accounts.verbs import note_token_use

    _notes.submit(note_token_use, token_id)


def signed_in_user(user: object) -> User | None:
    """Django's `request.user` as our type; None for a visitor."""
    return cast("User", user) if getattr(user, "is_authenticated", False) else None
