"""Frames on the pipe: 4 bytes of length, big-endian, and the MessagePack of one Struct of kernel.probing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from mainstay.kernel.errors import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME_LIMIT = 64 * 1024 * 1024  # bytes of one frame; 10,000 orders with a kilobyte of options each are 10 MB
_PREFIX = 4
F = TypeVar("F")


class Frames(Generic[F]):
    """Takes bytes as they come and gives the frames in them."""

    def __init__(self, union: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[F] = msgspec.msgpack.Decoder(union)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[F]:
        """Whole frames in order. Broken if one is too long or is none of the union."""
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _PREFIX:
            length = int.from_bytes(self._buffer[start : start + _PREFIX], "big")
            if length > FRAME_LIMIT:
                raise Broken(f"a frame of {length} bytes is longer than {FRAME_LIMIT}")
            end = start + _PREFIX + length
            if len(self._buffer) < end:
                break
            try:
                frames.append(self._decoder.decode(memoryview(self._buffer)[start + _PREFIX : end]))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise Broken(f"a frame cannot be read: {error}") from error
            start = end
        del self._buffer[:start]
        return frames


_ENCODER = msgspec.msgpack.Encoder()


def pack(frame: Any) -> bytes:
    """The bytes of one frame."""
    packed = _ENCODER.encode(frame)
    if len(packed) > FRAME_LIMIT:
        raise Broken(f"a frame of {len(packed)} bytes is longer than {FRAME_LIMIT}")
    return len(packed).to_bytes(_PREFIX, "big") + packed


class Pipe(asyncio.Protocol, Generic[F]):
    """One end of the pipe in an event loop. `full` tells that the other end does not keep up."""

    def __init__(self, union: Any, on_frame: Callable[[F], None], on_end: Callable[[], None]) -> None:
        self._frames: Frames[F] = Frames(union)
        self._on_frame = on_frame
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self.full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # a stream socket has no other

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            self._on_frame(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # an end is an end
        self._transport = None
        self._on_end()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False

    def send(self, frame: Any) -> None:
        """Queue a frame; nothing happens after the end of the pipe."""
        if self._transport is not None:
            self._transport.write(pack(frame))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
