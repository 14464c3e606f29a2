"""Faults in declared input, each with its place and a hint, all of them at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mainstay.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the input: file name as the user gave it, line and column from 1 (0: unknown)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file or "input"]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    message: str
    place: Place = Place()
    hint: str = ""
    path: str = ""  # dotted path in the document, such as `monitors.api.expect`
    severity: Severity = "error"

    def __str__(self) -> str:
        text = f"{self.place}: {self.severity}: {self.message}"
        return f"{text}, {self.hint}" if self.hint else text

    def as_dict(self) -> dict[str, str | int]:
        return {
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "path": self.path,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
        }


@dataclass(slots=True)
class Diagnostics:
    """A growing list; nothing is applied while it holds an error."""

    items: list[Diagnostic] = field(default_factory=list)

    def add(
        self,
        message: str,
        place: Place = Place(),
        *,
        hint: str = "",
        path: str = "",
        severity: Severity = "error",
    ) -> None:
        self.items.append(Diagnostic(message, place, hint, path, severity))

    def extend(self, other: Iterable[Diagnostic]) -> None:
        self.items.extend(other)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def errors(self) -> list[Diagnostic]:
        return [item for item in self.items if item.severity == "error"]

    def summary(self) -> str:
        errors = self.errors
        if not errors:
            return "no errors"
        first = str(errors[0])
        return first if len(errors) == 1 else f"{len(errors)} errors, the first: {first}"

    def raise_if_errors(self) -> None:
        """Raise InvalidInput with everything found so far if any of it is an error."""
        if self.errors:
            raise InvalidInput(self)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean `x`` for the closest known word, or the empty string."""
    if len(word) > 100:  # the comparison takes quadratic time, and nobody means a known word by that
        return ""
    words = list(known)
    close = [one for one in words if one.lower() == word.lower()][:1]
    close = close or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`" if close else ""
