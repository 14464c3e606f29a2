"""The client's side of SCRAM (RFC 5802, RFC 7677), which proves a password without sending it. No channel binding."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import unicodedata
from functools import lru_cache

_ITERATIONS_LIMIT = 500_000  # a server that asks for more would make the checking machine work for it
_SHORT = 20_000  # iterations that are done at once; more go to a thread


class ScramError(Exception):
    """The server's part is not SCRAM, or it does not know the password either; the message says which."""


class Scram:
    """`hash_name`: sha256 or sha1. Call `first`, then `final`, then `confirm`, each with what the server said."""

    def __init__(self, username: str, password: str, hash_name: str = "sha256") -> None:
        self._hash = hash_name
        self._password = password
        self._nonce = base64.b64encode(os.urandom(18)).decode()
        name = prepared(username).replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    async def final(self, server_first: bytes) -> bytes:
        """Proof that we know the password. Raises ScramError."""
        said = _attributes(server_first)
        try:
            nonce, salt, count = said["r"], base64.b64decode(said["s"], validate=True), int(said["i"])
        except (KeyError, ValueError, binascii.Error):
            raise ScramError("the server's challenge cannot be read") from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ScramError("the server's challenge is not for this session")
        if not 1 <= count <= _ITERATIONS_LIMIT:
            raise ScramError(f"the server asks for {count} rounds of hashing, more than {_ITERATIONS_LIMIT}")
        if count > _SHORT:
            salted = await asyncio.to_thread(_salted, self._hash, self._password, salt, count)
        else:
            salted = _salted(self._hash, self._password, salt, count)
        without_proof = f"c=biws,r={nonce}"
        message = b",".join((self._bare.encode(), server_first, without_proof.encode()))
        key = self._hmac(salted, b"Client Key")
        proof = bytes(
            a ^ b for a, b in zip(key, self._hmac(hashlib.new(self._hash, key).digest(), message), strict=True)
        )
        self._signature = self._hmac(self._hmac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def confirm(self, server_final: bytes) -> None:
        """ScramError unless the server proves that it knows the password too."""
        said = _attributes(server_final)
        if "e" in said:
            raise ScramError(f"the server says {said['e'][:80]}")
        if not hmac.compare_digest(said.get("v", ""), base64.b64encode(self._signature).decode()):
            raise ScramError("the server does not know the password: it may be an impostor")

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._hash)


@lru_cache(maxsize=256)
def _salted(hash_name: str, password: str, salt: bytes, count: int) -> bytes:
    """Kept, because a server asks for the same at every check; takes milliseconds."""
    return hashlib.pbkdf2_hmac(hash_name, prepared(password).encode(), salt, count)


def prepared(text: str) -> str:
    """SASLprep (RFC 4013) but for its prohibitions: spaces alike, composed forms, no soft hyphens."""
    if text.isascii():
        return text
    spaced = "".join(
        " " if unicodedata.category(letter) == "Zs" else "" if letter in "\u00ad\u200b\u2060\ufeff" else letter
        for letter in text
    )
    return unicodedata.normalize("NFKC", spaced)


def _attributes(message: bytes) -> dict[str, str]:
    """`r=...,s=...` as a mapping; what cannot be read is left out."""
    parts = message.decode("utf-8", "replace").split(",")
    return {part[0]: part[2:] for part in parts if part[1:2] == "="}
