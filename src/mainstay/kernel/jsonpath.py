"""A small, strict subset of JSONPath (RFC 9535), and what a value found with it may be compared with.

    path  = "$" ( "." name | "[" integer "]" | "[" quoted name "]" )*
    name  = a letter or `_`, then letters, digits, `_` and `-`

A negative integer counts from the end. There are no wildcards, slices, filters or descents: a path names one value.

An expected value that is text may begin with an operator: `>= 3`, `> 3`, `<= 3`, `< 3`, `!= text`, `== text`,
`=~ pattern` (found anywhere). What follows `==` or `!=` is read as JSON where it is JSON and as text otherwise. With an
operator, numbers, true and false count also where the answer holds them as text: `== 1` takes `1` and `"1"`, `== "1"`
the text alone. Everything else must be equal, types included: `1` is not `"1"` and not `true`.
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.kernel.patterns import BadPattern, Pattern, compile_pattern, is_tolerant, search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_STEP = re.compile(
    r"""\.(?P<name>[^\W\d][\w-]*)"""
    r"""|\[\s*(?P<index>-?\d{1,9})\s*\]"""
    r"""|\[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]"""
    r"""|\[\s*'(?P<single>(?:[^'\\]|\\.)*)'\s*\]""",
)
_LONGEST = 32
_COMPARISON = re.compile(r"(>=|<=|>|<|!=|==|=~)\s*(.*)", re.DOTALL)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
Steps = tuple[str | int, ...]


class NoSuchValue(LookupError):
    """The document has nothing at the path; the message says how far it went."""


def parse_path(text: str) -> Steps:
    """Names and indexes; ValueError with the position if the text is not a path."""
    if not text.startswith("$"):
        raise ValueError(f"`{text[:60]}` is not a JSON path; it begins with $, such as $.status or $.items[0].id")
    steps: list[str | int] = []
    position = 1
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise ValueError(
                f"`{text[:60]}` is not a JSON path at character {position + 1}; "
                'steps are .name, [0] and ["any name"], such as $.items[0].id'
            )
        steps.append(_step(found))
        position = found.end()
    if len(steps) > _LONGEST:
        raise ValueError(f"a JSON path has at most {_LONGEST} steps, this one has {len(steps)}")
    return tuple(steps)


def _step(found: re.Match[str]) -> str | int:
    if found["index"] is not None:
        return int(found["index"])
    if found["name"] is not None:
        return found["name"]
    quoted = found["double"] if found["double"] is not None else found["single"]
    return re.sub(r"\\(.)", r"\1", quoted)


def find(document: Any, steps: Steps) -> Any:
    """The value at the path; NoSuchValue if there is none."""
    value = document
    for depth, step in enumerate(steps):
        if not _has(value, step):
            raise NoSuchValue(f"{_written(steps[:depth])} has no {_written((step,))[1:]}")
        value = value[step]
    return value


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and -len(value) <= step < len(value)
    return isinstance(value, dict) and step in value


def _written(steps: Steps) -> str:
    parts = [
        f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{json.dumps(step)}]"
        for step in steps
    ]
    return "$" + "".join(parts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a value must be; `operator` is one of == != > >= < <= =~. `strict`: types included."""

    operator: str
    operand: Any
    pattern: Pattern | None = None
    strict: bool = False

    def holds(self, value: Any) -> bool:
        if self.pattern is not None:
            text = json.dumps(value) if isinstance(value, bool) or _is_number(value) else value
            return isinstance(text, str) and search(self.pattern, text) is not None
        if not self.strict and isinstance(value, str) and isinstance(self.operand, int | float):
            value = _json_or_text(value)
        if self.operator in _ORDERS:
            return _is_number(value) and _ORDERS[self.operator](value, self.operand)
        return _equal(value, self.operand) == (self.operator == "==")

    def __str__(self) -> str:
        shown = self.operand if self.pattern is not None else json.dumps(self.operand, ensure_ascii=False)
        return f"{self.operator} {shown}"


def parse_comparison(expected: Any) -> Comparison:
    """ValueError if the text after an operator does not match it."""
    found = _COMPARISON.fullmatch(expected) if isinstance(expected, str) else None
    if found is None:
        return Comparison("==", expected, strict=True)
    sign, operand = found[1], found[2].strip()
    if sign == "=~":
        return Comparison(sign, operand, compile_pattern(operand))
    if sign not in _ORDERS:
        return Comparison(sign, _json_or_text(operand))
    number = _json_or_text(operand)
    if not _is_number(number):
        raise ValueError(f"`{expected[:40]}` compares with `{sign}` and needs a number after it")
    return Comparison(sign, number)


class Places:
    """JSON paths, and what must stand there, compiled once."""

    __slots__ = ("_wanted",)

    def __init__(self, wanted: Mapping[str, Any] | None) -> None:
        self._wanted = [(path, parse_path(path), parse_comparison(value)) for path, value in (wanted or {}).items()]

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def problems(self, document: Any) -> str:
        """What is not as it must be, as one sentence; empty if all is."""
        found = (_problem(document, *wanted) for wanted in self._wanted)
        return "; ".join(problem for problem in found if problem)[:400]


def _problem(document: Any, path: str, steps: Steps, comparison: Comparison) -> str:
    try:
        value = find(document, steps)
    except NoSuchValue as missing:
        return f"{path} is missing: {missing}"
    if comparison.holds(value):
        return ""
    shown = msgspec.json.encode(value, enc_hook=str).decode()
    return f"{path} is {shown[:80]}, expected {comparison}"


def check_comparison(expected: Any) -> None:
    """ValueError as `parse_comparison` has it, for validators of what is declared."""
    try:
        parse_comparison(expected)
    except BadPattern:
        if not is_tolerant():
            raise


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: Any, expected: Any) -> bool:
    if _is_number(value) and _is_number(expected):
        return bool(value == expected)
    return type(value) is type(expected) and bool(value == expected)
