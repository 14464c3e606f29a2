"""Reads of accounts: who somebody is, what they may do, and lists for the pages."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps
from django.conf import settings

from mainstay.accounts import policies, rules
from mainstay.accounts.models import Invitation, Token, User
from mainstay.accounts.settings import SECOND_FACTOR_GRACE_DAYS
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import lasts
from mainstay.store.models import FactRow

SETUP_FACT = "accounts.setup"
AUTHENTICATION_METHODS = "account_authentication_methods"  # allauth's key of a session: how its person came
RECOVERED_UNTIL = "mainstay.recovered_until"
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
    provider: str  # of single sign-on, if the account is bound to one
    joined_at: float
    last_sign_in: float | None


def has_admin() -> bool:
    """Whether somebody can sign in as administrator. While nobody can, the set-up link is open."""
    admins = list(User.objects.filter(role="admin", is_active=True))
    return any(can_sign_in(user) for user in admins)


def is_unclaimed() -> bool:
    """Whether nobody has an account that they can sign in to."""
    return not any(can_sign_in(user) for user in User.objects.filter(is_active=True))


def signing_in() -> frozenset[str]:
    """The e-mail addresses with which somebody can sign in, in lower case."""
    return frozenset(user.email for user in User.objects.filter(is_active=True) if can_sign_in(user))


def can_sign_in(user: User) -> bool:
    """Whether a person has any way in: a password, or a provider of single sign-on that knows them."""
    return user.has_usable_password() or from_provider(user) != ""


def from_provider(user: User) -> str:
    """The provider of single sign-on that an account is bound to; empty if there is none."""
    found = apps.get_model("socialaccount", "SocialAccount").objects.filter(user_id=user.pk).order_by("pk").first()
    return str(found.provider) if found is not None else ""


def setup_is_open(token: str, now: float | None = None) -> bool:
    """Whether this is the one-time token that makes the first administrator, and still good."""
    fact = FactRow.objects.filter(key=SETUP_FACT).first()
    return fact is not None and fits_setup(fact.value, token, time.time() if now is None else now) and not has_admin()


def fits_setup(fact: str, token: str, now: float) -> bool:
    """Compare with the stored `<SHA-256> <expiry in epoch seconds>`."""
    secret_hash, _, expires = fact.partition(" ")
    return rules.same_secret(token, secret_hash) and lasts(float(expires), rules.SETUP_SECONDS, now)


def invited_email(secret: str, now: float | None = None, *, purpose: str = "join") -> str | None:
    """The account that a one-time link belongs to; None if it is unknown, used or too old."""
    links = Invitation.objects.select_related("user").filter(purpose=purpose)
    found = links.filter(secret_hash=rules.hash_secret(secret)).first()
    return found.user.email if found and link_lasts(found, time.time() if now is None else now) else None


def link_lasts(link: Invitation, now: float) -> bool:
    """Whether a one-time link is good at this time, and its account switched on."""
    return lasts(link.expires_us / 1e6, rules.LINK_SECONDS[link.purpose], now) and link.user.is_active


def users_with_factor(user_ids: Iterable[int]) -> set[int]:
    """Those of the users who have a second factor (recovery codes alone are none)."""
    authenticators = apps.get_model("mfa", "Authenticator").objects
    found = authenticators.filter(user_id__in=list(user_ids)).exclude(type="recovery_codes")
    return set(found.values_list("user_id", flat=True))


@dataclass(frozen=True, slots=True)
class Visit:
    """What a session tells of how its person came.

    address: of the client, empty if it cannot be known; provider: of single sign-on, if it brought them.
    recovered_until: epoch seconds until which a link of `mainstay access recover` lifts the limits on addresses.
    """

    address: str = ""
    provider: str = ""
    recovered_until: float = 0.0


def visit_of(session: Mapping[str, Any], address: str) -> Visit:
    """The visit of a session, whose keys allauth and `pages` write."""
    records = session.get(AUTHENTICATION_METHODS, [])
    came_by = next((record.get("provider", "") for record in records if record.get("method") == "socialaccount"), "")
    return Visit(address, str(came_by), float(session.get(RECOVERED_UNTIL, 0.0)))


def _standing(user: User, role: rules.Role, visit: Visit, now: float) -> rules.Standing:
    if not user.is_active or not _place_fits(role, visit, now):
        return rules.Standing(frozenset(), "not_required")
    return rules.standing(
        role,
        has_factor=user.pk in users_with_factor([user.pk]) or _asked_elsewhere(visit.provider),
        since=user.second_factor_since.timestamp(),
        grace_days=settings.MAINSTAY[SECOND_FACTOR_GRACE_DAYS],
        now=now,
    )


def moment() -> float:
    """Now, in epoch seconds, for who decides about a visit."""
    return time.time()


def place_fits(user: User, visit: Visit, now: float | None = None) -> bool:
    """Whether this person's role may be used from where they are."""
    return _place_fits(policies.role(user.role), visit, time.time() if now is None else now)


def _place_fits(role: rules.Role, visit: Visit, now: float) -> bool:
    return recovered(visit, now) or rules.within(role.networks, visit.address)


def recovered(visit: Visit, now: float) -> bool:
    """Whether a recovery link lifts the limits on this visit."""
    return lasts(visit.recovered_until, rules.LINK_SECONDS["recover"], now)


def _asked_elsewhere(provider: str) -> bool:
    """Whether this provider's own second factor is taken for ours."""
    found = policies.provider(provider) if provider else None
    return found is not None and found.spec.second_factor == "provider"


def who(user: User, visit: Visit | None = None, now: float | None = None) -> tuple[Actor, rules.Standing]:
    """The actor for a signed-in person, and why it may do less than their role; two or three queries."""
    role = policies.role(user.role)
    standing = _standing(user, role, visit or Visit(), time.time() if now is None else now)
    return Actor("user", user.email, standing.scopes, role.limits), standing


def actor_of_user(user: User, visit: Visit | None = None, now: float | None = None) -> Actor:
    """The actor for a signed-in person; without scopes where or while they may do nothing."""
    return who(user, visit, now)[0]


def people(actor: Actor) -> list[Person]:
    """Every account, by e-mail address."""
    actor.require("users:write")
    users = list(User.objects.order_by("email"))
    with_factor = users_with_factor(user.pk for user in users)
    bound = dict(apps.get_model("socialaccount", "SocialAccount").objects.values_list("user_id", "provider"))
    return [
        Person(
            email=user.email,
            role=user.role,
            active=user.is_active,
            factor=user.pk in with_factor,
            invited=not user.has_usable_password() and user.pk not in bound,
            provider=bound.get(user.pk, ""),
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
    limits: tuple[str, ...]
    owner: str  # e-mail address; empty for tokens of the command line and of service accounts
    service: str  # the service account that it belongs to
    made_by: str
    created_at: float
    expires_at: float
    last_used_at: float | None
    revoked_at: float | None

    @property
    def holder(self) -> str:
        """Who answers for it: a service account, a person, or whoever made it on the machine."""
        return f"service account {self.service}" if self.service else self.owner or self.made_by

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
        limits=tuple(json.loads(row.limits)),
        service=row.service,
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
    networks: tuple[str, ...]
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


def actor_of_token(text: str, address: str = "", now: float | None = None) -> Actor | None:
    """The actor of an API token; None if it is malformed, unknown, wrong, expired, revoked or its owner left.

    None also if it is bound to networks and the client's address, empty if it cannot be known, is in none of them.
    """
    parsed = rules.parse_token(text)
    if parsed is None:
        return None
    known = _lookup(parsed.id)
    if known is None or not rules.same_secret(parsed.secret, known.secret_hash):
        return None
    if known.expires_at <= (time.time() if now is None else now) or not rules.within(known.networks, address):
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
    reach = _reach_now(row) if row is not None else None
    if row is None or reach is None:
        forget_token(token_id)
        return None
    actor = Actor("token", token_actor_name(row.name, row.id), reach.scopes, reach.limits)
    found = _Known(row.secret_hash, actor, reach.networks, row.expires_us / 1e6, time.monotonic())
    with _lock:
        if len(_known) >= _KEPT_TOKENS:
            _known.clear()
        _known[token_id] = found
    return found


@dataclass(frozen=True, slots=True)
class _Reach:
    scopes: frozenset[str]
    limits: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


def _reach_now(row: Token) -> _Reach | None:
    """A token never outlives its owner's account, and never does more than its owner may now."""
    own = _Reach(frozenset(row.scopes.split()), tuple(json.loads(row.limits)))
    if row.service:
        spec = policies.service_account(row.service)
        return _Reach(own.scopes & spec.granted, (*spec.limit, *own.limits), tuple(spec.origin)) if spec else None
    if row.owner is None:
        return own
    role = policies.role(row.owner.role)
    return _Reach(own.scopes & role.scopes, (*role.limits, *own.limits), role.networks) if row.owner.is_active else None


def _note_use(token_id: str) -> None:
    """Write the last use down at most once a minute, on another thread than the request's."""
    moment = time.monotonic()
    with _lock:
        if moment - _noted.get(token_id, -_NOTE_SECONDS) < _NOTE_SECONDS:
            return
        if len(_noted) >= _KEPT_TOKENS:
            _noted.clear()
        _noted[token_id] = moment
    from mainstay.accounts.token_verbs import note_token_use

    _notes.submit(note_token_use, token_id)


def signed_in_user(user: object) -> User | None:
    """Django's `request.user` as our type; None for a visitor."""
    return cast("User", user) if getattr(user, "is_authenticated", False) else None
