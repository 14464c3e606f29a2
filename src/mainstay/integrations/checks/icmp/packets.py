"""ICMP echo packets: made, recognised. Pure. RFC 792 (IPv4), RFC 4443 section 4 (IPv6)."""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_ECHO_REQUEST = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
TOKEN = 8  # bytes at the start of the payload that tell our packets from those of others


class Reply(NamedTuple):
    sequence: int
    hop_limit: int | None  # None where the packet itself does not say


def echo_request(version: int, identifier: int, sequence: int, token: bytes, size: int) -> bytes:
    """`size` bytes after the header: the token, filled up."""
    payload = token + bytes(index & 0xFF for index in range(size - len(token)))
    kind = _ECHO_REQUEST[version]
    checksum = internet_checksum(_HEADER.pack(kind, 0, 0, identifier, sequence) + payload)
    return _HEADER.pack(kind, 0, checksum, identifier, sequence) + payload


def parse_reply(version: int, packet: bytes, token: bytes) -> Reply | None:
    """The reply that carries our token, else None. IPv4 packets may come with their IP header (raw sockets)."""
    hop_limit = None
    if version == 4 and packet[:1] and packet[0] >> 4 == 4:  # an echo reply itself begins with type 0
        if len(packet) < 20:
            return None
        hop_limit = packet[8]
        packet = packet[(packet[0] & 0x0F) * 4 :]
    if len(packet) < _HEADER.size + TOKEN:
        return None
    kind, code, _, _, sequence = _HEADER.unpack_from(packet)
    if kind != _ECHO_REPLY[version] or code != 0 or packet[_HEADER.size : _HEADER.size + TOKEN] != token:
        return None
    return Reply(sequence, hop_limit)


def internet_checksum(data: bytes) -> int:
    """RFC 1071. For IPv6 and for unprivileged sockets the system writes its own over it."""
    if len(data) % 2:
        data += b"\0"
    total = int(sum(struct.unpack(f"!{len(data) // 2}H", data)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
