"""The other end of web push: a browser with keys of its own, which decrypts what arrives and knows who signed it."""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.rigs.receivers import Request

from mainstay.alerting.push_key import public_key


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(said: str) -> bytes:
    return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))


class Device:
    def __init__(self, endpoint: str, key: str = "01device") -> None:
        self.endpoint, self.id = endpoint, key
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)
        self.point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self) -> dict[str, Any]:
        keys = {"p256dh": text(self.point), "auth": text(self._auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def row(self) -> dict[str, str]:
        return {"id": self.id, "endpoint": self.endpoint, **self.subscription()["keys"]}

    def claims(self, request: Request) -> dict[str, Any]:
        """Who sent it, by a signature with the key that the browser subscribed with (RFC 8292)."""
        scheme, _, rest = request.headers["authorization"].partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        assert (scheme, parts["k"]) == ("vapid", public_key())
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(parts["k"]))
        where = urlsplit(self.endpoint)
        # The time of a test is not that of the clock.
        return dict(
            jwt.decode(
                parts["t"],
                key,
                algorithms=["ES256"],
                audience=f"{where.scheme}://{where.netloc}",
                options={"verify_exp": False},
            )
        )

    def read(self, request: Request) -> Any:
        """What was pushed, decrypted as RFC 8291 and RFC 8188 have it."""
        self.claims(request)
        assert request.headers["content-encoding"] == "aes128gcm"
        assert len(request.body) <= 4096
        salt, size, length = request.body[:16], int.from_bytes(request.body[16:20], "big"), request.body[20]
        sender, sealed = request.body[21 : 21 + length], request.body[21 + length :]
        assert len(sealed) <= size
        shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        secret = HKDF(SHA256(), 32, self._auth, b"WebPush: info\0" + self.point + sender).derive(shared)
        key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert plain.endswith(b"\x02")
        return json.loads(plain[:-1])
