"""Frames of RFC 6455, section 5, as a client sends and reads them. Without extensions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.sessions import Talk

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_FINAL, _MASKED = 0x80, 0x80
_KNOWN = {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}
FRAME_LIMIT = 1024 * 1024  # bytes of one frame that are read


def frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented frame, masked with fresh random bytes as section 5.3 demands of clients."""
    size = len(payload)
    if size < 126:
        head = bytes((_FINAL | opcode, _MASKED | size))
    elif size < 65_536:
        head = bytes((_FINAL | opcode, _MASKED | 126)) + size.to_bytes(2)
    else:
        head = bytes((_FINAL | opcode, _MASKED | 127)) + size.to_bytes(8)
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


async def read_frame(talk: Talk) -> tuple[int, bool, bytes]:
    """(opcode, whether its message ends here, payload). CheckFault `transfer.malformed` or `transfer.too_large`."""
    first, second = await talk.exactly(2)
    opcode, final = first & 0x0F, bool(first & _FINAL)
    if first & 0x70 or opcode not in _KNOWN or second & _MASKED:
        raise CheckFault("transfer.malformed", "what came is no WebSocket frame of a server")
    size = second & 0x7F
    if opcode >= CLOSE and (size > 125 or not final):
        raise CheckFault("transfer.malformed", "the server sent a control frame that is too long or in parts")
    if size == 126:
        size = int.from_bytes(await talk.exactly(2))
    elif size == 127:
        size = int.from_bytes(await talk.exactly(8))
    if size > FRAME_LIMIT:
        raise CheckFault("transfer.too_large", f"the server sends a frame of {size} bytes, more than {FRAME_LIMIT}")
    return opcode, final, await talk.exactly(size)
