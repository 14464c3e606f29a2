"""The part of SSH's transport before anything is encrypted (RFC 4253): versions, algorithms, one key agreement."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.progress import excerpt
from mainstay.integrations.checks.ssh.fields import Fields, mpint, string
from mainstay.integrations.checks.ssh.keys import AGREEMENTS, HOST_KEYS, fingerprint, verify
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.sessions import Talk

_DISCONNECT, _IGNORE, _UNIMPLEMENTED, _DEBUG, _KEXINIT, _INIT, _REPLY = 1, 2, 3, 4, 20, 30, 31
_PACKET_LIMIT = 65_536  # bytes; RFC 4253 asks for 35,000
_LINES_LIMIT = 50  # before the version, RFC 4253 section 4.2
_SKIPPED = 20  # packets that mean nothing
_BY_APPLICATION = 11
# Offered because an offer must not be empty; nothing is ever encrypted.
_CIPHERS = b"aes128-ctr,aes256-ctr,chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_MACS = b"hmac-sha2-256,hmac-sha2-512,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1"


@dataclass(frozen=True, slots=True)
class HostKey:
    kind: str
    bits: int
    fingerprint: str
    agreement: str


class Transport:
    def __init__(self, talk: Talk, version: str) -> None:
        self._talk = talk
        self._own = f"SSH-2.0-Mainstay_{version.replace('-', '_')}".encode()
        self._other = b""

    async def exchange_versions(self) -> str:
        """The server's line. CheckFault `wait.malformed` where it is no SSH server, or an old one."""
        await self._talk.send(self._own + b"\r\n")
        for _ in range(_LINES_LIMIT):
            line = await self._talk.line()
            if line.startswith(b"SSH-"):
                break
            if not line.isascii() or line.startswith((b"HTTP/", b"220 ", b"* OK", b"+OK")):
                raise CheckFault("wait.malformed", f"this is not an SSH server: it says `{excerpt(line[:80])}`")
        else:
            raise CheckFault("wait.malformed", f"the server sends no version in its first {_LINES_LIMIT} lines")
        if not line.startswith((b"SSH-2.0-", b"SSH-1.99-")) or len(line) > 253:
            raise CheckFault("wait.malformed", f"the server does not speak SSH 2: `{excerpt(line[:80])}`")
        self._other = line
        return excerpt(line)

    async def agree(self, key_type: str) -> HostKey:
        """Agree on a key, which proves that the server has the host key it shows. CheckFault."""
        names = [HOST_KEYS[key_type]] if key_type else list(HOST_KEYS.values())
        host_keys = [name for group in names for name in group]
        own = self._algorithms(host_keys)
        await self._send(own)
        other = await self._expect(_KEXINIT)
        try:
            fields = Fields(other)
            fields.take(17)
            known, offered = fields.names(), fields.names()
        except ValueError:
            raise CheckFault("wait.malformed", "the server's list of algorithms cannot be read") from None
        agreement = _chosen(list(AGREEMENTS), known, "key agreement")
        _chosen(host_keys, offered, f"{key_type or 'host'} key")
        return await self._carry_out(agreement, own, other)

    async def _carry_out(self, name: str, own: bytes, other: bytes) -> HostKey:
        agreement = AGREEMENTS[name]()
        await self._send(bytes((_INIT,)) + agreement.offer)
        reply = await self._expect(_REPLY)
        try:
            fields = Fields(reply[1:])
            blob, part, signature = fields.string(), fields.string(), fields.string()
            shared = agreement.shared(part)
        except ValueError:
            raise CheckFault("wait.malformed", "the server's part of the key agreement cannot be read") from None
        said = map(string, (self._own, self._other, own, other, blob))
        hashed = b"".join((*said, agreement.offer, string(part), mpint(shared)))
        kind, bits = verify(blob, signature, hashlib.sha256(hashed).digest())
        return HostKey(kind, bits, fingerprint(blob), name)

    async def leave(self) -> None:
        text = string(b"thank you") + string(b"")
        await self._send(bytes((_DISCONNECT,)) + _BY_APPLICATION.to_bytes(4) + text)

    def _algorithms(self, host_keys: list[str]) -> bytes:
        lists = [",".join(AGREEMENTS).encode(), ",".join(host_keys).encode()]
        lists += [_CIPHERS, _CIPHERS, _MACS, _MACS, b"none", b"none", b"", b""]
        return bytes((_KEXINIT,)) + os.urandom(16) + b"".join(map(string, lists)) + b"\0" + bytes(4)

    async def _send(self, payload: bytes) -> None:
        padding = 8 - (len(payload) + 5) % 8
        padding += 8 if padding < 4 else 0
        size = len(payload) + padding + 1
        await self._talk.send(size.to_bytes(4) + bytes((padding,)) + payload + os.urandom(padding))

    async def _expect(self, kind: int) -> bytes:
        for _ in range(_SKIPPED):
            payload = await self._packet()
            if payload[:1] == bytes((kind,)):
                return payload
            if payload[:1] == bytes((_DISCONNECT,)):
                raise _turned_away(payload)
            if payload[:1] not in (bytes((_IGNORE,)), bytes((_DEBUG,)), bytes((_UNIMPLEMENTED,))):
                break
        raise CheckFault("wait.malformed", "the server sends a message that is not part of a key agreement")

    async def _packet(self) -> bytes:
        size = int.from_bytes(await self._talk.exactly(4))
        if not 2 <= size <= _PACKET_LIMIT:
            raise CheckFault("wait.malformed", f"the server sends a packet of {size} bytes, which SSH does not allow")
        packet = await self._talk.exactly(size)
        return packet[1 : max(1, size - packet[0])]


def _chosen(ours: list[str], theirs: list[str], what: str) -> str:
    """The first of ours that the server has too (RFC 4253, section 7.1)."""
    found = next((name for name in ours if name in theirs), "")
    if not found:
        listed = excerpt(", ".join(theirs)[:200])
        raise CheckFault("expect.algorithms", f"the server has no {what} that is supported here; it offers {listed}")
    return found


def _turned_away(payload: bytes) -> CheckFault:
    try:
        fields = Fields(payload[1:])
        number, reason = int.from_bytes(fields.take(4)), excerpt(fields.string())
    except ValueError:
        number, reason = 0, "no reason"
    return CheckFault("wait.refused", f"the server ends the connection: {reason} (code {number})")
