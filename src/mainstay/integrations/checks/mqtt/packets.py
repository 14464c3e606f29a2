"""Control packets of MQTT 3.1.1 (https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.sessions import Talk

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 8, 9, 14
PACKET_LIMIT = 1024 * 1024  # bytes of one packet
_CLEAN, _PASSWORD, _USERNAME = 0x02, 0x40, 0x80
_SUBSCRIPTION = 1  # identifier of our only subscription

REASONS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not allow this client identifier",
    3: "it is not available",
    4: "the user name or the password is wrong",
    5: "this client is not authorized",
}


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    size, head = len(body), bytearray((kind << 4 | flags,))
    while True:
        size, digit = divmod(size, 128)
        head.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(head) + body


def text(value: str | bytes) -> bytes:
    """A string behind its length."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2) + data


def connect(client_id: str, username: str | None, password: str | None, keep_alive: int) -> bytes:
    flags = _CLEAN | (_USERNAME if username is not None else 0) | (_PASSWORD if password is not None else 0)
    payload = b"".join(text(value) for value in (client_id, username, password) if value is not None)
    return packet(CONNECT, text("MQTT") + bytes((4, flags)) + keep_alive.to_bytes(2) + payload)


def subscribe(topic: str) -> bytes:
    """At most once (QoS 0)."""
    return packet(SUBSCRIBE, _SUBSCRIPTION.to_bytes(2) + text(topic) + b"\0", flags=2)


def publish(topic: str, message: bytes) -> bytes:
    return packet(PUBLISH, text(topic) + message)


async def read(talk: Talk) -> tuple[int, int, bytes]:
    """(kind, flags, body). CheckFault `*.malformed` or `transfer.too_large`."""
    first = (await talk.exactly(1))[0]
    size = shift = 0
    while True:
        digit = (await talk.exactly(1))[0]
        size |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            break
        if shift > 21:
            raise CheckFault("wait.malformed", "this is not an MQTT broker: its packets have no length")
    if size > PACKET_LIMIT:
        raise CheckFault("transfer.too_large", f"the broker sends {size} bytes at once, more than {PACKET_LIMIT}")
    return first >> 4, first & 0x0F, await talk.exactly(size)


def message_of(body: bytes, flags: int) -> tuple[str, bytes]:
    """(topic, message) of a PUBLISH."""
    size = int.from_bytes(body[:2])
    start = 2 + size + (2 if flags & 0x06 else 0)  # above QoS 0 an identifier stands in between
    if len(body) < start:
        raise CheckFault("transfer.malformed", "the broker sends a message that cannot be read")
    return body[2 : 2 + size].decode("utf-8", "replace"), body[start:]
