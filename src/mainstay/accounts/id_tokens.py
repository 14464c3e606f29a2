"""ID tokens of OpenID Connect, checked whole (OpenID Connect Core 1.0, section 3.1.3.7).

allauth leaves the signature out where the token came straight from the provider, which the standard allows over TLS
only. Providers within a network are reached without it, and a mistaken proxy breaks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
from allauth.socialaccount.providers.oauth2.client import OAuth2Error

_BY_KEY = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_BY_SECRET = frozenset({"HS256", "HS384", "HS512"})
_LEEWAY = 60.0  # seconds that clocks may differ
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.InvalidAudienceError, "is meant for another program"),
    (jwt.InvalidIssuerError, "comes from another provider"),
    (jwt.ExpiredSignatureError, "has expired: compare the clocks of both servers"),
    (jwt.ImmatureSignatureError, "is dated in the future: compare the clocks of both servers"),
    (jwt.InvalidSignatureError, "is not signed by its key"),
    (jwt.MissingRequiredClaimError, "lacks fields that every such answer must have"),
)


class InvalidIdToken(OAuth2Error):
    """The message is for the person who signs in."""

    def __init__(self, trouble: str) -> None:
        super().__init__(f"The provider's answer {trouble}.")


def decoded(token: str, *, issuer: str, client: str, secret: str, keys: Callable[[], Any]) -> dict[str, Any]:
    """The claims. `keys` asks for the provider's key set (RFC 7517). Raises InvalidIdToken.

    Tokens signed by the secret that both know need no key set.
    """
    try:
        header = jwt.get_unverified_header(token)
        algorithm = str(header.get("alg", ""))
        key = secret if algorithm in _BY_SECRET else _key(keys(), header.get("kid"), algorithm)
        if not key:
            raise InvalidIdToken("is not signed by one of its keys")
        required = ["iss", "sub", "aud", "exp", "iat"]
        return jwt.decode(
            token, key, [algorithm], {"require": required}, audience=client, issuer=issuer, leeway=_LEEWAY
        )
    except jwt.PyJWTError as error:
        reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "is not a valid ID token")
        raise InvalidIdToken(reason) from error


def _key(found: Any, name: object, algorithm: str) -> Any:
    """The public key of this name, or the only one where the token names none; None if there is no such."""
    listed = [one for one in found["keys"] if one.get("use", "sig") == "sig"]
    fitting = [one for one in listed if one.get("kid") == name] or (listed if name is None else [])
    return jwt.PyJWK(fitting[0], algorithm).key if len(fitting) == 1 and algorithm in _BY_KEY else None
