"""ID tokens that are not what they should be: nobody is let in, nothing is made, and the page says why."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.cache import cache
from tests.rigs.accounts_browser import TEST, browser
from tests.rigs.sso_provider import Forger, Provider, running_provider, sign_in_document

from mainstay.accounts.models import User
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare

pytestmark = pytest.mark.usefixtures("store")
SECRET = "a secret of forty letters, or even some more"  # of a provider on loopback


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def _calm() -> None:
    cache.clear()
    (settings.MAINSTAY.data / "secrets" / "oidc").write_text(SECRET)


def signed(claims: dict[str, Any], key: Any, algorithm: str = "RS256", **header: str) -> str:
    return jwt.encode(claims, key, algorithm, {"kid": "1", **header})


def by_public_key(claims: dict[str, Any], key: Any) -> str:
    """As if the public key, which everybody knows, were the secret."""
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "1", "typ": "JWT"}, claims)
    )
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    made = algorithm.sign(head + b"." + body, public)
    return b".".join((head, body, base64.urlsafe_b64encode(made).rstrip(b"="))).decode()


def come(provider: Provider, forge: Callable[[dict[str, Any], Any], str]) -> tuple[int, str]:
    """Walk there and back over a forger: (status, page)."""
    provider.describe("u1", email="first@example.com", email_verified=True)
    with Forger(provider, forge) as forger:
        document = {**sign_in_document(provider, default_role="admin"), "server": forger.address}
        declare(TEST, "sign_in", "company", document, manager="page")
        client = browser()
        asked = client.get("/accounts/oidc/company/login/").headers["location"]
        back = urlsplit(provider.consent(asked, "u1"))
        answer = client.get(f"{back.path}?{back.query}")
    if answer.status_code != 302:
        assert client.get("/account/").status_code == 302
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize(
    "forge",
    [
        signed,
        lambda claims, _: signed(claims, SECRET, "HS256"),
        lambda claims, key: signed({**claims, "aud": ["mainstay"]}, key),
    ],
    ids=["by its key", "by the secret", "audiences"],
)
def test_tokens_that_are_right_let_in(provider: Provider, forge: Callable[[dict[str, Any], Any], str]) -> None:
    assert come(provider, forge)[0] == 302
    assert User.objects.get().email == "first@example.com"


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (lambda claims, key: signed({**claims, "aud": "other"}, key), "is meant for another program"),
        (lambda claims, key: signed({**claims, "iss": "http://127.0.0.1:1"}, key), "comes from another provider"),
        (lambda claims, key: signed({**claims, "exp": time.time() - 90}, key), "has expired"),
        (lambda claims, key: signed({**claims, "iat": time.time() + 600}, key), "is dated in the future"),
        (lambda claims, key: signed({**claims, "nonce": "other"}, key), "belongs to another sign-in"),
        (lambda claims, key: signed({**claims, "nonce": ""}, key), "belongs to another sign-in"),
        (lambda claims, key: signed({**claims, "sub": "u2"}, key), "refer to two different people"),
        (lambda claims, _: signed(claims, rsa.generate_private_key(65537, 2048)), "is not signed by its key"),
        (lambda claims, key: signed(claims, key, kid="2"), "is not signed by one of its keys"),
        (
            lambda claims, _: signed(claims, SECRET[::-1], "HS256"),
            "is not signed by its key",
        ),
        (lambda claims, _: jwt.encode(claims, None, "none", {"kid": "1"}), "is not signed by one of its keys"),
        (by_public_key, "is not signed by its key"),
        (lambda claims, key: signed({n: v for n, v in claims.items() if n != "exp"}, key), "lacks fields that every"),
        (lambda claims, key: signed(claims, key)[:-9], "is not"),
        (lambda _, __: "nonsense", "is not a valid ID token"),
    ],
    ids=[
        "audience",
        "issuer",
        "expired",
        "later",
        "nonce",
        "no nonce",
        "person",
        "key",
        "unknown key",
        "secret",
        "none",
        "public key as secret",
        "endless",
        "cut",
        "nonsense",
    ],
)
def test_a_token_that_is_wrong_lets_nobody_in_and_makes_nothing(
    provider: Provider, forge: Callable[[dict[str, Any], Any], str], reason: str
) -> None:
    status, page = come(provider, forge)
    assert status == 403
    assert reason in page.replace("&#x27;", "'")
    assert "Back to sign-in" in page
    assert not User.objects.exists()
    assert not SocialAccount.objects.exists()
    (failed,) = entries(Filter(kind="user.sign_in_failed"))
    assert reason in failed.data["reason"]
    assert not list(entries(Filter(kind="user.created")))
