"""Which role may do what, when a second factor is due, and how an API token is written. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from mainstay.accounts.spec import BUILT_IN, RoleSpec, SignInSpec, role_scopes
from mainstay.kernel.actor import all_scopes
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import UserError

SETUP_SECONDS = 86_400.0
LINK_SECONDS = {"join": 7 * 86_400.0, "recover": 3_600.0}  # how long one-time links are good, by their purpose
ROLES: dict[str, str] = {
    "admin": "everything, including people and their roles",
    "operations": "operates everything: resources, checks, alerts, journal and tokens of their own",
    "support": "sees monitors, resources, alerts and the journal; changes nothing",
    "developer": "sees monitors and resources",
}


@dataclass(frozen=True, slots=True)
class Role:
    """A role as it holds now: built in or declared, with its policy.

    limits: label matchers, all of which must match; networks: from where it may be used (none: from anywhere).
    """

    name: str
    about: str
    scopes: frozenset[str]
    limits: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    needs_factor: bool = True


def role_of(name: str, spec: RoleSpec | None, needing: frozenset[str]) -> Role:
    """The role of this name. `spec`: what is declared of it; `needing`: built-in roles that need a second factor.

    A role that is neither built in nor declared (any more) may do nothing.
    """
    if spec is None:
        scopes = next((role_scopes(role) for role in BUILT_IN if role == name), frozenset())
        return Role(name, ROLES.get(name, ""), scopes, needs_factor=name in needing)
    needs = spec.like != "developer" if name not in ROLES else name in needing
    if spec.second_factor is not None:
        needs = spec.second_factor == "required"
    about = spec.description or ROLES.get(name, "")
    return Role(name, about, spec.granted, tuple(spec.limit), tuple(spec.origin), needs)


def within(networks: tuple[str, ...], address: str) -> bool:
    """Whether an address is in one of the networks; no networks: always. An unknown address (empty) never is."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in _network(text) for text in networks)


@lru_cache(maxsize=1024)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


def granting() -> frozenset[str]:
    """What hands out access to others, or takes the place of it elsewhere, or is as good as an account on the machine.

    A stolen password alone must not be enough to make it permanent.
    """
    return frozenset(name for name, scope in CAPABILITIES.scopes.items() if scope.granting)


DAY = 86_400.0
TOKEN_DAYS = 90
LONGEST_TOKEN_DAYS = 3650


def check_role(role: str, known: Iterable[str]) -> str:
    """The role if it is one of these; UserError names them."""
    names = list(known)
    if role not in names:
        hint = did_you_mean(role, names) or f"one of {', '.join(names)}"
        raise UserError(f"there is no role `{role[:40]}`", hint=hint)
    return role


def check_scopes(wanted: list[str]) -> frozenset[str]:
    """The scopes, if every one of them exists and there is at least one; UserError otherwise."""
    for scope in wanted:
        if scope not in all_scopes():
            hint = did_you_mean(scope, all_scopes()) or "known scopes: " + " ".join(CAPABILITIES.scopes)
            raise UserError(f"there is no scope `{scope[:40]}`", hint=hint)
    if not wanted:
        raise UserError("a token needs at least one scope", hint="known scopes: " + " ".join(CAPABILITIES.scopes))
    return frozenset(wanted)


# Second factor ---------------------------------------------------------------------------------------------

FactorState = Literal["active", "not_required", "due", "overdue"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a signed-in person may do now, and why it is less than their role allows."""

    scopes: frozenset[str]
    factor: FactorState
    due_at: float | None = None  # epoch seconds
    withheld: frozenset[str] = frozenset()  # scopes of the role that a second factor would give


def standing(role: Role, *, has_factor: bool, since: float, grace_days: int, now: float) -> Standing:
    """Scopes of a person of `role` whose duty to have a second factor began at `since`.

    Within the grace everything works but handing out access; after it nothing does.
    """
    if has_factor:
        return Standing(role.scopes, "active")
    if not role.needs_factor:
        return Standing(role.scopes, "not_required")
    due_at = since + grace_days * DAY
    if now < due_at:
        return Standing(role.scopes - granting(), "due", due_at, role.scopes & granting())
    return Standing(frozenset(), "overdue", due_at, role.scopes)


def mapped_role(groups: Iterable[str], spec: SignInSpec) -> str | None:
    """The role of a person whom the provider says to be in these groups; None: this person is not let in."""
    theirs = set(groups)
    return next((one.role for one in spec.roles if one.group in theirs), spec.default_role)


def domain_fits(email: str, domains: Sequence[str]) -> bool:
    """Whether an address is of one of the domains (exactly, not of one below it); none declared: always."""
    name, at, domain = email.rpartition("@")
    return not domains or (bool(name and at) and domain.lower() in domains)


# Passwords -------------------------------------------------------------------------------------------------

FEWEST_SIGNS = 5


def is_monotonous(password: str) -> bool:
    """Whether a password is long by repeating itself or by counting: `aaaaaaaaaaaa`, `abcabcabcabc`, `abcdefghijkl`."""
    signs = password.lower()
    steps = {ord(after) - ord(before) for before, after in pairwise(signs)}
    half = len(signs) // 2
    repeats = any(signs == (signs[:size] * len(signs))[: len(signs)] for size in range(1, half + 1))
    return len(set(signs)) < FEWEST_SIGNS or repeats or steps in ({1}, {-1})


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
        raise UserError("a token is valid for between one minute and ten years", hint="for example --expires 90d")
    return days * DAY
