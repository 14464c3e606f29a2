"""NTP packets of 48 bytes (RFC 5905, 7.3) and the arithmetic of clocks. Pure.

Timestamps are seconds since 1900 in 32 bits and a fraction in 32 more. The seconds start anew in 2036, so clocks
are compared by differences, which are right while clocks are less than 68 years apart.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

SIZE = 48
_FORMAT = struct.Struct("!BBbbII4sQQQQ")
_CLIENT = 0x23  # no warning, version 4, mode 3
_SERVER_MODE = 4
_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_WHOLE = 1 << 64
_SHORT = 65_536.0  # root delay and dispersion are in 16.16 seconds


@dataclass(frozen=True, slots=True)
class Reply:
    leap: int  # 3: the server's own clock is not set
    version: int
    mode: int
    stratum: int
    precision: int
    root_delay: float  # seconds
    root_dispersion: float
    reference: bytes
    originate: int  # timestamps as they came
    receive: int
    transmit: int


def question(cookie: int) -> bytes:
    """`cookie` stands where our time would: a server sends it back, and learns nothing of our clock."""
    return _FORMAT.pack(_CLIENT, 0, 0, 0, 0, 0, b"\0" * 4, 0, 0, 0, cookie)


def read(data: bytes) -> Reply | None:
    """None if it cannot be a server's reply."""
    if len(data) < SIZE:
        return None
    first, stratum, _poll, precision, delay, dispersion, reference, _set, originate, receive, transmit = (
        _FORMAT.unpack_from(data)
    )
    reply = Reply(
        leap=first >> 6,
        version=first >> 3 & 7,
        mode=first & 7,
        stratum=stratum,
        precision=precision,
        root_delay=delay / _SHORT,
        root_dispersion=dispersion / _SHORT,
        reference=reference,
        originate=originate,
        receive=receive,
        transmit=transmit,
    )
    return reply if reply.mode == _SERVER_MODE else None


def timestamp(epoch_nanoseconds: int) -> int:
    seconds, rest = divmod(epoch_nanoseconds, 1_000_000_000)
    return ((seconds + _EPOCH) << 32 | (rest << 32) // 1_000_000_000) % _WHOLE


def difference(one: int, other: int) -> float:
    """Seconds from `other` to `one`, the shorter way around."""
    found = (one - other) % _WHOLE
    return (found - _WHOLE if found >= _WHOLE // 2 else found) / (1 << 32)


def clock(sent: int, reply: Reply, received: int) -> tuple[float, float]:
    """(offset of the server's clock from ours, round trip), seconds; RFC 5905, section 8."""
    there, back = difference(reply.receive, sent), difference(reply.transmit, received)
    return (there + back) / 2, max(0.0, there - back)


def reference_name(reply: Reply) -> str:
    """What the server takes its time from: a name such as GPS at stratum 1, else an address (or a hash of one)."""
    if reply.stratum <= 1:
        return "".join(chr(byte) for byte in reply.reference if 32 < byte < 127)
    return ".".join(str(byte) for byte in reply.reference)


def facts(reply: Reply) -> dict[str, Any]:
    return {
        "stratum": reply.stratum,
        "reference": reference_name(reply),
        "root_delay": round(reply.root_delay, 6),
        "root_dispersion": round(reply.root_dispersion, 6),
        "leap": reply.leap,
    }
