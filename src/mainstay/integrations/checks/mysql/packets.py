"""Packets of MySQL's client/server protocol: framing, numbers, the greeting, errors, password proofs. Pure.

https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html, https://mariadb.com/kb/en/clientserver-protocol/
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mainstay.integrations.checks.progress import excerpt
from mainstay.kernel.probing import CheckFault

_PLUGIN_AUTH = 0x0008_0000
SSL = 0x0800
# LONG_PASSWORD, LONG_FLAG, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH
CAPABILITIES = 0x1 | 0x4 | 0x200 | 0x2000 | 0x8000 | 0x1_0000 | 0x2_0000 | _PLUGIN_AUTH
CONNECT_WITH_DB = 0x8
_UTF8MB4 = 45
_MAX_PACKET = 2**24 - 1
_NATIVE = "mysql_native_password"


@dataclass(frozen=True, slots=True)
class Greeting:
    version: str
    capabilities: int
    salt: bytes
    plugin: str


def read_greeting(body: bytes) -> Greeting:
    """HandshakeV10. CheckFault `wait.malformed` or, where the server rejects clients at once, `wait.refused`."""
    if body[:1] == b"\xff":
        raise refused(body)
    version, zero, rest = body[1:].partition(b"\0")
    if body[:1] != b"\x0a" or not zero or len(rest) < 31:
        raise CheckFault("wait.malformed", f"this is not a MySQL server: it says `{excerpt(body[:60])}`")
    capabilities = int.from_bytes(rest[13:15], "little") | int.from_bytes(rest[18:20], "little") << 16
    second = max(13, rest[20] - 8)
    salt = rest[4:12] + rest[31 : 31 + second]
    plugin = rest[31 + second :].partition(b"\0")[0].decode("ascii", "replace")
    return Greeting(
        version=excerpt(version.removeprefix(b"5.5.5-"))[:100],  # MariaDB's prefix for old replicas
        capabilities=capabilities,
        salt=salt[:20],
        plugin=plugin if capabilities & _PLUGIN_AUTH else _NATIVE,
    )


def opening(capabilities: int) -> bytes:
    """What a handshake response begins with; alone it is the wish for TLS."""
    return capabilities.to_bytes(4, "little") + _MAX_PACKET.to_bytes(4, "little") + bytes((_UTF8MB4,)) + bytes(23)


def response(capabilities: int, username: str, proof: bytes, database: str, plugin: str) -> bytes:
    """HandshakeResponse41."""
    named = database.encode() + b"\0" if database else b""
    answer = bytes((len(proof),)) + proof
    return opening(capabilities) + username.encode() + b"\0" + answer + named + plugin.encode() + b"\0"


def proof_of(plugin: str, password: str, salt: bytes) -> bytes | None:
    """What shows the server that we know the password; None for a way to sign in that is not known here."""
    secret = password.encode()
    if plugin == _NATIVE:
        return _xor(_sha1(secret), _sha1(salt + _sha1(_sha1(secret)))) if secret else b""
    if plugin == "caching_sha2_password":
        return _xor(_sha256(secret), _sha256(_sha256(_sha256(secret)) + salt)) if secret else b""
    return None


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def read_length(body: bytes, at: int) -> tuple[int | None, int]:
    """A length-encoded integer and where it ends; None is NULL. CheckFault if it is cut off."""
    first = body[at] if at < len(body) else 0xFF
    if first < 0xFB:
        return first, at + 1
    if first == 0xFB:
        return None, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
    if not size or at + 1 + size > len(body):
        raise CheckFault("transfer.malformed", "the server sends a row that cannot be read")
    return int.from_bytes(body[at + 1 : at + 1 + size], "little"), at + 1 + size


def error_of(body: bytes) -> tuple[int, str]:
    """(number, message) of an ERR packet."""
    rest = body[3:]
    if rest[:1] == b"#":
        rest = rest[6:]
    return int.from_bytes(body[1:3], "little"), excerpt(rest)[:300]


_LOGIN = {1045, 1698, 1130, 1251, 1820, 1862, 3118, 4151}
_DATABASE = {1044, 1049}
_TOO_LONG = {1317, 1969, 3024}


def refused(body: bytes) -> CheckFault:
    """What an error before the end of the login means."""
    number, message = error_of(body)
    if number in _LOGIN:
        return CheckFault("expect.login", f"the server refuses the login: {message} ({number})")
    if number in _DATABASE:
        return CheckFault("expect.database", f"the server refuses the database: {message} ({number})")
    return CheckFault("wait.refused", f"the server refuses the connection: {message} ({number})")


def failed(body: bytes) -> CheckFault:
    """What an error in answer to a query means."""
    number, message = error_of(body)
    if number in _TOO_LONG:
        return CheckFault("transfer.timeout", f"the query was cancelled: {message} ({number})")
    return CheckFault("expect.query", f"the query failed: {message} ({number})")
