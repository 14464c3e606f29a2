"""Bodies that come packed (RFC 9110, 8.4.1), unpacked here where it matters that they are whole.

libcurl takes a packed body that ends in the middle for a whole one. What must not be in a body would then seem to be
absent, so a check that looks for absence has the bytes handed over as they came. Of other checks libcurl unpacks.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from mainstay.kernel.probing import CheckFault

ASKED = "gzip, deflate"  # what is unpacked here
_GZIP, _ZLIB, _RAW = 31, 15, -15  # window bits as zlib takes them
_PIECE = 262_144


class Unpacked(NamedTuple):
    start: bytes  # of the body, `kept` bytes at most
    size: int
    cut: bool  # more than the limit would have come
    unknown: str = ""  # packing that nobody here can undo; nothing is kept then


def unpack(body: bytes, encodings: str, *, whole: bool, kept: int, limit: int) -> Unpacked:
    """Undo `encodings`, as Content-Encoding names them. `whole`: `body` is all that came.

    CheckFault where it is not what it says, or ends in the middle of its packing.
    """
    names = [name.strip().lower() for name in encodings.split(",")]
    cut = False
    for name in reversed([name for name in names if name not in ("", "identity", "none")]):
        if name not in ("gzip", "x-gzip", "deflate"):
            return Unpacked(b"", 0, cut=False, unknown=encodings)
        body, ended, over = _unpack_once(body, name, limit)
        cut = cut or over
        if whole and not ended and not cut:
            raise CheckFault("transfer.truncated", f"the answer ended in the middle of its compressed data ({name})")
    return Unpacked(body[:kept], len(body), cut or not whole)


def _unpack_once(body: bytes, name: str, limit: int) -> tuple[bytes, bool, bool]:
    """(what was in it, whether its end was reached, whether it was more than the limit)."""
    found: list[bytes] = []
    size, rest, ended = 0, body, not body
    while rest and size <= limit:
        packed = zlib.decompressobj(_bits(rest, name))
        try:
            while rest and not packed.eof and size <= limit:
                found.append(packed.decompress(rest, _PIECE))
                size += len(found[-1])
                rest = packed.unconsumed_tail
        except zlib.error:
            raise CheckFault("transfer.encoding", "the compressed answer cannot be decompressed") from None
        ended = packed.eof
        # Several parts of gzip may follow each other; anything else behind the end is no part of it.
        rest = packed.unused_data if ended and packed.unused_data.startswith(b"\x1f\x8b") else b""
    return b"".join(found)[:limit], ended, size > limit


def _bits(body: bytes, name: str) -> int:
    if name != "deflate":
        return _GZIP
    # RFC 9110 means zlib's form, and some servers send the bare one (as RFC 1950, 2.2, tells them apart).
    return _ZLIB if body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0 else _RAW
