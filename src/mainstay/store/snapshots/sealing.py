"""Encryption of a snapshot: a file-like writer and reader of authenticated chunks.

    file   = magic(8) log2N(1) salt(16) check(8) chunk...
    chunk  = AES-256-GCM of up to 65,536 bytes, with its 16-byte tag
    nonce  = prefix(7) counter(4, big-endian) last(1: 0, or 1 for the final chunk)
    key(32) prefix(7) check(8) = scrypt(secret, salt, N, r=8, p=1), 47 bytes
    associated data = the 33 bytes before the first chunk

This is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, CRYPTO 2015): chunks cannot be changed, exchanged, repeated or cut off at the end
without notice. Each file has a key of its own by its random salt, so counters never repeat under one key.
`check` tells a wrong key from a damaged file.
"""

from __future__ import annotations

import hmac
import io
import os
import struct
from typing import IO

from mainstay.kernel.errors import UserError

MAGIC = b"MSTSNAP1"
CHUNK = 65_536
SHORTEST_KEY = 16  # characters
_TAG = 16
_LOG_N, _LARGEST_LOG_N = 15, 20  # scrypt takes 128 * r * N bytes: 32 MB; a file may not ask for more than 1 GB
_HEADER = len(MAGIC) + 1 + 16 + 8


class Damaged(UserError):
    """A snapshot is not what was written."""

    code = "snapshot_damaged"


class _Keys:
    def __init__(self, secret: str, log_n: int, salt: bytes) -> None:
        if len(secret) < SHORTEST_KEY:
            raise UserError(
                f"the key of snapshots is shorter than {SHORTEST_KEY} characters",
                hint="make one with `openssl rand -base64 32`",
            )
        # Heavy, and a server imports this module whether its snapshots are encrypted or not.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        material = Scrypt(salt=salt, length=47, n=1 << log_n, r=8, p=1).derive(secret.encode())
        self.cipher, self.prefix, self.check = AESGCM(material[:32]), material[32:39], material[39:]
        self.header = MAGIC + bytes([log_n]) + salt + self.check

    def nonce(self, counter: int, *, last: bool) -> bytes:
        return self.prefix + struct.pack(">IB", counter, last)


class Sealer(io.RawIOBase):
    """Encrypts what is written to it into `target`. `finish` writes the last chunk; without it the file is torn."""

    def __init__(self, target: IO[bytes], secret: str) -> None:
        self._target, self._keys = target, _Keys(secret, _LOG_N, os.urandom(16))
        self._waiting, self._counter = bytearray(), 0
        target.write(self._keys.header)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type] # any buffer, as for every raw file
        self._waiting += view
        while len(self._waiting) > CHUNK:  # one chunk stays back, because the last one is marked
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(view)

    def finish(self) -> None:
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, plain: bytes, *, last: bool) -> None:
        nonce = self._keys.nonce(self._counter, last=last)
        self._target.write(self._keys.cipher.encrypt(nonce, plain, self._keys.header))
        self._counter += 1


class Opener(io.RawIOBase):
    """Decrypts a sealed file; Damaged if a chunk is not what was written, or the end is missing."""

    def __init__(self, source: IO[bytes], secret: str) -> None:
        header = source.read(_HEADER)
        if len(header) < _HEADER or not header.startswith(MAGIC):
            raise Damaged("this is not an encrypted snapshot, or its beginning is missing")
        log_n = header[len(MAGIC)]
        if not 10 <= log_n <= _LARGEST_LOG_N:
            raise Damaged("the header of this snapshot is damaged")
        self._keys = _Keys(secret, log_n, header[9:25])
        if not hmac.compare_digest(self._keys.check, header[25:]):
            raise UserError(
                "the key does not match this snapshot",
                hint="give the one it was taken with: --key '${file:PATH}' or MAINSTAY_SNAPSHOT_KEY",
            )
        self._source, self._counter, self._plain = source, 0, memoryview(b"")
        self._next = source.read(CHUNK + _TAG)
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type] # any buffer, as for every raw file
        while not self._plain and not self._ended:
            self._open_chunk()
        taken = min(len(view), len(self._plain))
        view[:taken] = self._plain[:taken]
        self._plain = self._plain[taken:]
        return taken

    def _open_chunk(self) -> None:
        sealed, self._next = self._next, self._source.read(CHUNK + _TAG)
        from cryptography.exceptions import InvalidTag

        last = not self._next
        nonce = self._keys.nonce(self._counter, last=last)
        try:
            self._plain = memoryview(self._keys.cipher.decrypt(nonce, sealed, self._keys.header))
        except InvalidTag:
            place = self._counter * CHUNK
            reason = "its end is missing or was changed" if last else f"it was changed near byte {place:,}"
            raise Damaged(f"the snapshot is damaged: {reason}", hint="use another one of the same series") from None
        self._counter, self._ended = self._counter + 1, last


def is_sealed(beginning: bytes) -> bool:
    return beginning.startswith(MAGIC)
