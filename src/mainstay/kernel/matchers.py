"""Label matchers in Alertmanager's syntax: `severity=~"P0|P1"`, `service="api"`, `team!="core"`.

Read as Alertmanager does by default: the classic way (`pkg/labels/parse.go`), and where that takes nothing, the UTF-8
way (`matcher/parse`), which has names of any letters and names in quotes. Within quotes `\\"`, `\\\\` and `\\n` are
undone and every other backslash stays, so `host=~"web\\d+"` needs no second one. Text with blanks, commas or braces is
quoted, as the UTF-8 way wants it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from mainstay.kernel.patterns import BadPattern, Pattern, compile_pattern, fits, is_tolerant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Operator = Literal["=", "!=", "=~", "!~"]
_TEXT = r'"(?:[^"\\]|\\.)*"'
_MATCHER = re.compile(rf"""\s*({_TEXT}|[^\s{{}}!=~,\\"'`]+)\s*(=~|!~|!=|=)\s*({_TEXT}|[^\s",{{}}]*)\s*""", re.DOTALL)
_ESCAPE = re.compile(r'\\([n"\\])')
_PLAIN_NAME = re.compile(r"[^\s{}!=~,\\\"'`]+")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A missing label counts as the empty string, as in Prometheus. Patterns match the whole value."""

    label: str
    operator: Operator
    value: str
    pattern: Pattern | None = field(default=None, compare=False)

    def matches(self, labels: Mapping[str, str]) -> bool:
        actual = labels.get(self.label, "")
        if self.pattern is not None:
            return fits(self.pattern, actual) == (self.operator == "=~")
        return (actual == self.value) == (self.operator == "=")

    def __str__(self) -> str:
        label = self.label if _PLAIN_NAME.fullmatch(self.label) else _quoted(self.label)
        return f"{label}{self.operator}{_quoted(self.value)}"


@lru_cache(maxsize=4096)
def parse_matcher(text: str) -> Matcher:
    """ValueError with a reason if the text is not a matcher; BadPattern if its pattern is none."""
    found = _MATCHER.fullmatch(text)
    if found is None or len(text) > 1000 or not (label := _plain(found[1])):
        raise ValueError(f'`{text[:60]}` is not a matcher such as severity=~"P0|P1" or service="api"')
    operator: Operator = found[2]  # type: ignore[assignment]  # the pattern allows only these
    value = _plain(found[3])
    return Matcher(label, operator, value, compile_pattern(value) if operator in ("=~", "!~") else None)


def check_matcher(text: str) -> str:
    """The matcher as it is written here, for validators of what is declared; errors as of `parse_matcher`."""
    try:
        return str(parse_matcher(text))
    except BadPattern:
        if is_tolerant():
            return text
        raise


def is_broken(matchers: Iterable[str]) -> bool:
    """Whether one was declared with a pattern that cannot be matched any more: `all_match` is False for good."""
    return any(_known(text) is None for text in matchers)


def exact_pairs(matchers: Iterable[str]) -> dict[str, str]:
    """Labels that must have exactly one value which is not empty, for whoever can look those up faster."""
    parsed = map(_known, matchers)
    return {one.label: one.value for one in parsed if one is not None and one.operator == "=" and one.value}


def all_match(matchers: Iterable[str], labels: Mapping[str, str]) -> bool:
    """True if every matcher fits; no matchers fit everything."""
    return all((known := _known(text)) is not None and known.matches(labels) for text in matchers)


def _known(text: str) -> Matcher | None:
    try:
        return parse_matcher(text)
    except BadPattern:
        return None


def _plain(written: str) -> str:
    inner = written[1:-1] if written.startswith('"') else written
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], inner)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
