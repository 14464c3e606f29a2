"""What a text or a value that came back must be: `contains` and `regex` of an answer, `value` and `rows` of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.progress import excerpt
from mainstay.kernel.jsonpath import Comparison, parse_comparison
from mainstay.kernel.patterns import compile_pattern, search
from mainstay.kernel.probing import CheckFault
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = 80  # characters of a value in a sentence


class Words:
    """`contains` and `regex` of an `expect`, compiled once."""

    __slots__ = ("contains", "regex")

    def __init__(self, expect: Mapping[str, Any]) -> None:
        self.contains = expect["contains"].encode() if expect.get("contains") else None
        self.regex = compile_pattern(expect["regex"]) if expect.get("regex") else None

    def __bool__(self) -> bool:
        return self.contains is not None or self.regex is not None

    def missing(self, received: bytes) -> CheckFault | None:
        """What is not in there yet. Raises CheckFault as `search` does."""
        if self.contains is not None and self.contains not in received:
            wanted = excerpt(self.contains)
            return CheckFault("expect.contains", f"`{wanted}` is not in the {len(received)} bytes received")
        if self.regex is None:
            return None
        pattern = self.regex.pattern
        if search(self.regex, received.decode("utf-8", "replace")):
            return None
        return CheckFault("expect.regex", f"`{pattern[:100]}` does not match the {len(received)} bytes received")


class Values:
    """`value` and `rows` of an `expect`, compiled once."""

    __slots__ = ("rows", "value")

    def __init__(self, expect: Mapping[str, Any]) -> None:
        self.value = _comparison(expect.get("value"))
        self.rows = _comparison(expect.get("rows"))

    def judge(self, value: Any, rows: int) -> None:
        """CheckFault `expect.rows` or `expect.value`; the value is None where there is none."""
        if self.rows is not None and not self.rows.holds(rows):
            raise CheckFault("expect.rows", f"the query returned {counted(rows, 'row')}, expected {self.rows}")
        if self.value is None:
            return
        if not rows:
            raise CheckFault("expect.value", f"the query returned no row, expected {self.value}")
        if self.value.holds(_alike(value, self.value.operand)):
            return
        raise CheckFault("expect.value", f"the value is `{shown(value)}`, expected {self.value}")


def shown(value: Any) -> str:
    """A value as a sentence may quote it."""
    text = excerpt(value if isinstance(value, bytes) else "null" if value is None else str(value))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _comparison(written: Any) -> Comparison | None:
    return None if written is None else parse_comparison(written)


def _alike(value: Any, operand: Any) -> Any:
    """The value in the type of what it is compared with: databases answer in text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return str(value) if isinstance(operand, str) and value is not None else value
    if isinstance(operand, bool):
        return {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}.get(value.lower(), value)
    if isinstance(operand, int | float):
        try:
            return float(value)
        except ValueError:
            return value
    return value
