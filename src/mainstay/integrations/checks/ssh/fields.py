"""The data types of SSH (RFC 4251, section 5). Pure."""

from __future__ import annotations


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def mpint(number: int) -> bytes:
    """A positive number, with a zero byte in front where it would look negative."""
    return string(number.to_bytes(number.bit_length() // 8 + 1) if number else b"")


class Fields:
    """Reads one after the other; ValueError where a packet ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise ValueError("it ends too early")
        self._at += size
        return found

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4)))

    def mpint(self) -> int:
        number = int.from_bytes(self.string(), signed=True)
        if number < 0:
            raise ValueError("it holds a negative number")
        return number

    def names(self) -> list[str]:
        return self.string().decode("ascii", "replace").split(",")
