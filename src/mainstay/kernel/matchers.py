"""Label matchers in Alertmanager's syntax: `severity=~"P0|P1"`, `service="api"`, `team!="core"`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Operator = Literal["=", "!=", "=~", "!~"]
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_.-]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",{}]*))\s*')


@dataclass(frozen=True, slots=True)
class Matcher:
    """A missing label counts as the empty string, as in Prometheus. Patterns match the whole value."""

    label: str
    operator: Operator
    value: str
    pattern: re.Pattern[str] | None = field(default=None, compare=False)

    def matches(self, labels: Mapping[str, str]) -> bool:
        actual = labels.get(self.label, "")
        if self.pattern is not None:
            return (self.pattern.fullmatch(actual) is not None) == (self.operator == "=~")
        return (actual == self.value) == (self.operator == "=")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.operator}"{escaped}"'


@lru_cache(maxsize=4096)
def parse_matcher(text: str) -> Matcher:
    """ValueError with a reason if the text is not a matcher."""
    found = _MATCHER.fullmatch(text)
    if found is None or len(text) > 1000:
        raise ValueError(f'`{text[:60]}` is not a matcher such as severity=~"P0|P1" or service="api"')
    label, quoted, bare = found[1], found[3], found[4]
    operator: Operator = found[2]  # type: ignore[assignment]  # the pattern allows only these
    value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    pattern = None
    if operator in ("=~", "!~"):
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise ValueError(f"`{value[:60]}` is not a regular expression: {error}") from None
    return Matcher(label, operator, value, pattern)


def exact_pairs(matchers: Iterable[str]) -> dict[str, str]:
    """Labels that must have exactly one value which is not empty, for whoever can look those up faster."""
    parsed = map(parse_matcher, matchers)
    return {one.label: one.value for one in parsed if one.operator == "=" and one.value}


def all_match(matchers: Iterable[str], labels: Mapping[str, str]) -> bool:
    """True if every matcher fits; no matchers fit everything."""
    return all(parse_matcher(text).matches(labels) for text in matchers)
