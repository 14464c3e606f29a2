"""BSON (https://bsonspec.org/spec.html) as JSON-like values: what JSON has not becomes text or a number. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPTH_LIMIT = 64
_INT32 = 2**31


class BsonError(ValueError):
    """The bytes are no BSON, or too deep."""


def encode(document: dict[str, Any]) -> bytes:
    """None, bool, int, float, str, bytes, dict and list; TypeError for anything else."""
    body = b"".join(_element(str(key), value) for key, value in document.items())
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def _element(key: str, value: Any) -> bytes:
    if "\0" in key:
        raise ValueError("a key holds a zero byte")
    kind, data = _value(value)
    return bytes((kind,)) + key.encode() + b"\0" + data


def _value(value: Any) -> tuple[int, bytes]:
    """(kind, bytes)."""
    if isinstance(value, int) and not isinstance(value, bool):
        small = -_INT32 <= value < _INT32
        return (0x10 if small else 0x12), value.to_bytes(4 if small else 8, "little", signed=True)
    known = _ENCODERS.get(type(value))
    if known is None:
        raise TypeError(f"{type(value).__name__} is not a value of JSON")
    return known[0], known[1](value)


def _text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return len(data).to_bytes(4, "little") + data


def _list(value: list[Any]) -> bytes:
    return encode({str(index): item for index, item in enumerate(value)})


_ENCODERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    type(None): (0x0A, lambda _value: b""),
    bool: (0x08, lambda value: bytes((value,))),
    float: (0x01, struct.Struct("<d").pack),
    str: (0x02, _text),
    bytes: (0x05, lambda value: len(value).to_bytes(4, "little") + b"\0" + value),
    dict: (0x03, encode),
    list: (0x04, _list),
}


def decode(data: bytes) -> dict[str, Any]:
    """Raises BsonError."""
    reader = _Reader(data)
    found = reader.document(0)
    if reader.at != len(data):
        raise BsonError("there is more than one document")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise BsonError("it ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little", signed=True)

    def name(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise BsonError("it ends too early")
        found = self.data[self.at : end]
        self.at = end + 1
        return found.decode("utf-8", "replace")

    def text(self) -> str:
        return self.take(self.number(4))[:-1].decode("utf-8", "replace")

    def document(self, depth: int) -> dict[str, Any]:
        if depth > _DEPTH_LIMIT:
            raise BsonError("it is nested too deeply")
        end = self.at + self.number(4)
        found: dict[str, Any] = {}
        while (kind := self.take(1)[0]) != 0:
            name = self.name()
            found[name] = self.value(kind, depth)
        if self.at != end:
            raise BsonError("a length is wrong")
        return found

    def value(self, kind: int, depth: int) -> Any:
        if kind == 0x03:
            return self.document(depth + 1)
        if kind == 0x04:
            return list(self.document(depth + 1).values())
        if kind == 0x0F:  # code with its variables
            self.take(4)
            code = self.text()
            self.document(depth + 1)
            return code
        decoder = _DECODERS.get(kind)
        if decoder is None:
            raise BsonError(f"it has an element of the unknown kind {kind}")
        return decoder(self)

    def binary(self) -> bytes:
        size = self.number(4)
        self.take(1)  # what the bytes are for
        return self.take(size)


_DECODERS: dict[int, Callable[[_Reader], Any]] = {
    0x01: lambda reader: struct.unpack("<d", reader.take(8))[0],
    0x02: _Reader.text,
    0x05: _Reader.binary,
    0x06: lambda _reader: None,
    0x07: lambda reader: reader.take(12).hex(),
    0x08: lambda reader: reader.take(1) != b"\0",
    0x09: lambda reader: reader.number(8) / 1000,  # epoch seconds
    0x0A: lambda _reader: None,
    0x0B: lambda reader: f"/{reader.name()}/{reader.name()}",
    0x0C: lambda reader: f"{reader.text()}:{reader.take(12).hex()}",  # a reference, as old databases have them
    0x0D: _Reader.text,  # code
    0x0E: _Reader.text,  # a symbol
    0x10: lambda reader: reader.number(4),
    0x11: lambda reader: reader.number(8),  # when a change was made
    0x12: lambda reader: reader.number(8),
    0x13: lambda reader: reader.take(16).hex(),  # decimal128
    0x7F: lambda _reader: None,  # above all keys, and below them
    0xFF: lambda _reader: None,
}
