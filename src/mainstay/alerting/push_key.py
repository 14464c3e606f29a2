"""The key by which push services know this server (VAPID, RFC 8292). It is derived from the server's secret key: every
server of several has the same one, it lasts as long, and there is nothing more to keep or back up."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_PURPOSE = b"mainstay web push v1"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


def private_key() -> str:
    """PEM, PKCS #8."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return _key(settings.SECRET_KEY).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_key() -> str:
    """What a browser subscribes with: an uncompressed point in base64url."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = _key(settings.SECRET_KEY).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


@lru_cache(maxsize=2)
def _key(secret: str) -> EllipticCurvePrivateKey:
    """By extra random bits (FIPS 186-5, A.2.1), so that no scalar is likelier than another."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    bits = HKDF(SHA256(), 48, None, _PURPOSE).derive(secret.encode())
    return ec.derive_private_key(int.from_bytes(bits, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
