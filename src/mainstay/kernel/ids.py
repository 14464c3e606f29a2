"""Identifiers that sort by time and can be read aloud."""

from __future__ import annotations

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case


def new_id(now: float | None = None) -> str:
    """A ULID (48 bits of milliseconds, 80 random bits) as 26 characters; ids sort by creation time."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def made_at(identifier: str) -> float:
    """When an id of `new_id` was made, in epoch seconds."""
    milliseconds = 0
    for sign in identifier[:10]:
        milliseconds = milliseconds << 5 | _ALPHABET.index(sign)
    return milliseconds / 1000
