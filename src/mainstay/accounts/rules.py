"""Which role may do what, when a second factor is due, and how an API token is written. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Literal

from mainstay.kernel.actor import ALL_SCOPES, SCOPES
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import UserError

ROLES: dict[str, str] = {
    "admin": "everything, people and their roles included",
    "operations": "runs the place: resources, checks, alerts, journal and tokens of their own",
    "support": "sees monitors, resources, alerts and the journal; changes nothing",
    "developer": "sees monitors and resources",
}

_DEVELOPER = frozenset({"monitors:read", "resources:read"})
_SUPPORT = _DEVELOPER | {"alerts:read", "journal:read", "metrics:read", "settings:read"}
_ROLE_SCOPES: dict[str, frozenset[str]] = {
    "admin": ALL_SCOPES,
    "operations": ALL_SCOPES - {"users:write"},
    "support": _SUPPORT,
    "developer": _DEVELOPER,
}

# What hands out access to others. A stolen password alone must not be enough to make it permanent.
GRANTING = frozenset({"users:write", "tokens:write"})

DAY = 86_400.0
TOKEN_DAYS = 90
LONGEST_TOKEN_DAYS = 3650


def check_role(role: str) -> str:
    """The role if there is one of this name; UserError names the known ones."""
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise UserError(f"there is no role `{role[:40]}`", hint=did_you_mean(role, ROLES) or f"one of {known}")
    return role


def scopes_of(role: str) -> frozenset[str]:
    """The scopes of a role; none for a role that this version does not know."""
    return _ROLE_SCOPES.get(role, frozenset())


def check_scopes(wanted: list[str]) -> frozenset[str]:
    """The scopes, if every one of them exists and there is at least one; UserError otherwise."""
    for scope in wanted:
        if scope not in ALL_SCOPES:
            hint = did_you_mean(scope, ALL_SCOPES) or "known scopes: " + " ".join(SCOPES)
            raise UserError(f"there is no scope `{scope[:40]}`", hint=hint)
    if not wanted:
        raise UserError("a token needs at least one scope", hint="known scopes: " + " ".join(SCOPES))
    return frozenset(wanted)


# Second factor ---------------------------------------------------------------------------------------------

FactorState = Literal["active", "not_required", "due", "overdue"]


@dataclass(frozen=True, slots=True)
class FactorPolicy:
    """Roles that need a second factor, and how long a person may put it off."""

    roles: frozenset[str]
    grace_days: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What a signed-in person may do now, and why it is less than their role allows."""

    scopes: frozenset[str]
    factor: FactorState
    due_at: float | None = None  # epoch seconds


def standing(role: str, *, has_factor: bool, since: float, policy: FactorPolicy, now: float) -> Standing:
    """Scopes of a person of `role` whose duty to have a second factor began at `since`.

    Within the grace everything works but handing out access; after it nothing does.
    """
    scopes = scopes_of(role)
    if has_factor:
        return Standing(scopes, "active")
    if role not in policy.roles:
        return Standing(scopes, "not_required")
    due_at = since + policy.grace_days * DAY
    if now < due_at:
        return Standing(scopes - GRANTING, "due", due_at)
    return Standing(frozenset(), "overdue", due_at)


# API tokens ------------------------------------------------------------------------------------------------
# mst_<10 id>_<43 secret><6 checksum>: a fixed prefix and a CRC-32 let secret scanners tell a real token from
# noise without asking anybody (the layout that GitHub describes for its tokens).

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TOKEN = re.compile(r"mst_([0-9a-z]{10})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)
TOKEN_LENGTH = 64


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def _checksum(token_id: str, secret: str) -> str:
    return _base62(zlib.crc32(f"mst_{token_id}_{secret}".encode()), 6)


@dataclass(frozen=True, slots=True)
class TokenText:
    """The parts of a token that was given to us or is about to be handed out."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"mst_{self.id}_{self.secret}{_checksum(self.id, self.secret)}"

    def __repr__(self) -> str:
        return f"TokenText({self.id})"  # never the secret, also not in a traceback


def new_token() -> TokenText:
    """A fresh token: 256 random bits behind a random name."""
    token_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(10))
    return TokenText(token_id, _base62(secrets.randbits(256), 43))


def parse_token(text: str) -> TokenText | None:
    """The parts of a well-formed token whose checksum fits; None for anything else."""
    found = _TOKEN.fullmatch(text) if len(text) == TOKEN_LENGTH else None
    if found is None or _checksum(found[1], found[2]) != found[3]:
        return None
    return TokenText(found[1], found[2])


def hash_secret(secret: str) -> str:
    """SHA-256; enough for a secret of 256 random bits, which nobody can guess from its hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same_secret(secret: str, secret_hash: str) -> bool:
    return hmac.compare_digest(hash_secret(secret), secret_hash)


def check_lifetime(days: float) -> float:
    """Seconds of a token's life; UserError outside of 1 minute to ten years."""
    if not 1 / 1440 <= days <= LONGEST_TOKEN_DAYS:
        raise UserError("a token lives from one minute to ten years", hint="for example --expires 90d")
    return days * DAY
