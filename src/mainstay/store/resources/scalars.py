"""What a plain YAML scalar means: YAML 1.2's core schema, where `no` is text and `12:30` is not a number.

Names are stricter than values: one that YAML 1.1 reads as something else is refused, because the same
file would mean another thing to the next tool that reads it.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

Scalar = str | int | float | bool | None

_CONSTANTS: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_FIRST = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_SWITCH = re.compile(r"(?i:on|off|yes|no)")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt ].*)?")
_CLOCK = re.compile(r"[-+]?\d+(?::[0-5]?\d)+(?:\.\d*)?")
_LOOSE_NUMBER = re.compile(r"[-+]?(?:0[0-7_]+|[0-9][0-9_]*(?:\.[0-9_]*)?|0b[01_]+)")
# Tab, line feed and carriage return are the only control characters that text may hold.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_LARGEST = 2**63 - 1


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar; ValueError for a number that cannot be kept."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _FIRST:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text, 10)
    if _BASED.fullmatch(text):
        return _integer(text[2:], 8 if text[1] == "o" else 16)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"`{text}` is not a finite number")
    return _float(text) if _FLOAT.fullmatch(text) else text


def _integer(digits: str, base: int) -> int:
    # The length is checked first: reading a million digits takes quadratic time.
    value = int(digits, base) if len(digits) <= 64 else _LARGEST + 1
    if abs(value) > _LARGEST:
        raise ValueError(f"the number `{digits[:20]}{'...' if len(digits) > 20 else ''}` is too large")
    return value


def _float(text: str) -> float:
    value = float(text[:400])
    if not math.isfinite(value) or len(text) > 400:
        raise ValueError(f"the number `{text[:20]}` is too large")
    return value


@lru_cache(maxsize=4096)  # the same keys stand in every entry
def trap(text: str) -> str:
    """What an unquoted name is to YAML (`a number`), or the empty string if every YAML reader takes it as text."""
    if text in _CONSTANTS:
        return "nothing" if _CONSTANTS[text] is None else "true or false"
    if _SWITCH.fullmatch(text):
        return "true or false"
    if _DATE.fullmatch(text):
        return "a date"
    numeric = (_INTEGER, _BASED, _FLOAT, _NOT_FINITE, _CLOCK, _LOOSE_NUMBER)
    return "a number" if any(pattern.fullmatch(text) for pattern in numeric) else ""


def noun(value: object) -> str:
    """What a value is, for a person: `text`, `a number`, `a list`, `a mapping`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else "something else"
