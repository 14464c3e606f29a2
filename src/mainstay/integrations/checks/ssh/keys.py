"""Key agreements and host keys of SSH: what is sent, what both sides know then, and who signed it.

RFC 4253 (framework, Diffie-Hellman), RFC 5656 (elliptic curves), RFC 8731 (Curve25519), RFC 8268 (group 14 with
SHA-256), RFC 8332 (RSA with SHA-2), RFC 8709 (Ed25519).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils, x25519

from mainstay.integrations.checks.ssh.fields import Fields, mpint, string
from mainstay.kernel.probing import CheckFault

# RFC 3526, section 3
_PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
_RSA_BITS = 16_384  # as OpenSSH has it


class Agreement(Protocol):
    """One key agreement. `offer` and the server's part are encoded as they stand in packets and in the hash."""

    offer: bytes

    def shared(self, part: bytes) -> int:
        """The secret that both sides know. ValueError for a part that no honest server sends."""


class _Curve25519:
    def __init__(self) -> None:
        self._key = x25519.X25519PrivateKey.generate()
        self.offer = string(self._key.public_key().public_bytes_raw())

    def shared(self, part: bytes) -> int:
        return int.from_bytes(self._key.exchange(x25519.X25519PublicKey.from_public_bytes(part)))


class _Nistp256:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PublicFormat.UncompressedPoint
        self.offer = string(self._key.public_key().public_bytes(serialization.Encoding.X962, form))

    def shared(self, part: bytes) -> int:
        other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), part)
        return int.from_bytes(self._key.exchange(ec.ECDH(), other))


class _Group14:
    def __init__(self) -> None:
        self._key = secrets.randbits(320)  # twice the strength of the group, RFC 4253 section 8
        self.offer = mpint(pow(2, self._key, _PRIME))

    def shared(self, part: bytes) -> int:
        number = int.from_bytes(part)
        if not 1 < number < _PRIME - 1:
            raise ValueError("out of range")
        return pow(number, self._key, _PRIME)


AGREEMENTS: dict[str, type[_Curve25519 | _Nistp256 | _Group14]] = {
    "curve25519-sha256": _Curve25519,
    "curve25519-sha256@libssh.org": _Curve25519,
    "ecdh-sha2-nistp256": _Nistp256,
    "diffie-hellman-group14-sha256": _Group14,
}
HOST_KEYS = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
_CURVES: dict[bytes, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    b"nistp256": (ec.SECP256R1(), hashes.SHA256()),
    b"nistp384": (ec.SECP384R1(), hashes.SHA384()),
    b"nistp521": (ec.SECP521R1(), hashes.SHA512()),
}


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def verify(blob: bytes, signature: bytes, signed: bytes) -> tuple[str, int]:
    """(type of the key, its bits). CheckFault `expect.signature` unless the host key signed `signed`."""
    try:
        fields = Fields(signature)
        algorithm, value = fields.string(), fields.string()
        return _verify(Fields(blob), algorithm, value, signed)
    except InvalidSignature:
        reason = "the server does not hold the host key that it presents: it may be an impostor"
        raise CheckFault("expect.signature", reason) from None
    except (ValueError, KeyError, UnsupportedAlgorithm) as error:
        reason = f"the host key or its signature cannot be read: {str(error)[:100]}"
        raise CheckFault("wait.malformed", reason) from None


def _verify(key: Fields, algorithm: bytes, value: bytes, signed: bytes) -> tuple[str, int]:
    kind = key.string()
    if kind == b"ssh-ed25519" and algorithm == kind:
        ed25519.Ed25519PublicKey.from_public_bytes(key.string()).verify(value, signed)
        return "ssh-ed25519", 256
    if kind == b"ssh-rsa" and algorithm in (b"rsa-sha2-256", b"rsa-sha2-512"):
        exponent, modulus = key.mpint(), key.mpint()
        if exponent.bit_length() > 64 or modulus.bit_length() > _RSA_BITS:
            raise ValueError("an RSA key of that size takes too long to verify")
        hashed: hashes.HashAlgorithm = hashes.SHA512() if algorithm.endswith(b"512") else hashes.SHA256()
        rsa.RSAPublicNumbers(exponent, modulus).public_key().verify(value, signed, padding.PKCS1v15(), hashed)
        return "ssh-rsa", modulus.bit_length()
    if kind.startswith(b"ecdsa-sha2-") and algorithm == kind:
        curve, hashed = _CURVES[key.string()]
        pair = Fields(value)
        coded = utils.encode_dss_signature(pair.mpint(), pair.mpint())
        ec.EllipticCurvePublicKey.from_encoded_point(curve, key.string()).verify(coded, signed, ec.ECDSA(hashed))
        return kind.decode(), curve.key_size
    raise ValueError(f"`{kind[:40].decode('ascii', 'replace')}` is not a key type that was requested")
